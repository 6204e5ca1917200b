/** Jobs in memory that do what a test says: no model, no queue, no time that passes by itself. */
import { UsageError } from "../../src/errors.ts";
import {
  isEnded,
  type Job,
  type JobError,
  type JobFile,
  type JobOptions,
  type JobRequest,
  type JobState,
  type RequestDefaults,
} from "../../src/jobs/job.ts";
import type {
  Health,
  JobFilter,
  Jobs,
  KnownHealth,
  Limits,
  ModelCard,
  ModelVersion,
} from "../../src/jobs/jobs.ts";
import { type Change, JobConflict, type JobEvent, QueueFull } from "../../src/jobs/queue/queue.ts";
import type { ByteRange, StoredFile } from "../../src/jobs/store/store.ts";
import { Unavailable } from "../../src/jobs/unavailable.ts";
import { encodeImage } from "../../src/media/image.ts";

export const MODEL: ModelCard = {
  name: "shapes32",
  makes: "pictures",
  levels: [{ width: 32, height: 32 }, { width: 16, height: 16 }],
  sizeStep: 8,
  frames: 1,
};

export const VERSION: ModelVersion = {
  id: "0123456789abcdef".repeat(4),
  changedAt: Date.UTC(2026, 0, 2),
};

export const LIMITS: Limits = {
  pictures: 16,
  steps: 1000,
  promptLength: 2000,
  pixels: 1 << 20,
  queueMs: 60_000,
  runMs: 60_000,
  waitMs: 60_000,
};

export interface FakeOptions {
  readonly model?: ModelCard;
  readonly limits?: Partial<Limits>;
  readonly defaults?: RequestDefaults;
  /** Jobs that may wait. */
  readonly capacity?: number;
  /** Whether every job is begun, made and finished as soon as it is submitted. */
  readonly finishAtOnce?: boolean;
  readonly health?: Partial<Pick<Health, "worker" | "reason">>;
}

/** Files by job and name. */
type Contents = Map<string, Uint8Array<ArrayBuffer>>;

export class FakeJobs implements Jobs {
  readonly model: ModelCard;
  readonly limits: Limits;
  readonly defaults: RequestDefaults;
  /** What `health` says; a test may change it. */
  worker: Health["worker"];
  reason: string | null;
  /** What is away; while it is, whoever needs the queue is told so. */
  away: string | null = null;
  /** Idempotency keys and ids with the jobs that they gave. */
  readonly #keys = new Map<string, string>();
  readonly #jobs = new Map<string, Job>();
  readonly #contents: Contents = new Map();
  readonly #listeners = new Set<(event: JobEvent) => void>();
  readonly #capacity: number;
  readonly #finishAtOnce: boolean;
  #submitted: PromiseWithResolvers<Job> = Promise.withResolvers();
  #numbered = 0;
  #retried = 0;

  constructor(options: FakeOptions = {}) {
    this.model = options.model ?? MODEL;
    this.limits = { ...LIMITS, ...options.limits };
    this.defaults = options.defaults ?? {};
    this.worker = options.health?.worker ?? "ready";
    this.reason = options.health?.reason ?? null;
    this.#capacity = options.capacity ?? Infinity;
    this.#finishAtOnce = options.finishAtOnce ?? false;
  }

  /** Listeners that somebody has not given back: 0 when all clients are gone. */
  get listeners(): number {
    return this.#listeners.size;
  }

  /** The next job that is submitted. */
  get next(): Promise<Job> {
    return this.#submitted.promise;
  }

