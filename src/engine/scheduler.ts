import { MdmError } from "../errors.ts";
import { imageShapes } from "../diffusion/session_graphs.ts";
import { elements } from "../graph/shape.ts";
import type { Batch, Sampled } from "../pipeline/batch.ts";
import type { Encoding } from "../pipeline/level_files.ts";
import { type GeneratedPicture, type Pipeline, STEPS_IN_FLIGHT } from "../pipeline/pipeline.ts";
import { truncationMessage } from "../pipeline/prompts.ts";
import type { ModelIdentity } from "../pipeline/png_parameters.ts";
import {
  type BatchKind,
  batchKind,
  isSameKind,
  type ResolvedRequest,
} from "../pipeline/request.ts";
import { encodeLevels, encodingOf, previewEncoding } from "./encode_levels.ts";
import { jobError } from "../jobs/job_error.ts";
import type {
  EncodedLevel,
  PictureEvent,
  PictureTask,
  PictureTimings,
  StepEvent,
} from "./picture_task.ts";

/** What the scheduler is given. */
export interface SchedulerOptions {
  /** Pictures in one step at most. */
  readonly slots: number;
  /** What stands in pictures' settings. */
  readonly model: Promise<ModelIdentity>;
  /** Is told what happens, in order. */
  readonly emit: (event: PictureEvent | StepEvent) => void;
}

/** A task with everything decided. */
interface Planned {
  readonly task: PictureTask;
  readonly resolved: ResolvedRequest;
  readonly encoding: Encoding;
  readonly kind: BatchKind;
}

/** A picture in a slot. */
interface Running extends Planned {
  readonly sampled: Sampled;
  readonly beganAt: number;
  readonly textMs: number;
  gpuMs: number;
}

/** Previews of a picture, at most. */
const PREVIEWS = 8;

/**
 * The step scheduler. Before every step free slots are filled from what waits, by priority and then by age; pictures at different steps,
 * of different samplers, prompts and guidance share it, and each comes out as if it had been alone. Pictures that cannot share a step
 * (another size, another threshold) wait until those before them are through.
 */
export class StepScheduler {
  #waiting: Planned[] = [];
  #running: Running[] = [];
  /** Canceled since the last step. */
  readonly #canceled = new Set<string>();
  /** Results and previews that are being read and encoded. */
  readonly #reading = new Set<Promise<void>>();
  readonly #inFlight: Promise<void>[] = [];
  #batch: Batch | null = null;
  /** Pictures of the batch's kind that fit on the GPU. */
  #slots = 0;
  /** Stops the picture that runs without a batch. */
  #alone: AbortController | null = null;
  #stopping: "no" | "saving" | "closing" = "no";
  #wake = () => {};
  /** When the last step was over, or new pictures were there. */
  #lastStepAt = 0;
  /** Whether nothing was between the last two steps: only then it is told how long one takes. */
  #isSteady = false;
  /** What failed beside the steps. */
  #broken: unknown;

  constructor(private readonly pipeline: Pipeline, private readonly options: SchedulerOptions) {}

  /** Takes a task. One that cannot be is told of at once. */
  add(task: PictureTask): void {
    try {
      this.#waiting.push(this.#plan(task));
    } catch (error) {
      this.#fail(task.id, error);
    }
    this.#wake();
  }

