/** What a queue of jobs does, whatever keeps it. */
import { MdmError } from "../../errors.ts";
import type {
  Job,
  JobFile,
  JobOptions,
  JobOutcome,
  JobProgress,
  JobRequest,
  WebhookEvent,
} from "../job.ts";

/** The queue holds as many jobs as it may: come again later. */
export class QueueFull extends MdmError {
  override name = "QueueFull";

  /**
   * @param retryAfter Seconds after which there should be room.
   * @param isGuess Whether nothing was measured that these come from.
   */
  constructor(readonly limit: number, readonly retryAfter: number, readonly isGuess = false) {
    super(`The queue is full (${limit} jobs): try again in ${retryAfter} seconds.`);
  }
}

/** The server is about to end: no more jobs are taken. */
export class NotTaking extends MdmError {
  override name = "NotTaking";

  /** @param retryAfter Seconds after which another one should be there. */
  constructor(readonly retryAfter = 10) {
    super(`The server is stopping and takes no more jobs: try again in ${retryAfter} seconds.`);
  }
}

/** An id or an idempotency key was used for another request. */
export class JobConflict extends MdmError {
  override name = "JobConflict";
}

/** A job to be kept: everything decided. */
export interface NewJob extends JobOptions {
  readonly id: string;
  readonly request: JobRequest;
  readonly createdAt: number;
  /** When it has to have begun; absent: whenever. */
  readonly beginBy?: number;
}

/** A job that a worker has, for as long as it says that it is alive. */
export interface Lease {
  readonly job: Job;
  /** Proves that the worker still has it: whoever has an older one is not listened to any more. */
  readonly token: string;
  /** The files of pictures whose making was interrupted, by picture: names in the store; see `sampler_state.ts`. */
  readonly checkpoints: readonly string[];
}

/** Which jobs a worker wants; absent: any. */
export interface Wanted {
  /** Requests that are being computed: jobs that ask for the same come first whatever their priority, for they cost nothing. */
  readonly alike?: readonly JobRequest[];
  /** Else only jobs with a higher priority. */
  readonly above?: number;
}

/** What a worker hears when it says that it is alive: go on; stop, it was canceled; stop, another one has it. */
export type Heartbeat = "alive" | "canceled" | "lost";

/** What was done to a job. */
export type Change = "state" | "progress" | "preview" | "file";

/** Tells of a job after a change; `file` is the new preview or result. */
export interface JobEvent {
  readonly change: Change;
  readonly job: Job;
  readonly file?: JobFile;
}

/** A webhook that has to be called: kept in the same step as the change that it tells of, until it was. */
export interface Delivery {
  /** The same at every try: receivers tell copies by it. */
  readonly id: string;
  readonly event: WebhookEvent;
  /** As it was after the change. */
  readonly job: Job;
  /** Tries before. */
  readonly attempts: number;
}

/** What came of a try: done with, well or not; or to be tried again at a time. */
export type Settlement = "delivered" | "dropped" | { readonly retryAt: number };

/**
 * Jobs by state, of those that are kept; `retried`: how often any was queued once more, since somebody asked for it or its worker had
 * died.
 */
export type Counts = Readonly<Record<Job["state"] | "retried", number>>;

/**
 * A durable queue. Each job ends exactly once: with the worker that has its newest lease. All that is told to have been done is on
 * disk. Methods may be called from several processes at once. What keeps it may be away for a while: then they are `Unavailable` within
 * seconds, and may have done what they were to do all the same, where only the answer was lost: each can be called once more.
 */
export interface JobQueue extends AsyncDisposable {
  /** What it is called in sentences, without passwords: "the queue at 127.0.0.1:6379". */
  readonly name: string;

  /** Writes something, to see whether it can. */
  check(): Promise<void>;

  /**
   * Keeps a new job; one with an idempotency key that is known gives the job of that key, one with a known id that job.
   *
   * @throws {QueueFull} When as many wait as may.
   * @throws {JobConflict} When the id or key belongs to another request.
   */
  add(job: NewJob): Promise<Job>;

  get(id: string): Promise<Job | null>;

  /** The newest first; `before` the job of an id: none where there is no such job any more. */
  list(
    filter?: {
      readonly states?: readonly Job["state"][];
      readonly origin?: string;
      readonly limit?: number;
      readonly before?: string;
    },
  ): Promise<Job[]>;

  /** Jobs that come before it; 0: it is the next, or it does not wait. */
  position(id: string): Promise<number>;

  counts(): Promise<Counts>;

  /** Ends a job that waits, and asks the worker of one that runs to stop. Nothing happens to one that has ended. */
  cancel(id: string): Promise<Job | null>;

  /** Queues a job that failed, was canceled or timed out once more; null where there is none. */
  retry(id: string): Promise<Job | null>;

  /** Cancels all that wait, of one protocol; gives how many those were. */
  purge(origin: string): Promise<number>;

  /**
   * Takes the job that comes next (the highest priority, then the oldest), or null. What waited too long has failed by then, what a
   * dead worker had is queued again or, after too many attempts, has failed.
   */
  claim(wanted?: Wanted): Promise<Lease | null>;

  /** Keeps a lease alive and notes how far the job is. */
  heartbeat(
    lease: Pick<Lease, "job" | "token">,
    seen: {
      readonly progress: JobProgress;
      readonly files: readonly JobFile[];
      /** Absent: those that were noted before. */
      readonly warnings?: readonly string[];
    },
  ): Promise<Heartbeat>;

  /** Ends a job; false: another worker has it by now. */
  finish(lease: Pick<Lease, "job" | "token">, outcome: JobOutcome): Promise<boolean>;

  /** Gives a job back to be begun again by anybody, from its checkpoints; it does not count as an attempt. */
  release(lease: Pick<Lease, "job" | "token">, checkpoints: readonly string[]): Promise<boolean>;

  /** Calls back after each change that this process hears of; gives what ends that. */
  listen(listener: (event: JobEvent) => void): () => void;

  /** Webhooks that are due, of jobs that ask for them, the oldest first; each is given to one caller for a minute. */
  takeDeliveries(limit: number): Promise<Delivery[]>;

  settleDelivery(id: string, settlement: Settlement): Promise<void>;

  /** Forgets a job that has ended; false where there is none. */
  remove(id: string): Promise<boolean>;

  /** Forgets jobs that ended before a time; gives their ids. */
  forget(endedBefore: number): Promise<string[]>;
}
