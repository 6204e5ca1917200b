/** A queue in a file, a store in memory and an engine that is played: for tests of what brings them together. */
import type { Engine, ImageResult, ImageUpdate, MakeOptions } from "../../src/engine/engine.ts";
import type { JobRequest } from "../../src/jobs/job.ts";
import { JobRun, type JobRunOptions } from "../../src/jobs/job_run.ts";
import { openModerator } from "../../src/jobs/moderation.ts";
import type { EncodedLevel, NewImageTask } from "../../src/engine/image_task.ts";
import type { JobQueue, NewJob } from "../../src/jobs/queue/queue.ts";
import type { RunnerOptions } from "../../src/jobs/runner.ts";
import { SqliteQueue } from "../../src/jobs/queue/sqlite/sqlite_queue.ts";
import type { ResultStore, StoredFile } from "../../src/jobs/store/store.ts";
import { ModelSource } from "../../src/pipeline/models/model_source.ts";

/** What shapes32 says of itself. */
export const MODEL = await (async () => {
  using source = await ModelSource.open("weights/shapes32");
  const { path, config, diffusion } = source;
  return { path, config, diffusion };
})();

export const STEPS = 4;

export function requestOf(different: Partial<JobRequest> = {}): JobRequest {
  const steps = STEPS;
  return {
    prompts: ["a star"],
    count: 1,
    seed: "7",
    steps,
    levels: false,
    preview: false,
    ...different,
  };
}

/** Bytes of a level, which are not really an image. */
export function level(
  bytes: readonly number[],
  different: Partial<EncodedLevel> = {},
): EncodedLevel {
  const size = { width: 32, height: 32, frames: 1 };
  const file = { type: "image/png", extension: ".png", bytes: Uint8Array.from(bytes) };
  return { level: 0, ...size, ...file, ...different };
}

/** An image that was made, of one resolution unless given. */
export function made(...files: readonly EncodedLevel[]): ImageResult {
  const timings = { textMs: 1, stepsMs: 2, encodeMs: 3, gpuMs: 4 };
  return { kind: "made", id: "", files: files.length === 0 ? [level([1])] : files, timings };
}

/** An image that was asked for. */
export class Ask {
  readonly #end = Promise.withResolvers<ImageResult>();

  constructor(
    readonly task: NewImageTask,
    readonly signal: AbortSignal,
    private readonly onUpdate: (news: ImageUpdate) => void,
  ) {
    signal.addEventListener("abort", () => this.#end.reject(signal.reason));
  }

  get ended(): Promise<ImageResult> {
    return this.#end.promise;
  }

  get seed(): bigint {
    return this.task.resolved.jobs[0]!.seed;
  }

  began(step = 0): void {
    this.onUpdate({ kind: "began", id: "", step, steps: STEPS });
  }

  warned(...warnings: string[]): void {
    this.onUpdate({ kind: "warned", id: "", warnings });
  }

  progress(step: number): void {
    this.onUpdate({ kind: "progress", id: "", step, steps: STEPS });
  }

  preview(step: number, file: EncodedLevel): void {
    this.onUpdate({ kind: "preview", id: "", step, file });
  }

  end(end: ImageResult): void {
    this.#end.resolve(end);
  }
}

/** Makes what tests say. */
export class PlayedEngine implements Engine {
  readonly asks: Ask[] = [];
  slots = 2;
  stepMs: number | null = null;
  #changed = Promise.withResolvers<void>();

  async make(
    task: NewImageTask,
    { signal, onUpdate }: MakeOptions = {},
  ): Promise<ImageResult> {
    signal!.throwIfAborted();
    const ask = new Ask(task, signal!, onUpdate!);
    this.asks.push(ask);
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
    return await ask.ended;
  }

  /** Of what it was asked for so far; those that have ended do not hear of it. */
  save(): void {
    for (const ask of this.asks) ask.end({ kind: "saved", id: "", saved: ask.task.saved ?? null });
  }

