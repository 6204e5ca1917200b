import { MdmError } from "../errors.ts";
import { imageShapes } from "../diffusion/session_graphs.ts";
import { elements } from "../graph/shape.ts";
import type { Batch } from "../pipeline/batch.ts";
import { cacheSchedule, denoise, type DenoisingStep } from "../pipeline/denoise.ts";
import type { GeneratedImage, Pipeline, PreparedImage } from "../pipeline/pipeline.ts";
import { truncationMessage } from "../pipeline/prompts.ts";
import type { ModelIdentity } from "../pipeline/png_parameters.ts";
import {
  type BatchKind,
  batchKind,
  isSameKind,
  type ResolvedRequest,
} from "../pipeline/request.ts";
import { encodeLevels, previewEncoding } from "./encode_levels.ts";
import { imageError } from "./image_error.ts";
import type { EncodedLevel, ImageEvent, ImageTask, ImageTimings, StepEvent } from "./image_task.ts";

/** What the scheduler is given. */
export interface SchedulerOptions {
  /** Images in one step at most. */
  readonly slots: number;
  /** What stands in images' settings. */
  readonly model: Promise<ModelIdentity>;
  /** Is called with what happens, in order. */
  readonly emit: (event: ImageEvent | StepEvent) => void;
}

/** A task that waits. */
interface Waiting {
  readonly task: ImageTask;
  /** Its request, fitted to the memory that may be used. */
  readonly resolved: ResolvedRequest;
  readonly kind: BatchKind;
}

/** An image in the batch. */
interface Running extends Waiting {
  readonly image: PreparedImage;
  readonly beganAt: number;
  readonly textMs: number;
  gpuMs: number;
}

/** Previews of an image, at most. */
const PREVIEWS = 8;

/**
 * The step scheduler. Before every step free slots are filled from the tasks that wait, by priority and then by age; images at different
 * steps, of different samplers, prompts and guidance share it, and each comes out as if it had been alone. Images that cannot share a
 * step (another size, another threshold) wait until those before them are through; one with a feature cache is denoised alone, for what
 * it uses again is of its own steps.
 */
export class StepScheduler {
  #waiting: Waiting[] = [];
  #running: Running[] = [];
  /** Canceled since the last step. */
  readonly #canceled = new Set<string>();
  /** Results and previews that are being read and encoded. */
  readonly #reading = new Set<Promise<void>>();
  #batch: Batch | null = null;
  /** Images of the batch's kind that may be in it. */
  #slots = 0;
  #stopping: "no" | "saving" | "closing" = "no";
  #wake = () => {};
  /** When the last step was over, or new images were there. */
  #lastStepAt = 0;
  /** Whether nothing was between the last two steps: only then is it known how long one takes. */
  #isSteady = false;
  /** What failed while results were read and encoded. */
  #broken: unknown;

  constructor(private readonly pipeline: Pipeline, private readonly options: SchedulerOptions) {}

  /** Takes a task. One that cannot be fails at once. */
  add(task: ImageTask): void {
    try {
      this.#waiting.push(this.#plan(task));
    } catch (error) {
      this.#fail(task.id, error);
    }
    this.#wake();
  }

  /** Stops a task: nothing more is reported of it but what is under way, and its slot is free at the next step. */
  cancel(id: string): void {
    this.#canceled.add(id);
    this.#wake();
  }

  /** Stops all tasks between two steps and reports their states: a "saved" of each. */
  save(): void {
    this.#stopping = "saving";
    this.#wake();
  }

  /** Ends {@linkcode run}; what has not ended is not reported. */
  close(): void {
    this.#stopping = "closing";
    this.#wake();
  }

