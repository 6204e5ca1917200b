/** What protocols can do with jobs: the one core behind all protocols. */
import type { Job, JobOptions, JobRequest, RequestDefaults } from "./job.ts";
import type { Counts, JobEvent } from "./queue/queue.ts";
import type { ByteRange, StoredFile } from "./store/store.ts";

/** What clients are told of the model. */
export interface ModelCard {
  /** The name of its folder. */
  readonly name: string;
  readonly makes: "pictures" | "videos";
  /** Width and height of every resolution that a picture is made in, the outermost first. */
  readonly levels: readonly { readonly width: number; readonly height: number }[];
  /** 1 for pictures. */
  readonly frames: number;
  /** What sizes that are asked for have to be multiples of, in pixels. */
  readonly sizeStep: number;
}

/** Which model it is, to the last bit. */
export interface ModelVersion {
  /** The SHA-256 of all files that decide how its pictures look, as PNGs hold it. */
  readonly id: string;
  /** When the last of these files was written, in milliseconds since 1970. */
  readonly changedAt: number;
}

/** What a request may ask for. */
export interface Limits {
  /** Pictures of a job. */
  readonly pictures: number;
  readonly steps: number;
  /** Letters of a prompt. */
  readonly promptLength: number;
  /** Width times height. */
  readonly pixels: number;
  /** Milliseconds that a job may wait, and run. */
  readonly queueMs: number;
  readonly runMs: number;
  /** Milliseconds that a synchronous request is held at most. */
  readonly waitMs: number;
}

/** How the worker is. */
export interface Health {
  /** "starting": not ready yet; "ready"; "draining": takes no more jobs; "failed": it cannot make pictures. "none": no worker here. */
  readonly worker: "starting" | "ready" | "draining" | "failed" | "none";
  /** Why it is not ready. */
  readonly reason: string | null;
  readonly slots: { readonly all: number; readonly busy: number };
  /** While the queue is away, as they were when they were last asked for. */
  readonly jobs: Counts;
  /** Milliseconds of a step, the median of the last ones; null: none was made. */
  readonly stepMs: number | null;
  /** What is known to be away, the queue or the store, and why, in a sentence; null: nothing. */
  readonly away: string | null;
}

/** Which jobs a list has. */
export interface JobFilter {
  readonly origin?: string;
  readonly limit?: number;
  readonly before?: string;
}

/** What is known of a process without asking anybody. */
export type KnownHealth = Omit<Health, "jobs">;

/** Whether jobs can be taken: a server without a worker of its own takes them for others. */
export function takesJobs({ worker, away }: Pick<KnownHealth, "worker" | "away">): boolean {
  return away === null && (worker === "ready" || worker === "none");
}

/** Jobs, as protocols see them. Where the queue or the store is away, methods that need it are `Unavailable` within seconds. */
export interface Jobs {
  readonly model: ModelCard;
  readonly limits: Limits;
  /** Takes as long as reading the model's files, the first time. */
  version(): Promise<ModelVersion>;
  /** Filled into every request when it is submitted, so that all workers make the same of it. */
  readonly defaults: RequestDefaults;
  /**
   * Queues a job.
   *
   * @throws {UsageError} When the request asks for what cannot be, or is over a limit.
   * @throws {QueueFull} When as many wait as may.
   * @throws {NotTaking} When the server is stopping.
   * @throws {JobConflict} When the id or the idempotency key belongs to another request.
   */
  submit(request: JobRequest, options?: JobOptions): Promise<Job>;
  get(id: string): Promise<Job | null>;
  /** The newest first; `before` the job of an id: none where there is no such job any more. */
  list(filter?: JobFilter): Promise<Job[]>;
  /** Jobs that come before it. */
  position(id: string): Promise<number>;
  /** Stops a job that has not ended; null where there is none. */
  cancel(id: string): Promise<Job | null>;
  /** Queues a job that failed or was canceled once more. */
  retry(id: string): Promise<Job | null>;
  /** Cancels all that wait of one protocol; gives how many. */
  purge(origin: string): Promise<number>;
  /** Removes a job that has ended, and its files. */
  remove(id: string): Promise<boolean>;
  /** First the job as it is (change "state"), then every change until it has ended. Ends at once where there is no such job. */
  events(id: string, signal: AbortSignal): AsyncIterableIterator<JobEvent>;
  /** The job once it has ended, or as it is after so many milliseconds. */
  wait(id: string, ms: number, signal?: AbortSignal): Promise<Job | null>;
  /** A file of a job, or a part of it. */
  read(id: string, name: string, range?: ByteRange): Promise<StoredFile | null>;
  /** An address of a file that needs no token of ours; null where the store has none. */
  link(id: string, name: string): Promise<string | null>;
  health(): Promise<Health>;
  /** At once, whatever is away. */
  knownHealth(): KnownHealth;
  /** Looks whether the queue and the store are there; gives what is away, as `Health` does. */
  look(): Promise<string | null>;
}