  async submit(asked: JobRequest, options: JobOptions = {}): Promise<Job> {
    const request = { ...this.defaults, ...asked };
    this.#check(request, options);
    if (this.away !== null) throw new Unavailable(this.away);
    for (const key of [options.id, options.idempotencyKey && `key ${options.idempotencyKey}`]) {
      const known = this.#jobs.get(key && this.#keys.get(key) || "");
      if (known === undefined) continue;
      if (JSON.stringify(known.request) === JSON.stringify(request)) return known;
      throw new JobConflict(`${key} belongs to another request: choose another one.`);
    }
    const waiting = this.#all().filter(({ state }) => state === "queued").length;
    if (waiting >= this.#capacity) throw new QueueFull(this.#capacity, 7);
    const now = Date.now();
    const job: Job = {
      id: options.id ?? `job-${++this.#numbered}`,
      origin: options.origin ?? "plain",
      note: options.note ?? null,
      request,
      priority: options.priority ?? 0,
      beginBy: now + this.limits.queueMs,
      deadline: options.deadline ?? null,
      webhook: options.webhook ?? null,
      state: "queued",
      attempts: 0,
      createdAt: now,
      startedAt: null,
      finishedAt: null,
      progress: { step: 0, steps: 0, etaMs: null, previews: [] },
      files: [],
      error: null,
      warnings: [],
      timings: null,
    };
    this.#jobs.set(job.id, job);
    this.#keys.set(job.id, job.id);
    if (options.idempotencyKey) this.#keys.set(`key ${options.idempotencyKey}`, job.id);
    if (this.#finishAtOnce) await this.make(job.id);
    this.#submitted.resolve(this.#known(job.id));
    this.#submitted = Promise.withResolvers();
    return this.#known(job.id);
  }

  async get(id: string): Promise<Job | null> {
    if (this.away !== null) throw new Unavailable(this.away);
    return await Promise.resolve(this.#jobs.get(id) ?? null);
  }

  version(): Promise<ModelVersion> {
    return Promise.resolve(VERSION);
  }

  list({ before, limit, ...filter }: JobFilter = {}): Promise<Job[]> {
    const all = this.#all();
    const end = before === undefined ? all.length : all.findIndex(({ id }) => id === before);
    const of = all.slice(0, Math.max(0, end))
      .filter(({ origin }) => (filter.origin ?? origin) === origin);
    return Promise.resolve(of.reverse().slice(0, limit));
  }

  position(id: string): Promise<number> {
    const waiting = this.#all().filter(({ state }) => state === "queued");
    waiting.sort((a, b) => b.priority - a.priority);
    return Promise.resolve(Math.max(0, waiting.findIndex((job) => job.id === id)));
  }

  cancel(id: string): Promise<Job | null> {
    const job = this.#jobs.get(id);
    if (job !== undefined && !isEnded(job)) this.#end(id, "canceled", null);
    return this.get(id);
  }

  retry(id: string): Promise<Job | null> {
    const { state } = this.#jobs.get(id) ?? {};
    if (state === "failed" || state === "canceled") {
      const again = { startedAt: null, finishedAt: null, files: [], error: null, timings: null };
      this.#retried++;
      this.#change("state", id, { ...again, state: "queued" });
    }
    return this.get(id);
  }

  async purge(origin: string): Promise<number> {
    const waiting = this.#all().filter((job) => job.state === "queued" && job.origin === origin);
    for (const { id } of waiting) await this.cancel(id);
    return waiting.length;
  }

  remove(id: string): Promise<boolean> {
    const job = this.#jobs.get(id);
    if (job === undefined || !isEnded(job)) return Promise.resolve(false);
    for (const key of this.#contents.keys()) {
      if (key.startsWith(`${id}/`)) this.#contents.delete(key);
    }
    return Promise.resolve(this.#jobs.delete(id));
  }

  async *events(id: string, signal: AbortSignal): AsyncIterableIterator<JobEvent> {
    const job = this.#jobs.get(id);
    if (job === undefined) return;
    const pending: JobEvent[] = [{ change: "state", job }];
    let wake = () => {};
    const listen = (event: JobEvent) => {
      if (event.job.id !== id) return;
      pending.push(event);
      wake();
    };
    this.#listeners.add(listen);
    const abort = () => wake();
    signal.addEventListener("abort", abort);
    try {
      while (!signal.aborted) {
        const event = pending.shift();
        if (event === undefined) {
          await new Promise<void>((resolve) => wake = resolve);
          continue;
        }
        yield event;
        if (event.change === "state" && isEnded(event.job)) return;
      }
    } finally {
      this.#listeners.delete(listen);
      signal.removeEventListener("abort", abort);
    }
  }

  async wait(id: string, ms: number, signal?: AbortSignal): Promise<Job | null> {
    const over = new AbortController();
    const stop = () => over.abort();
    const timer = setTimeout(stop, ms);
    signal?.addEventListener("abort", stop);
    if (signal?.aborted) stop();
    try {
      for await (const _ of this.events(id, over.signal));
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", stop);
    }
    return await this.get(id);
  }

  read(id: string, name: string, range?: ByteRange): Promise<StoredFile | null> {
    const bytes = this.#contents.get(`${id}/${name}`);
    if (bytes === undefined) return Promise.resolve(null);
    const part = range === undefined ? bytes : bytes.slice(range.first, range.last + 1);
    return Promise.resolve({ body: new Blob([part]).stream(), bytes: bytes.length });
  }

  link(): Promise<null> {
    return Promise.resolve(null);
  }

  health(): Promise<Health> {
    const count = (state: JobState) => this.#all().filter((job) => job.state === state).length;
    return Promise.resolve({
      ...this.knownHealth(),
      jobs: {
        queued: count("queued"),
        running: count("running"),
        succeeded: count("succeeded"),
        failed: count("failed"),
        canceled: count("canceled"),
        retried: this.#retried,
      },
    });
  }

  knownHealth(): KnownHealth {
    const busy = Math.min(4, this.#all().filter(({ state }) => state === "running").length);
    const { worker, reason, away } = this;
    return { worker, reason, slots: { all: 4, busy }, stepMs: 40, away };
  }

  look(): Promise<string | null> {
    return Promise.resolve(this.away);
  }

  /** A worker takes the job. */
  begin(id: string): void {
    const { attempts } = this.#known(id);
    this.#change("state", id, {
      state: "running",
      attempts: attempts + 1,
      startedAt: Date.now(),
    });
  }

  /** The job is so far. */
  progress(id: string, step: number, steps = 20): void {
    const { progress } = this.#known(id);
    const etaMs = (steps - step) * 40;
    this.#change("progress", id, { progress: { ...progress, step, steps, etaMs } });
  }

  /** There is something that the person who asked should know. */
  warn(id: string, ...warnings: string[]): void {
    this.#change("progress", id, { warnings });
  }

  /** A preview of an inner resolution, over the one before. */
  async preview(
    id: string,
    { picture = 0, level = 1 } = {},
    bytes?: Uint8Array<ArrayBuffer>,
  ): Promise<JobFile> {
    const { width, height } = this.model.levels[level]!;
    const name = `preview-${picture}-${width}x${height}.png`;
    const file = await this.#store(id, name, { picture, level, width, height }, bytes);
    const { progress } = this.#known(id);
    const others = progress.previews.filter((other) => other.name !== name);
    const previews = [...others, file];
    this.#change("preview", id, { progress: { ...progress, previews } }, file);
    return file;
  }

  /** A result: a PNG of the right size, or what the test gives. */
  async picture(
    id: string,
    bytes?: Uint8Array<ArrayBuffer>,
    { picture = this.#known(id).files.length } = {},
  ): Promise<JobFile> {
    const { width, height } = this.model.levels[0]!;
    const videos = this.model.makes === "videos";
    const format = this.#known(id).request.format ?? (videos ? "mp4" : "png");
    const about = { picture, level: 0, width, height };
    const file = await this.#store(id, `${picture}.${format}`, about, bytes, format);
    this.#change("file", id, { files: [...this.#known(id).files, file] }, file);
    return file;
  }

  /** The job ends: well, or with an error. */
  finish(id: string, error: JobError | null = null): void {
    this.#end(id, error === null ? "succeeded" : "failed", error);
  }

  /** All of a job's life. */
  async make(id: string): Promise<void> {
    this.begin(id);
    const { request: { prompts, count } } = this.#known(id);
    for (let k = 0; k < prompts.length * count; k++) await this.picture(id);
    this.progress(id, 20);
    this.finish(id);
  }

  #check({ prompts, count, format }: JobRequest, { id }: JobOptions): void {
    const { pictures, promptLength } = this.limits;
    if (prompts.length === 0) throw new UsageError("No prompt was given: give at least one.");
    if (prompts.length * count > pictures) {
      throw new UsageError(`A job makes ${pictures} pictures at most: ask for fewer.`);
    }
    if (prompts.some(({ length }) => length > promptLength)) {
      throw new UsageError(`A prompt has ${promptLength} letters at most: give a shorter one.`);
    }
    if (format === "mp4" && this.model.makes === "pictures") {
      throw new UsageError("The model makes pictures: ask for PNG, JPEG or WebP.");
    }
    if (id !== undefined && !/^[\w-]{1,64}$/.test(id)) {
      throw new UsageError(`"id" must be 1 to 64 letters, digits, "-" and "_".`);
    }
  }

  #end(id: string, state: JobState, error: JobError | null): void {
    const { startedAt } = this.#known(id);
    this.#change("state", id, {
      state,
      error,
      finishedAt: Date.now(),
      timings: startedAt === null
        ? null
        : { queueMs: 1, textMs: 2, stepsMs: 800, encodeMs: 3, gpuSeconds: 0.4 },
    });
  }