  /** Stops a task: nothing more is told of it but what is under way, and its slot is free at the next step. */
  cancel(id: string): void {
    this.#canceled.add(id);
    if (this.#running.some(({ task }) => task.id === id)) this.#alone?.abort();
    this.#wake();
  }

  /** Stops all tasks between two steps and gives their states: a "saved" of each. */
  save(): void {
    this.#stopping = "saving";
    this.#alone?.abort();
    this.#wake();
  }

  /** Ends {@linkcode run}; what has not ended is not told of. */
  close(): void {
    this.#stopping = "closing";
    this.#alone?.abort();
    this.#wake();
  }

  /**
   * Works until it is closed.
   *
   * @throws What the GPU reports: the tasks that it had are not told of.
   */
  async run(): Promise<void> {
    try {
      while (this.#stopping !== "closing") {
        if (this.#broken !== undefined) throw this.#broken;
        this.#dropCanceled();
        if (this.#stopping === "saving") await this.#saveAll();
        else if (this.#waiting.length + this.#running.length === 0) await this.#work();
        else await this.#advance();
      }
    } finally {
      await Promise.allSettled([...this.#inFlight, ...this.#reading]);
      for (const { sampled } of this.#running) this.#batch?.remove(sampled);
    }
  }

  /** Waits until there is something to do. */
  async #work(): Promise<void> {
    await new Promise<void>((resolve) => this.#wake = resolve);
    this.#wake = () => {};
  }

  async #advance(): Promise<void> {
    const arriving = await this.#admit();
    if (arriving.length > 0 && this.#alone !== null) return await this.#runAlone(arriving[0]!);
    if (this.#batch === null || this.#running.length === 0) return;
    if (!await this.#put(arriving)) return;
    for (const { task, sampled } of arriving) {
      const step = sampled.saved?.step ?? 0;
      this.options.emit({ kind: "began", id: task.id, step, steps: sampled.plan.times.length });
    }
    const done = this.#batch.step();
    const finished = this.pipeline.gpu.finish();
    // It is looked at when it is waited for; until then it must not count as unhandled.
    finished.catch(() => {});
    this.#inFlight.push(finished);
    this.#report(done);
    const together = [...this.#running];
    for (const sampled of done) this.#leave(sampled);
    if (this.#inFlight.length >= STEPS_IN_FLIGHT) await this.#inFlight.shift();
    this.#measure(together);
  }

  /**
   * Puts pictures into the batch.
   *
   * @returns Whether all is well; where the GPU cannot hold those that arrive they fail, and the others begin again.
   */
  async #put(arriving: readonly Running[]): Promise<boolean> {
    try {
      await this.#batch!.add(arriving.map(({ sampled }) => sampled));
      if (arriving.length > 0) this.#arrive();
      return true;
    } catch (error) {
      this.pipeline.gpu.check();
      if (!(error instanceof MdmError)) throw error;
      for (const running of this.#running) {
        this.#batch!.remove(running.sampled);
        if (arriving.includes(running)) this.#fail(running.task.id, error);
        else this.#waiting.push(running);
      }
      this.#running = [];
      return false;
    }
  }

  /** Fills free slots: gives those that were not there before. */
  async #admit(): Promise<Running[]> {
    const arriving: Running[] = [];
    while (true) {
      const next = this.#next();
      if (next === undefined || !this.#canJoin(next)) return arriving;
      this.#waiting = this.#waiting.filter((other) => other !== next);
      if (this.#running.length === 0) this.#prepareFor(next);
      const running = await this.#begin(next);
      if (running === null) continue;
      this.#running.push(running);
      arriving.push(running);
    }
  }

  #next(): Planned | undefined {
    return this.#waiting.toSorted((a, b) =>
      b.task.priority - a.task.priority || a.task.createdAt - b.task.createdAt
    )[0];
  }

  #canJoin({ kind }: Planned): boolean {
    if (this.#running.length === 0) return true;
    return this.#alone === null && this.#running.length < this.#slots &&
      isSameKind(kind, this.#batch!.kind);
  }

  /** Makes ready for pictures of a kind. */
  #prepareFor({ task, kind }: Planned): void {
    if (kind.inner !== "always") {
      this.#alone = new AbortController();
      return;
    }
    this.#alone = null;
    this.#batch = this.pipeline.batch(kind);
    const { slots } = this.options;
    this.#slots = this.pipeline.resolve({ ...task.request, count: slots, batch: slots }).batch;
  }

  async #begin(planned: Planned): Promise<Running | null> {
    const { task, resolved } = planned;
    const beginning = performance.now();
    try {
      const [sampled] = await this.pipeline.prepare(resolved, resolved.jobs);
      const warnings = sampled!.truncations.map(truncationMessage);
      if (warnings.length > 0) this.options.emit({ kind: "warned", id: task.id, warnings });
      const now = performance.now();
      return {
        ...planned,
        sampled: await this.#canGoOn(planned) ? { ...sampled!, saved: task.saved! } : sampled!,
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

  /** A picture whose inner UNets are not run at every step: its schedule is its own. */
  async #runAlone(running: Running): Promise<void> {
    const { task: { id, request }, resolved } = running;
    const { signal } = this.#alone!;
    const steps = resolved.plan.times.length;
    const began = performance.now();
    this.#arrive();
    try {
      // It may have been canceled while its prompt was read.
      if (this.#canceled.has(id)) return;
      this.options.emit({ kind: "began", id, step: 0, steps });
      for await (const event of this.pipeline.generate({ ...request, batch: 1, signal })) {
        if (event.kind === "progress") {
          this.options.emit({ kind: "progress", id, step: event.step, steps });
          this.#measure([running]);
        }
        if (event.kind !== "picture") continue;
        running.gpuMs = performance.now() - began;
        this.#follow(this.#deliver(running, Promise.resolve(event.picture)));
      }
    } catch (error) {
      this.pipeline.gpu.check();
      if (!signal.aborted) this.#fail(id, error);
      else if (this.#stopping === "saving") this.options.emit({ kind: "saved", id, saved: null });
    } finally {
      this.#alone = null;
      this.#running = [];
    }
  }

  #report(done: readonly Sampled[]): void {
    for (const { task, sampled } of this.#running) {
      const step = this.#batch!.stepsOf(sampled);
      const steps = sampled.plan.times.length;
      this.options.emit({ kind: "progress", id: task.id, step, steps });
      const every = Math.ceil(steps / PREVIEWS);
      if (task.output.preview && step % every === 0 && !done.includes(sampled)) {
        this.#follow(this.#preview(sampled, step));
      }
    }
  }

  /** Shows one of the inner resolutions, the smallest first. */
  async #preview(sampled: Sampled, step: number): Promise<void> {
    const { task: { id, output }, resolved } = this.#runningOf(sampled);
    const inner = sampled.plan.levels.length - 1;
    const share = step / sampled.plan.times.length;
    const level = inner - Math.min(Math.floor(share * inner), Math.max(0, inner - 1));
    const estimate = await this.#batch!.preview(sampled, level);
    const encoding = previewEncoding(output, this.pipeline.folder.config);
    const model = await this.options.model;
    const [job] = resolved.jobs;
    const frames = at(level, this.pipeline.frames(estimate, level));
    const picture = { ...job!, levels: at(level, estimate), frames };
    const [file] = await encodeLevels(picture, [level], encoding, { resolved, model });
    this.options.emit({ kind: "preview", id, step, file: file! });
  }

  /** Frees the slot of a picture that is done, and sees to its result. */
  #leave(sampled: Sampled): void {
    const running = this.#runningOf(sampled);
    const levels = this.#batch!.read(sampled);
    this.#batch!.remove(sampled);
    this.#running = this.#running.filter((other) => other !== running);
    const picture = levels.then((read) => this.pipeline.finished(running.resolved.jobs[0]!, read));
    this.#follow(this.#deliver(running, picture));
  }

  async #deliver(running: Running, reading: Promise<GeneratedPicture>): Promise<void> {
    const { task: { id, output }, resolved, encoding, beganAt, textMs } = running;
    const picture = await reading;
    const read = performance.now();
    const levels = output.levels ? [...picture.levels.keys()] : [0];
    let files: EncodedLevel[];
    try {
      const model = await this.options.model;
      files = await encodeLevels(picture, levels, encoding, { resolved, model });
    } catch (error) {
      // It may be more than its format holds.
      return this.#fail(id, error);
    }
    const timings: PictureTimings = {
      textMs,
      stepsMs: read - beganAt,
      encodeMs: performance.now() - read,
      gpuMs: running.gpuMs,
    };
    this.options.emit({ kind: "made", id, files, timings });
  }

  /** Reads and encodes beside the steps; what the GPU reports there is thrown before the next one. */
  #follow(work: Promise<void>): void {
    const followed = work.catch((error) => {
      this.#broken ??= error;
      this.#wake();
    }).finally(() => this.#reading.delete(followed));
    this.#reading.add(followed);
  }

  /** What comes before a picture's first step is no part of it. */
  #arrive(): void {
    this.#lastStepAt = performance.now();
    this.#isSteady = false;
  }

  /** Shares out how long a step of these took, and tells it. */
  #measure(together: readonly Running[]): void {
    const now = performance.now();
    const ms = now - this.#lastStepAt;
    const pictures = together.length;
    for (const running of together) running.gpuMs += ms / pictures;
    if (this.#isSteady) this.options.emit({ kind: "step", ms, pictures });
    this.#lastStepAt = now;
    this.#isSteady = true;
  }

  #dropCanceled(): void {
    for (const { task, sampled } of this.#running) {
      if (this.#canceled.has(task.id)) this.#batch?.remove(sampled);
    }
    const stays = ({ task }: Planned) => !this.#canceled.has(task.id);
    this.#running = this.#running.filter(stays);
    this.#waiting = this.#waiting.filter(stays);
    this.#canceled.clear();
  }

  async #saveAll(): Promise<void> {
    // Where it cannot be said what model they are of, pictures have to begin again.
    const model = await this.options.model.catch(() => null);
    await Promise.all(this.#running.map(async ({ task: { id }, sampled }) => {
      const state = await this.#batch!.save(sampled);
      this.#batch!.remove(sampled);
      const saved = model && { ...state, weights: model.weights };
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

  /** @throws {MdmError} When the task cannot be. */
  #plan(task: PictureTask): Planned {
    const resolved = this.pipeline.resolve({ ...task.request, batch: 1 });
    const encoding = encodingOf(task.output, this.pipeline.folder.config);
    const kind = batchKind(resolved, this.pipeline.folder);
    if (kind.inner !== "always") return { task, resolved, encoding, kind };
    // One kind for pictures with and without guidance and noise: neither changes the bits of a picture that has none.
    const guided = this.pipeline.guides ? "sometimes" : "never";
    return { task, resolved, encoding, kind: { ...kind, guided, noise: "seeded" } };
  }

  /** Whether a picture goes on from its state: without one, or with one of another model or size, it begins. */
  async #canGoOn({ task: { saved }, resolved: { plan, size } }: Planned): Promise<boolean> {
    if (saved === undefined || saved.weights !== (await this.options.model).weights) return false;
    const { step, latents } = saved;
    const shapes = imageShapes(this.pipeline.folder.network, 1, size);
    return step < plan.times.length && latents.length === shapes.length &&
      shapes.every((shape, level) => elements(shape) === latents[level]!.length);
  }

  #runningOf(sampled: Sampled): Running {
    return this.#running.find((running) => running.sampled === sampled)!;
  }

  #fail(id: string, error: unknown): void {
    this.options.emit({ kind: "failed", id, error: jobError(error) });
  }
}

/** A list of one, at its place. */
function at<T>(index: number, value: T): T[] {
  const list: T[] = [];
  list[index] = value;
  return list;
}