  /** Waits until so many images were asked for. */
  async asked(count: number): Promise<Ask[]> {
    while (this.asks.length < count) await this.#changed.promise;
    return this.asks;
  }
}

/** A store in memory. */
export class MemoryStore implements ResultStore {
  readonly name = "the results in memory";
  readonly files = new Map<string, Uint8Array<ArrayBuffer>>();

  put(job: string, name: string, content: Uint8Array<ArrayBuffer>): Promise<void> {
    this.files.set(`${job}/${name}`, content);
    return Promise.resolve();
  }

  get(job: string, name: string): Promise<StoredFile | null> {
    const content = this.files.get(`${job}/${name}`);
    if (content === undefined) return Promise.resolve(null);
    return Promise.resolve({ body: new Response(content).body!, bytes: content.length });
  }

  check(): Promise<void> {
    return Promise.resolve();
  }

  has(job: string, name: string): Promise<boolean> {
    return Promise.resolve(this.files.has(`${job}/${name}`));
  }

  link(): Promise<null> {
    return Promise.resolve(null);
  }

  remove(job: string): Promise<void> {
    for (const name of this.files.keys()) if (name.startsWith(`${job}/`)) this.files.delete(name);
    return Promise.resolve();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }
}

const LEASE_MS = 30_000;

/** A place for jobs, in a folder that is removed after. */
export class JobPlace implements AsyncDisposable {
  readonly engine = new PlayedEngine();
  readonly store = new MemoryStore();
  /** Milliseconds that have passed for the queue beside those that really have. */
  passed = 0;
  #count = 0;

  private constructor(readonly folder: string, readonly queue: SqliteQueue) {}

  static async open(): Promise<JobPlace> {
    const folder = await Deno.makeTempDir();
    const now = () => Date.now() + place.passed;
    const queue = await SqliteQueue.open(`${folder}/queue.sqlite`, {
      limit: 100,
      leaseMs: LEASE_MS,
      maxAttempts: 5,
      now,
    });
    const place: JobPlace = new JobPlace(folder, queue);
    return place;
  }

  /** What a run of a job takes: a beat each 20 ms. */
  options(different: Partial<RunnerOptions> = {}): RunnerOptions & { engine: PlayedEngine } {
    const { queue, store, engine } = this;
    const times = { leaseMs: 60, runMs: LEASE_MS };
    const parts = { queue, store, model: MODEL, moderator: openModerator(undefined), outages: [] };
    return { ...parts, ...times, ...different, engine };
  }

  /** Queues a job; gives its id. */
  async add(request: Partial<JobRequest> = {}, different: Partial<NewJob> = {}): Promise<string> {
    const createdAt = Date.now();
    const id = `job-${this.#count++}`;
    await this.queue.add({ id, request: requestOf(request), createdAt, ...different });
    return id;
  }

  /** Takes the next job, ready to run. */
  async take(different: Omit<Partial<JobRunOptions>, "engine"> = {}): Promise<JobRun> {
    const lease = await this.queue.claim();
    if (lease === null) throw new Error("No job waits");
    return new JobRun(lease, this.options(different));
  }

  /** A job as it is now. */
  async job(id = "job-0") {
    return (await this.queue.get(id))!;
  }

  /** The names of the files of all jobs. */
  get names(): string[] {
    return [...this.store.files.keys()];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.queue[Symbol.asyncDispose]();
    await Deno.remove(this.folder, { recursive: true });
  }
}

/** The queue, but for what is given. */
export function queueWith(queue: JobQueue, different: Partial<JobQueue>): JobQueue {
  return new Proxy(queue, {
    get: (_, name) => {
      const part = (name in different ? different : queue) as unknown as Record<
        PropertyKey,
        unknown
      >;
      const value = part[name];
      return typeof value === "function" ? value.bind(part) : value;
    },
  });
}
