import { setTimeout as pause } from "node:timers/promises";
import type { DescribedModel } from "../pipeline/models/built_in.ts";
import {
  decodeSamplerState,
  encodeSamplerState,
  type SamplerState,
} from "../pipeline/sampler_state.ts";
import type { Engine, ImageUpdate } from "../engine/engine.ts";
import type { EncodedLevel, ImageTimings, NewImageTask } from "../engine/image_task.ts";
import { until } from "../until.ts";
import type { Job, JobFile, JobOutcome, JobProgress, JobTimings } from "./job.ts";
import { etaMs, type JobPace } from "./eta.ts";
import { DEADLINE_PASSED, jobError, JobFailed } from "./job_error.ts";
import { LONGEST_TIMER } from "./longest_timer.ts";
import type { Moderator } from "./moderation.ts";
import { planJob, seedOf } from "./plan_job.ts";
import type { Heartbeat, JobQueue, Lease } from "./queue/queue.ts";
import { imageOfState, STATE_TYPE, stateName } from "./state_names.ts";
import type { ResultStore } from "./store/store.ts";
import { tellUnlessAway, Unavailable } from "./unavailable.ts";

/** What running a job takes. */
export interface JobRunOptions {
  readonly queue: JobQueue;
  readonly store: ResultStore;
  readonly engine: Engine;
  readonly model: Pick<DescribedModel, "config" | "diffusion">;
  readonly moderator: Moderator;
  /** Milliseconds after which a job that the queue has not heard of counts as lost. */
  readonly leaseMs: number;
  /** Milliseconds that a job may run. */
  readonly runMs: number;
  /** Aborted when the process is about to end: no image is begun, and a store that is away is not waited for any more. */
  readonly leaving?: AbortSignal;
  /** Aborted when it ends: nor is a queue. */
  readonly gone?: AbortSignal;
}

/** How a run came to its end; "lost": somebody else has the job by now. */
export type RunEnd = JobOutcome["state"] | "released" | "lost";

/** Milliseconds between two reports of how far a job is. */
const REPORT_MS = 250;

/** Milliseconds within which a job that is canceled should know it, however long its steps are. */
const LISTEN_MS = 1000;

/** How far one image is. */
interface ImageState {
  /** Steps done before it began here, and now. */
  first: number;
  step: number;
  beganAt: number | null;
  timings: ImageTimings | null;
}

/**
 * One job's run: has its images made, stores their files, and reports to the queue. Whatever happens to this process on the way, the
 * queue gives the job to another worker, which makes what is missing.
 */
export class JobRun {
  readonly #abort = new AbortController();
  readonly #files: JobFile[];
  readonly #previews = new Map<string, JobFile>();
  readonly #warnings: Set<string>;
  #images: ImageState[] = [];
  /** Of each image. */
  #steps = 0;
  #firstSteps: JobPace["first"] = null;
  #reportedAt = 0;
  #answeredAt = Date.now();
  /** Files that are stored, one after the other. */
  #storing: Promise<void> = Promise.resolve();
  /** Reports to the queue, one after the other. They do not wait for files: one that takes long must not cost the lease. */
  #reporting: Promise<void> = Promise.resolve();
  #willReport = false;
  /** How much of this waits for the store, since when, and how long it did before: that is no time that the job runs. */
  #waiting = 0;
  #waitingSince = 0;
  #waitedMs = 0;

  constructor(private readonly lease: Lease, private readonly options: JobRunOptions) {
    this.#files = [...lease.job.files];
    this.#warnings = new Set(lease.job.warnings);
  }

  get job(): Job {
    return this.lease.job;
  }

  /** Images that are still to be made. */
  get open(): number {
    const { prompts, count } = this.job.request;
    const isPlanned = this.#images.length > 0;
    return isPlanned
      ? this.#images.filter(({ timings }) => timings === null).length
      : prompts.length * count;
  }

