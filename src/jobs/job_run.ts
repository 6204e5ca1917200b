import { setTimeout as pause } from "node:timers/promises";
import type { DescribedModel } from "../pipeline/models/built_in.ts";
import {
  CHECKPOINT_TYPE,
  checkpointName,
  decodeCheckpoint,
  encodeCheckpoint,
  pictureOf,
} from "../engine/sampler_state.ts";
import type { PictureEnd, PictureNews } from "../engine/engine.ts";
import type { Job, JobFile, JobOutcome, JobProgress, JobTimings } from "./job.ts";
import { etaMs, type JobPace } from "./eta.ts";
import { DEADLINE_PASSED, jobError, JobFailed } from "./job_error.ts";
import { LONGEST_TIMER } from "./longest_timer.ts";
import type { Moderator } from "./moderation.ts";
import type {
  Checkpoint,
  EncodedLevel,
  PictureTask,
  PictureTimings,
} from "../engine/picture_task.ts";
import { planJob, seedOf } from "./pictures.ts";
import type { Heartbeat, JobQueue, Lease } from "./queue/queue.ts";
import type { ResultStore } from "./store/store.ts";
import { tellUnlessAway, Unavailable } from "./unavailable.ts";
import { until } from "../until.ts";

/** What makes pictures: an `Engine`. */
export interface PictureMaker {
  /** Milliseconds that a step took of late; null: none was made. */
  readonly stepMs: number | null;
  make(
    task: Omit<PictureTask, "id">,
    options: { readonly signal: AbortSignal; readonly onNews: (news: PictureNews) => void },
  ): Promise<PictureEnd>;
}

/** What running a job takes. */
export interface JobRunOptions {
  readonly queue: JobQueue;
  readonly store: ResultStore;
  readonly maker: PictureMaker;
  readonly model: Pick<DescribedModel, "config" | "diffusion">;
  readonly moderator: Moderator;
  /** Milliseconds after which a job that the queue has not heard of counts as lost. */
  readonly leaseMs: number;
  /** Milliseconds that a job may run. */
  readonly runMs: number;
  /** Aborted when the process is about to end: a store that is away is not waited for any more. */
  readonly leaving?: AbortSignal;
  /** Aborted when it ends: nor is a queue. */
  readonly gone?: AbortSignal;
}

/** How a run came to its end; "lost": somebody else has the job by now. */
export type RunEnd = JobOutcome["state"] | "released" | "lost";

/** Milliseconds between two notes of how far a job is. */
const NOTE_MS = 250;

/** Milliseconds within which a job that is canceled should know it, however long its steps are. */
const LISTEN_MS = 1000;

/** How far one picture is. */
interface PictureState {
  /** Steps done before it began here, and now. */
  first: number;
  step: number;
  beganAt: number | null;
  timings: PictureTimings | null;
}

/**
 * One job's run: has its pictures made, keeps their files, and tells the queue. Whatever happens to this process on the way, the queue
 * gives the job to somebody again, who makes what is missing.
 */
export class JobRun {
  readonly #abort = new AbortController();
  readonly #files: JobFile[];
  readonly #previews = new Map<string, JobFile>();
  readonly #warnings: Set<string>;
  #pictures: PictureState[] = [];
  /** Of each picture. */
  #steps = 0;
  #firstSteps: JobPace["first"] = null;
  #notedAt = 0;
  #heardAt = Date.now();
  /** Files that are kept, one after the other. */
  #keeping: Promise<void> = Promise.resolve();
  /** What the queue is told, one after the other: beside the files, for one that takes long must not cost the lease. */
  #telling: Promise<void> = Promise.resolve();
  #willTell = false;
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

  /** Pictures that are still to be made. */
  get open(): number {
    const { prompts, count } = this.job.request;
    const isPlanned = this.#pictures.length > 0;
    return isPlanned
      ? this.#pictures.filter(({ timings }) => timings === null).length
      : prompts.length * count;
  }