  /**
   * Works until it is closed.
   *
   * @throws What the GPU reports: nothing more is reported of the tasks that it had.
   */
  async run(): Promise<void> {
    try {
      while (this.#stopping !== "closing") {
        this.#check();
        this.#dropCanceled();
        if (this.#stopping === "saving") await this.#saveAll();
        else if (this.#waiting.length === 0) await this.#change();
        else await this.#denoise();
      }
    } finally {
      await Promise.allSettled(this.#reading);
      for (const { image } of this.#running) this.#batch?.remove(image);
    }
  }

  /** Waits until there is something to do. */
  async #change(): Promise<void> {
    await new Promise<void>((resolve) => this.#wake = resolve);
    this.#wake = () => {};
  }

  /** Denoises images of one kind, those that come meanwhile as well, until none is left or all are to stop. */
  async #denoise(): Promise<void> {
    const batch = this.#batch = this.#open(this.#next()!);
    await this.#admit(batch);
    const [first] = this.#running;
    if (first === undefined) return;
    const schedule = cacheSchedule(first.resolved);
    for await (const step of denoise(batch, { schedule })) {
      this.#measure();
      this.#report(step);
      this.#check();
      this.#dropCanceled();
      if (this.#stopping !== "no") return;
      if (schedule === null) await this.#admit(batch);
    }
  }

  /** The batch for images of a task's kind. */
  #open({ resolved, kind }: Waiting): Batch {
    this.#slots = kind.inner === "always" ? this.pipeline.slots(resolved, this.options.slots) : 1;
    return this.pipeline.batch(kind);
  }

  /** Fills free slots. */
  async #admit(batch: Batch): Promise<void> {
    const arriving: Running[] = [];
    while (this.#running.length < this.#slots) {
      const next = this.#next();
      if (next === undefined || !isSameKind(next.kind, batch.kind)) break;
      this.#waiting = this.#waiting.filter((other) => other !== next);
      const running = await this.#prepare(next);
      if (running === null) continue;
      this.#running.push(running);
      arriving.push(running);
    }
    // Some may have been canceled while prompts were encoded.
    this.#dropCanceled();
    await this.#put(arriving.filter((running) => this.#running.includes(running)), batch);
  }

  /** The task that is next. */
  #next(): Waiting | undefined {
    return this.#waiting.toSorted((a, b) =>
      b.task.priority - a.task.priority || a.task.createdAt - b.task.createdAt
    )[0];
  }