  /** Works until the job has ended, or is given back since the engine was stopped. */
  async run(): Promise<RunEnd> {
    using _timers = this.#startTimers();
    let states: string[] | null;
    try {
      // It may be waiting for something that does not answer.
      states = await until(this.#abort.signal, this.#makeAll());
    } catch (error) {
      this.#abort.abort(error);
      if (error === LOST) return "lost";
      if (error === LEFT) return await this.#release([]);
      if (error === CANCELED) return await this.#finish({ state: "canceled", error: null });
      return await this.#finish({ state: "failed", error: jobError(error) });
    }
    if (states !== null) return await this.#release(states);
    return await this.#finish({ state: "succeeded", error: null });
  }

  /** @returns Null when all images are made; else the names of the saved states of those that were stopped. */
  async #makeAll(): Promise<string[] | null> {
    const { job } = this.lease;
    const { moderator, model } = this.options;
    const { images, output, steps } = planJob(job.request, model);
    this.#steps = steps;
    await this.#dropMissing();
    const made = new Set(this.#files.map(({ picture }) => picture));
    this.#images = images.map((_, i) => {
      const first = made.has(i) ? steps : 0;
      return { first, step: first, beganAt: null, timings: made.has(i) ? NOTHING : null };
    });
    allow(await moderator.before(job));
    const saved = await this.#readStates();
    for (const [i, { step }] of saved) {
      if (step < steps) Object.assign(this.#images[i]!, { first: step, step });
    }
    this.#abort.signal.throwIfAborted();
    const ends = await Promise.all(images.map(async (resolved, i) => {
      if (made.has(i)) return null;
      const state = saved.get(i);
      return await this.#make(i, {
        resolved,
        output,
        priority: job.priority,
        createdAt: job.createdAt,
        ...state !== undefined && { saved: state },
      });
    }));
    await this.#storing;
    const stopped = ends.entries().filter(([, end]) => end !== null).toArray();
    if (stopped.length > 0) return await this.#writeStates(stopped);
    // What was written first may have gone with its folder meanwhile.
    return await this.#dropMissing() ? await this.#makeAll() : null;
  }

  /** Forgets images of which a file is not there any more, so that they are made again; gives whether there were any. */
  async #dropMissing(): Promise<boolean> {
    const missing = new Set<number>();
    for (const { name, picture: image } of this.#files) {
      const has = await this.#whenThere(() => this.options.store.has(this.job.id, name));
      if (!has) missing.add(image);
    }
    const kept = this.#files.filter(({ picture }) => !missing.has(picture));
    this.#files.splice(0, Infinity, ...kept);
    return missing.size > 0;
  }

  /** @returns Null when it is made, or where it was stopped. */
  async #make(i: number, task: NewImageTask): Promise<{ saved: SamplerState | null } | null> {
    // What comes after all images were stopped would go on for ever.
    if (this.options.leaving?.aborted) return { saved: task.saved ?? null };
    const result = await this.options.engine.make(task, {
      signal: this.#abort.signal,
      onUpdate: (update) => this.#update(i, update),
    });
    if (result.kind === "failed") throw new JobFailed(result.error);
    if (result.kind === "saved") return { saved: result.saved };
    const { files, timings } = result;
    return await this.#afterOthers(() => this.#store(i, files, timings)) ? null : { saved: null };
  }

  #update(i: number, update: ImageUpdate): void {
    const image = this.#images[i]!;
    if (update.kind === "warned") {
      for (const warning of update.warnings) this.#warnings.add(warning);
      return;
    }
    if (update.kind === "preview") {
      return void this.#afterOthers(() => this.#storePreview(i, update)).catch(() => {});
    }
    if (update.kind === "began" || image.beganAt === null) {
      image.first = update.step;
      image.beganAt = Date.now();
    }
    image.step = update.step;
    if (this.#stepsHere > 0) this.#firstSteps ??= { at: Date.now(), done: this.#stepsHere };
    if (Date.now() - this.#reportedAt >= REPORT_MS) this.#reportSoon();
  }

  /** Stores an image's files, and reports them once they are there; false where the process is about to end before they can be. */
  async #store(
    i: number,
    levels: readonly EncodedLevel[],
    timings: ImageTimings,
  ): Promise<boolean> {
    const files = levels.map((level) => this.#fileOf(i, level, `${i}`, level.level > 0));
    allow(await this.options.moderator.after(this.job, files[0]!, levels[0]!.bytes));
    try {
      for (const [at, file] of files.entries()) {
        await this.#whenThere(() => this.#put(file, levels[at]!));
      }
    } catch (error) {
      if (error === LEFT) return false;
      throw error;
    }
    this.#abort.signal.throwIfAborted();
    this.#files.push(...files);
    const image = this.#images[i]!;
    image.timings = timings;
    image.step = this.#steps;
    await this.#report();
    return true;
  }

  async #storePreview(
    i: number,
    { step, file: level }: ImageUpdate & { kind: "preview" },
  ): Promise<void> {
    const file = this.#fileOf(i, level, `preview-${i}-${step}`, true);
    allow(await this.options.moderator.after(this.job, file, level.bytes));
    try {
      await this.#put(file, level);
    } catch (error) {
      // Whoever watches the image on its way misses one preview.
      if (error instanceof Unavailable) return;
      throw error;
    }
    this.#previews.set(`${i} ${level.level}`, file);
    await this.#report();
  }

  #fileOf(image: number, encoded: EncodedLevel, name: string, sized: boolean): JobFile {
    const { level, type, width, height, frames, extension, bytes } = encoded;
    const size = sized ? `-${width}x${height}` : "";
    return {
      name: `${name}${size}${extension}`,
      picture: image,
      level,
      seed: seedOf(this.job.request, image),
      type,
      width,
      height,
      frames,
      bytes: bytes.length,
    };
  }

  async #put({ name, type }: JobFile, { bytes }: EncodedLevel): Promise<void> {
    this.#abort.signal.throwIfAborted();
    await this.options.store.put(this.job.id, name, bytes, type);
  }

  /**
   * Uses the store as soon as it is there: an outage does not cost a job what was made of it. It throws `LEFT` where the process is
   * about to end before.
   */
  async #whenThere<T>(use: () => Promise<T>): Promise<T> {
    const { leaving } = this.options;
    const { signal } = this.#abort;
    const over = leaving === undefined ? signal : AbortSignal.any([signal, leaving]);
    let isWaiting = false;
    try {
      while (true) {
        signal.throwIfAborted();
        try {
          return await this.#unlessGone(use());
        } catch (error) {
          if (!(error instanceof Unavailable)) throw error;
        }
        if (leaving?.aborted) throw LEFT;
        if (!isWaiting && this.#waiting++ === 0) this.#waitingSince = Date.now();
        isWaiting = true;
        await pause(LISTEN_MS, undefined, { signal: over }).catch(() => {});
      }
    } finally {
      if (isWaiting && --this.#waiting === 0) this.#waitedMs += Date.now() - this.#waitingSince;
    }
  }

  /** Milliseconds that this waited for the store since it was last asked. */
  #takeWaited(): number {
    const now = Date.now();
    const ms = this.#waitedMs + (this.#waiting > 0 ? now - this.#waitingSince : 0);
    this.#waitedMs = 0;
    this.#waitingSince = now;
    return ms;
  }

  /** What a call to the store gives; it throws `LEFT` where the process ends before. */
  #unlessGone<T>(call: Promise<T>): Promise<T> {
    const { gone } = this.options;
    return gone === undefined ? call : until(gone, call, LEFT);
  }

  /** A saved state that is not there, or no good, is none: the image begins again, to the same result. */
  async #readStates(): Promise<Map<number, SamplerState>> {
    const saved = new Map<number, SamplerState>();
    for (const name of this.lease.checkpoints) {
      const image = imageOfState(name);
      if (image === null || image >= this.#images.length) continue;
      try {
        const file = await this.options.store.get(this.job.id, name);
        if (file === null) continue;
        const bytes = new Uint8Array(await new Response(file.body).arrayBuffer());
        saved.set(image, decodeSamplerState(bytes, name));
      } catch (error) {
        tellUnlessAway(error);
      }
    }
    return saved;
  }

  /** @returns The names of those that were stored. */
  async #writeStates(
    stopped: readonly [number, { saved: SamplerState | null } | null][],
  ): Promise<string[]> {
    const names: string[] = [];
    for (const [image, end] of stopped) {
      if (!end?.saved) continue;
      const name = stateName(image);
      const content = encodeSamplerState(end.saved);
      try {
        const put = this.options.store.put(this.job.id, name, content, STATE_TYPE);
        await this.#unlessGone(put);
        names.push(name);
      } catch (error) {
        // Without it the image begins again.
        if (error !== LEFT && !(error instanceof Unavailable)) throw error;
      }
    }
    return names;
  }

  /** Stores files after those before; none any more once the job is stopped. */
  async #afterOthers<T>(store: () => Promise<T>): Promise<T> {
    const stored = this.#storing.then(async () => {
      this.#abort.signal.throwIfAborted();
      return await store();
    });
    this.#storing = stored.then(() => {}, (error) => this.#abort.abort(error));
    return await stored;
  }

  #reportSoon(): void {
    // While the queue does not answer, reports must not pile up.
    if (!this.#willReport) this.#report().catch(() => {});
  }

  /** Reports to the queue how far the job is, after the reports before; the answer is whether to go on. */
  async #report(): Promise<void> {
    this.#willReport = true;
    const reported = this.#reporting.then(async () => {
      this.#willReport = false;
      this.#reportedAt = Date.now();
      this.#abort.signal.throwIfAborted();
      const answer = await this.#heartbeat();
      if (answer === "lost") throw LOST;
      if (answer === "canceled") throw CANCELED;
    });
    this.#reporting = reported.catch((error) => this.#abort.abort(error));
    await reported;
  }

  /**
   * A queue that is away gets the next report: it gives the job to nobody else meanwhile, or says so when it is back. Where something
   * else is wrong with it, another worker may have the job when the lease is over.
   */
  async #heartbeat(): Promise<Heartbeat> {
    const seen = {
      progress: this.#progress,
      files: [...this.#files],
      warnings: [...this.#warnings],
    };
    try {
      const answer = await this.options.queue.heartbeat(this.lease, seen);
      this.#answeredAt = Date.now();
      return answer;
    } catch (error) {
      if (error instanceof Unavailable) return "alive";
      console.error(error);
      return Date.now() - this.#answeredAt < this.options.leaseMs ? "alive" : "lost";
    }
  }

  get #progress(): JobProgress {
    const step = sum(this.#images.map((image) => image.step));
    const steps = this.#steps * this.#images.length;
    const pace: JobPace = {
      beganAt: this.#begunAt,
      done: this.#stepsHere,
      left: steps - step,
      first: this.#firstSteps,
      together: this.#images.filter(({ beganAt, timings }) => beganAt !== null && timings === null)
        .length,
      stepMs: this.options.engine.stepMs,
    };
    return { step, steps, etaMs: etaMs(pace, Date.now()), previews: [...this.#previews.values()] };
  }

  /** Steps of all images that were made here. */
  get #stepsHere(): number {
    return sum(this.#images.map(({ first, step }) => step - first));
  }

  /** When the first image got a slot. */
  get #begunAt(): number | null {
    const times = this.#images.map(({ beganAt }) => beganAt).filter((time) => time !== null);
    return times.length === 0 ? null : Math.min(...times);
  }

  async #release(states: readonly string[]): Promise<RunEnd> {
    const { queue } = this.options;
    const isOurs = await this.#insist(() => queue.release(this.lease, states));
    return isOurs ? "released" : "lost";
  }

  async #finish({ state, error }: Pick<JobOutcome, "state" | "error">): Promise<RunEnd> {
    await this.#reporting;
    const outcome = {
      state,
      error,
      files: this.#files,
      warnings: [...this.#warnings],
      timings: this.#timings,
    };
    const { queue } = this.options;
    const isOurs = await this.#insist(() => queue.finish(this.lease, outcome));
    return isOurs ? state : "lost";
  }

  /** Reports to the queue how the job ends: again where it cannot be reached, for what was made would be lost with the lease. */
  async #insist<T>(report: () => Promise<T>): Promise<T> {
    const { gone, leaseMs } = this.options;
    while (true) {
      try {
        return await report();
      } catch (error) {
        const isOver = error instanceof Unavailable
          ? gone?.aborted
          : Date.now() - this.#answeredAt >= leaseMs;
        if (isOver) throw error;
        tellUnlessAway(error);
        await pause(LISTEN_MS);
      }
    }
  }

  get #timings(): JobTimings | null {
    const began = this.#begunAt;
    if (began === null) return null;
    const parts = this.#images.flatMap(({ timings }) => timings ?? []);
    const total = (part: keyof ImageTimings) => sum(parts.map((timings) => timings[part]));
    return {
      queueMs: began - this.job.createdAt,
      textMs: total("textMs"),
      stepsMs: Date.now() - began,
      encodeMs: total("encodeMs"),
      gpuSeconds: total("gpuMs") / 1000,
    };
  }

  /** Keeps the lease, and stops the job when its time is over. */
  #startTimers(): Disposable {
    const timers = new DisposableStack();
    const { leaseMs, runMs } = this.options;
    const beat = setInterval(() => this.#reportSoon(), Math.min(LISTEN_MS, leaseMs / 3));
    timers.defer(() => clearInterval(beat));
    const stopAfter = (ms: number, stop: () => void) => {
      const timer = setTimeout(stop, Math.min(ms, LONGEST_TIMER));
      timers.defer(() => clearTimeout(timer));
    };
    const runOut = () => {
      const waited = this.#takeWaited();
      if (waited > 0) return stopAfter(Math.max(LISTEN_MS, waited), runOut);
      this.#abort.abort(
        new JobFailed({
          code: "timeout",
          message: `The job ran longer than ${
            Math.round(runMs / 1000)
          } seconds: ask for fewer images or steps.`,
        }),
      );
    };
    stopAfter(runMs, runOut);
    if (this.job.deadline !== null) {
      const ms = Math.max(0, this.job.deadline - Date.now());
      stopAfter(ms, () => this.#abort.abort(new JobFailed(DEADLINE_PASSED)));
    }
    return timers;
  }
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((a, b) => a + b, 0);
}

const NOTHING: ImageTimings = { textMs: 0, stepsMs: 0, encodeMs: 0, gpuMs: 0 };

/** Reasons for which a run is stopped from outside. */
const LOST = new Error("Another worker has the job");
const CANCELED = new Error("The job was canceled");
const LEFT = new Error("The process ends before the store is there");

/** @throws {JobFailed} When moderation refuses what it was asked about. */
function allow(verdict: { readonly allow: boolean; readonly reason?: string }): void {
  if (verdict.allow) return;
  const message = verdict.reason ?? "The request was refused by moderation.";
  throw new JobFailed({ code: "refused", message });
}