  /** Works until the job has ended, or is given back since the maker was told to stop. */
  async run(): Promise<RunEnd> {
    using _timers = this.#startTimers();
    let checkpoints: string[] | null;
    try {
      // It may be waiting for somebody who does not answer.
      checkpoints = await until(this.#abort.signal, this.#makeAll());
    } catch (error) {
      this.#abort.abort(error);
      if (error === LOST) return "lost";
      if (error === LEFT) return await this.#release([]);
      if (error === CANCELED) return await this.#finish({ state: "canceled", error: null });
      return await this.#finish({ state: "failed", error: jobError(error) });
    }
    if (checkpoints !== null) return await this.#release(checkpoints);
    return await this.#finish({ state: "succeeded", error: null });
  }

  /** @returns Null when all pictures are made; else the names of the checkpoints of those that were stopped. */
  async #makeAll(): Promise<string[] | null> {
    const { job } = this.lease;
    const { moderator, model } = this.options;
    const { pictures, output, steps } = planJob(job.request, model);
    this.#steps = steps;
    await this.#dropMissing();
    const made = new Set(this.#files.map(({ picture }) => picture));
    this.#pictures = pictures.map((_, i) => {
      const first = made.has(i) ? steps : 0;
      return { first, step: first, beganAt: null, timings: made.has(i) ? NOTHING : null };
    });
    allow(await moderator.before(job));
    const saved = await this.#readCheckpoints();
    for (const [i, { step }] of saved) {
      if (step < steps) Object.assign(this.#pictures[i]!, { first: step, step });
    }
    this.#abort.signal.throwIfAborted();
    const ends = await Promise.all(pictures.map(async (request, i) => {
      if (made.has(i)) return null;
      const state = saved.get(i);
      return await this.#make(i, {
        request,
        output,
        priority: job.priority,
        createdAt: job.createdAt,
        ...state !== undefined && { saved: state },
      });
    }));
    await this.#keeping;
    const stopped = ends.entries().filter(([, end]) => end !== null).toArray();
    if (stopped.length > 0) return await this.#writeCheckpoints(stopped);
    // What was written first may have gone with its folder meanwhile.
    return await this.#dropMissing() ? await this.#makeAll() : null;
  }

  /** Forgets pictures of which a file is not there any more, so that they are made again; gives whether there were any. */
  async #dropMissing(): Promise<boolean> {
    const missing = new Set<number>();
    for (const { name, picture } of this.#files) {
      const has = await this.#whenThere(() => this.options.store.has(this.job.id, name));
      if (!has) missing.add(picture);
    }
    const kept = this.#files.filter(({ picture }) => !missing.has(picture));
    this.#files.splice(0, Infinity, ...kept);
    return missing.size > 0;
  }

  /** @returns Null when it is made, or where it was stopped. */
  async #make(
    i: number,
    task: Omit<PictureTask, "id">,
  ): Promise<{ saved: Checkpoint | null } | null> {
    const end = await this.options.maker.make(task, {
      signal: this.#abort.signal,
      onNews: (news) => this.#hear(i, news),
    });
    if (end.kind === "failed") throw new JobFailed(end.error);
    if (end.kind === "saved") return { saved: end.saved };
    const kept = await this.#afterOthers(() => this.#keep(i, end.files, end.timings));
    return kept ? null : { saved: null };
  }

  #hear(i: number, news: PictureNews): void {
    const picture = this.#pictures[i]!;
    if (news.kind === "warned") {
      for (const warning of news.warnings) this.#warnings.add(warning);
      return;
    }
    if (news.kind === "preview") {
      return void this.#afterOthers(() => this.#keepPreview(i, news)).catch(() => {});
    }
    if (news.kind === "began" || picture.beganAt === null) {
      picture.first = news.step;
      picture.beganAt = Date.now();
    }
    picture.step = news.step;
    if (this.#stepsHere > 0) this.#firstSteps ??= { at: Date.now(), done: this.#stepsHere };
    if (Date.now() - this.#notedAt >= NOTE_MS) this.#tellSoon();
  }

  /** Keeps a picture's files, and tells of them once they are there; false where the process is about to end before they can be. */
  async #keep(
    i: number,
    levels: readonly EncodedLevel[],
    timings: PictureTimings,
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
    const picture = this.#pictures[i]!;
    picture.timings = timings;
    picture.step = this.#steps;
    await this.#tell();
    return true;
  }

  async #keepPreview(
    i: number,
    { step, file: level }: PictureNews & { kind: "preview" },
  ): Promise<void> {
    const file = this.#fileOf(i, level, `preview-${i}-${step}`, true);
    allow(await this.options.moderator.after(this.job, file, level.bytes));
    try {
      await this.#put(file, level);
    } catch (error) {
      // Whoever looks at the picture on its way misses one look.
      if (error instanceof Unavailable) return;
      throw error;
    }
    this.#previews.set(`${i} ${level.level}`, file);
    await this.#tell();
  }

  #fileOf(picture: number, encoded: EncodedLevel, name: string, sized: boolean): JobFile {
    const { level, type, width, height, frames, extension, bytes } = encoded;
    const size = sized ? `-${width}x${height}` : "";
    return {
      name: `${name}${size}${extension}`,
      picture,
      level,
      seed: seedOf(this.job.request, picture),
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

  /** A checkpoint that is not there, or no good, is none: the picture begins again, to the same result. */
  async #readCheckpoints(): Promise<Map<number, Checkpoint>> {
    const saved = new Map<number, Checkpoint>();
    for (const name of this.lease.checkpoints) {
      const picture = pictureOf(name);
      if (picture === null || picture >= this.#pictures.length) continue;
      try {
        const file = await this.options.store.get(this.job.id, name);
        if (file === null) continue;
        const bytes = new Uint8Array(await new Response(file.body).arrayBuffer());
        saved.set(picture, decodeCheckpoint(bytes, name));
      } catch (error) {
        tellUnlessAway(error);
      }
    }
    return saved;
  }

  async #writeCheckpoints(
    stopped: readonly [number, { saved: Checkpoint | null } | null][],
  ): Promise<string[]> {
    const names: string[] = [];
    for (const [picture, end] of stopped) {
      if (!end?.saved) continue;
      const name = checkpointName(picture);
      const content = encodeCheckpoint(end.saved);
      try {
        const put = this.options.store.put(this.job.id, name, content, CHECKPOINT_TYPE);
        await this.#unlessGone(put);
        names.push(name);
      } catch (error) {
        // Without it the picture begins again.
        if (error !== LEFT && !(error instanceof Unavailable)) throw error;
      }
    }
    return names;
  }

  /** Keeps files after those before; none any more once the job is stopped. */
  async #afterOthers<T>(keep: () => Promise<T>): Promise<T> {
    const kept = this.#keeping.then(async () => {
      this.#abort.signal.throwIfAborted();
      return await keep();
    });
    this.#keeping = kept.then(() => {}, (error) => this.#abort.abort(error));
    return await kept;
  }

  #tellSoon(): void {
    // While the queue does not answer, what it has yet to be told must not grow.
    if (!this.#willTell) this.#tell().catch(() => {});
  }

  /** Tells the queue how far the job is, after what it was told before; hears whether to go on. */
  async #tell(): Promise<void> {
    this.#willTell = true;
    const told = this.#telling.then(async () => {
      this.#willTell = false;
      this.#notedAt = Date.now();
      this.#abort.signal.throwIfAborted();
      const heard = await this.#beat();
      if (heard === "lost") throw LOST;
      if (heard === "canceled") throw CANCELED;
    });
    this.#telling = told.catch((error) => this.#abort.abort(error));
    await told;
  }

  /**
   * A queue that is away is told later: it gives the job to nobody else meanwhile, or says so when it is back. Where something else is
   * wrong with it, somebody else may have the job when the lease is over.
   */
  async #beat(): Promise<Heartbeat> {
    const seen = {
      progress: this.#progress,
      files: [...this.#files],
      warnings: [...this.#warnings],
    };
    try {
      const heard = await this.options.queue.heartbeat(this.lease, seen);
      this.#heardAt = Date.now();
      return heard;
    } catch (error) {
      if (error instanceof Unavailable) return "alive";
      console.error(error);
      return Date.now() - this.#heardAt < this.options.leaseMs ? "alive" : "lost";
    }
  }

  get #progress(): JobProgress {
    const step = sum(this.#pictures.map((picture) => picture.step));
    const steps = this.#steps * this.#pictures.length;
    const pace: JobPace = {
      beganAt: this.#begunAt,
      done: this.#stepsHere,
      left: steps - step,
      first: this.#firstSteps,
      together:
        this.#pictures.filter(({ beganAt, timings }) => beganAt !== null && timings === null)
          .length,
      stepMs: this.options.maker.stepMs,
    };
    return { step, steps, etaMs: etaMs(pace, Date.now()), previews: [...this.#previews.values()] };
  }

  /** Steps of all pictures that were made here. */
  get #stepsHere(): number {
    return sum(this.#pictures.map(({ first, step }) => step - first));
  }

  /** When the first picture got a slot. */
  get #begunAt(): number | null {
    const times = this.#pictures.map(({ beganAt }) => beganAt).filter((time) => time !== null);
    return times.length === 0 ? null : Math.min(...times);
  }

  async #release(checkpoints: readonly string[]): Promise<RunEnd> {
    const { queue } = this.options;
    const isOurs = await this.#insist(() => queue.release(this.lease, checkpoints));
    return isOurs ? "released" : "lost";
  }

  async #finish({ state, error }: Pick<JobOutcome, "state" | "error">): Promise<RunEnd> {
    await this.#telling;
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

  /** Tells the queue how the job ends: again where it cannot be reached, for what was made would be lost with the lease. */
  async #insist<T>(tell: () => Promise<T>): Promise<T> {
    const { gone, leaseMs } = this.options;
    while (true) {
      try {
        return await tell();
      } catch (error) {
        const isOver = error instanceof Unavailable
          ? gone?.aborted
          : Date.now() - this.#heardAt >= leaseMs;
        if (isOver) throw error;
        tellUnlessAway(error);
        await pause(LISTEN_MS);
      }
    }
  }

  get #timings(): JobTimings | null {
    const began = this.#begunAt;
    if (began === null) return null;
    const parts = this.#pictures.flatMap(({ timings }) => timings ?? []);
    const total = (part: keyof PictureTimings) => sum(parts.map((timings) => timings[part]));
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
    const beat = setInterval(() => this.#tellSoon(), Math.min(LISTEN_MS, leaseMs / 3));
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
          } seconds: ask for fewer pictures or steps.`,
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

const NOTHING: PictureTimings = { textMs: 0, stepsMs: 0, encodeMs: 0, gpuMs: 0 };

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