  /** Encodes an image's prompts; null: it failed. */
  async #prepare(waiting: Waiting): Promise<Running | null> {
    const { task, resolved } = waiting;
    const beginning = performance.now();
    try {
      const [image] = await this.pipeline.prepare(resolved, resolved.jobs);
      const warnings = image!.truncations.map(truncationMessage);
      if (warnings.length > 0) this.options.emit({ kind: "warned", id: task.id, warnings });
      const now = performance.now();
      return {
        ...waiting,
        image: await this.#canGoOn(waiting) ? { ...image!, saved: task.saved! } : image!,
        beganAt: now,
        textMs: now - beginning,
        gpuMs: 0,
      };
    } catch (error) {
      this.pipeline.gpu.check();
      this.#fail(task.id, error);
      return null;
    }
  }

  /** Puts images into the batch. Where the GPU cannot hold those that arrive they fail, and the others begin again. */
  async #put(arriving: readonly Running[], batch: Batch): Promise<void> {
    try {
      await batch.add(arriving.map(({ image }) => image));
    } catch (error) {
      this.pipeline.gpu.check();
      if (!(error instanceof MdmError)) throw error;
      for (const running of this.#running) {
        batch.remove(running.image);
        if (arriving.includes(running)) this.#fail(running.task.id, error);
        else this.#waiting.push(running);
      }
      this.#running = [];
      return;
    }
    for (const { task: { id }, image: { saved, plan } } of arriving) {
      this.options.emit({ kind: "began", id, step: saved?.step ?? 0, steps: plan.times.length });
    }
    // What comes before an image's first step is no part of it.
    if (arriving.length > 0) [this.#lastStepAt, this.#isSteady] = [performance.now(), false];
  }

  /** Reports a step, and sees to previews and results. */
  #report({ steps, finished }: DenoisingStep): void {
    for (const running of this.#running) {
      const { task: { id, output }, image } = running;
      const step = steps.get(image)!;
      const all = image.plan.times.length;
      this.options.emit({ kind: "progress", id, step, steps: all });
      const levels = finished.get(image);
      if (levels !== undefined) this.#follow(this.#deliver(running, levels));
      else if (output.preview && step % Math.ceil(all / PREVIEWS) === 0) {
        this.#follow(this.#preview(running, step));
      }
    }
    this.#running = this.#running.filter(({ image }) => !finished.has(image));
  }

  /** Shows one of the inner resolutions, the smallest first. */
  async #preview({ task, resolved, image }: Running, step: number): Promise<void> {
    const { id, output: { encoding } } = task;
    const inner = image.plan.levels.length - 1;
    const share = step / image.plan.times.length;
    const level = inner - Math.min(Math.floor(share * inner), Math.max(0, inner - 1));
    const estimate = await this.#batch!.preview(image, level);
    const model = await this.options.model;
    const [job] = resolved.jobs;
    const frames = at(level, this.pipeline.frames(estimate, level));
    const preview = { ...job!, levels: at(level, estimate), frames };
    const how = { resolved, model };
    const [file] = await encodeLevels(preview, [level], previewEncoding(encoding), how);
    this.options.emit({ kind: "preview", id, step, file: file! });
  }

  /** Encodes an image that is done. */
  async #deliver(running: Running, reading: Promise<GeneratedImage["levels"]>): Promise<void> {
    const { task: { id, output }, resolved, beganAt, textMs } = running;
    const image = this.pipeline.finished(resolved.jobs[0]!, await reading);
    const read = performance.now();
    const levels = output.levels ? [...image.levels.keys()] : [0];
    let files: EncodedLevel[];
    try {
      const model = await this.options.model;
      files = await encodeLevels(image, levels, output.encoding, { resolved, model });
    } catch (error) {
      // It may be more than its format holds.
      return this.#fail(id, error);
    }
    const timings: ImageTimings = {
      textMs,
      stepsMs: read - beganAt,
      encodeMs: performance.now() - read,
      gpuMs: running.gpuMs,
    };
    this.options.emit({ kind: "made", id, files, timings });
  }

  /** Reads and encodes while steps go on; what the GPU reports there is thrown before the next one. */
  #follow(work: Promise<void>): void {
    const followed = work.catch((error) => {
      this.#broken ??= error;
      this.#wake();
    }).finally(() => this.#reading.delete(followed));
    this.#reading.add(followed);
  }

  #check(): void {
    if (this.#broken !== undefined) throw this.#broken;
  }

  /** Shares out how long the step of the images that are running took, and reports it. */
  #measure(): void {
    const now = performance.now();
    const ms = now - this.#lastStepAt;
    const images = this.#running.length;
    for (const running of this.#running) running.gpuMs += ms / images;
    if (this.#isSteady) this.options.emit({ kind: "step", ms, images });
    this.#lastStepAt = now;
    this.#isSteady = true;
  }

  #dropCanceled(): void {
    for (const { task, image } of this.#running) {
      if (this.#canceled.has(task.id)) this.#batch?.remove(image);
    }
    const stays = ({ task }: Waiting) => !this.#canceled.has(task.id);
    this.#running = this.#running.filter(stays);
    this.#waiting = this.#waiting.filter(stays);
    this.#canceled.clear();
  }

  async #saveAll(): Promise<void> {
    // Where it cannot be said what model they are of, images have to begin again.
    const model = await this.options.model.catch(() => null);
    await Promise.all(this.#running.map(async ({ task: { id }, kind, image }) => {
      const state = await this.#batch!.save(image);
      this.#batch!.remove(image);
      const saved = canBeSaved(kind) && model !== null
        ? { ...state, weights: model.weights }
        : null;
      this.options.emit({ kind: "saved", id, saved });
    }));
    this.#running = [];
    for (const { task: { id, saved = null } } of this.#waiting) {
      this.options.emit({ kind: "saved", id, saved });
    }
    this.#waiting = [];
    await Promise.all(this.#reading);
    if (this.#stopping === "saving") this.#stopping = "no";
  }

  /** @throws {MdmError} When the task takes more memory than may be used. */
  #plan(task: ImageTask): Waiting {
    const resolved = this.pipeline.fit({ ...task.resolved, batch: 1 });
    const kind = batchKind(resolved, this.pipeline.folder);
    if (kind.inner !== "always") return { task, resolved, kind };
    // One kind for images with and without guidance and noise: neither changes the bits of an image that has none.
    const guided = this.pipeline.guides ? "sometimes" : "never";
    return { task, resolved, kind: { ...kind, guided, noise: "seeded" } };
  }

  /** Whether an image goes on from its state: without one, or with one of another model or size, it begins. */
  async #canGoOn({ task: { saved }, resolved: { plan, size }, kind }: Waiting): Promise<boolean> {
    if (saved === undefined || !canBeSaved(kind)) return false;
    if (saved.weights !== (await this.options.model).weights) return false;
    const { step, latents } = saved;
    const shapes = imageShapes(this.pipeline.folder.network, 1, size);
    return step < plan.times.length && latents.length === shapes.length &&
      shapes.every((shape, level) => elements(shape) === latents[level]!.length);
  }

  #fail(id: string, error: unknown): void {
    this.options.emit({ kind: "failed", id, error: imageError(error) });
  }
}

/** Whether images of a kind can go on from a state: what a feature cache holds is not saved. */
function canBeSaved(kind: BatchKind): boolean {
  return kind.inner === "always";
}

/** A list with only one value, at its index. */
function at<T>(index: number, value: T): T[] {
  const list: T[] = [];
  list[index] = value;
  return list;
}