  async #store(
    id: string,
    name: string,
    about: Pick<JobFile, "picture" | "level" | "width" | "height">,
    bytes?: Uint8Array<ArrayBuffer>,
    format = "png",
  ): Promise<JobFile> {
    const content = bytes ?? await png(about.width, about.height);
    this.#contents.set(`${id}/${name}`, content);
    const seed = String(
      (BigInt(this.#known(id).request.seed) + BigInt(about.picture)) % (1n << 64n),
    );
    const type = format === "mp4" ? "video/mp4" : `image/${format}`;
    return { name, ...about, seed, type, frames: this.model.frames, bytes: content.length };
  }

  #change(change: Change, id: string, changes: Partial<Job>, file?: JobFile): void {
    const job = { ...this.#known(id), ...changes };
    this.#jobs.set(id, job);
    const event = { change, job, ...file !== undefined && { file } };
    for (const listener of [...this.#listeners]) listener(event);
  }

  #all(): Job[] {
    return [...this.#jobs.values()];
  }

  #known(id: string): Job {
    const job = this.#jobs.get(id);
    if (job === undefined) throw new RangeError(`There is no job ${id}.`);
    return job;
  }
}

const pngs = new Map<string, Promise<Uint8Array<ArrayBuffer>>>();

/** A grey picture of a size. */
function png(width: number, height: number): Promise<Uint8Array<ArrayBuffer>> {
  const size = `${width}x${height}`;
  const data = new Uint8Array(width * height * 4).fill(128);
  if (!pngs.has(size)) pngs.set(size, encodeImage({ width, height, data }, "png"));
  return pngs.get(size)!;
}
