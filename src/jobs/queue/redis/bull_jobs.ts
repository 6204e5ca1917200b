/**
 * BullMQ's jobs, one for each record: who is next, which worker has which job by which lock, and what Bull Board shows. All is done by
 * BullMQ's own calls, but for the rank of a job among those that wait, for which it has none.
 */
import { ErrorCode, Job, Queue, Worker } from "../../../deps/bullmq.ts";
import type { Redis } from "../../../deps/ioredis.ts";
import { isEnded, type JobProgress } from "../../job.ts";
import type { JobRecord } from "../job_record.ts";
import { disconnect, PATIENCE_MS, untilConnected } from "./connection.ts";

/** Where BullMQ has a job. */
export type BullState = Awaited<ReturnType<Job["getState"]>>;

/** What BullMQ calls the queue, and each job. */
const QUEUE = "jobs";
const NAME = "job";

/** BullMQ's priorities are whole numbers from 1, the first, to 2^21 - 1: of ours, those from -MOST to MOST differ. */
const MOST = 2 ** 20 - 1;

/** Comes before all priorities. */
const HEAD = { priority: 0, lifo: true };

/** For calls on a job that nobody has a lock of. */
const NO_LOCK = "0";

/** What BullMQ's jobs have: all else is ours. They are kept until they are removed, and how often one is begun is counted by us. */
const OPTIONS = { attempts: 1, stackTraceLimit: 0 };

/** What waits in BullMQ, those to be taken first before the others. */
const WAITING = ["wait", "prioritized"] as const;

/** What has not ended in BullMQ. */
const OPEN = [...WAITING, "active", "delayed", "waiting-children"] as const;

interface Taker {
  readonly worker: Worker;
  readonly connection: Redis;
}

/** BullMQ's side of a queue. See `unlessElsewhere` of calls that move a job. */
export class BullJobs {
  readonly #redis: Redis;
  readonly #queue: Queue;
  readonly #lockMs: number;
  /** What takes jobs: processes that only add some have none. */
  #taker: Promise<Taker> | undefined;

  private constructor(redis: Redis, queue: Queue, lockMs: number) {
    this.#redis = redis;
    this.#queue = queue;
    this.#lockMs = lockMs;
  }

  /** @param lockMs How long a worker has a job that says nothing. */
  static async open(redis: Redis, prefix: string, lockMs: number): Promise<BullJobs> {
    // Nobody reads BullMQ's events: ours come with the whole job.
    const streams = { events: { maxLen: 100 } };
    const queue = new Queue(QUEUE, { connection: redis, prefix, streams });
    queue.on("error", ignore);
    // One whose first words were not answered never works.
    await queue.waitUntilReady();
    return new BullJobs(redis, queue, lockMs);
  }

  /** Takes the next job, with a lock for this worker; gives its id, or null. */
  async take(lock: string): Promise<string | null> {
    this.#taker ??= this.#startTaking().catch((error) => {
      this.#taker = undefined;
      throw error;
    });
    const { worker, connection } = await this.#taker;
    await untilConnected(connection, PATIENCE_MS);
    const job: Job | undefined = await worker.getNextJob(lock, { block: false });
    return job?.id ?? null;
  }

  /** The id of the next job, as far as can be seen now. */
  async next(): Promise<string | null> {
    const [first = null] = await this.#queue.getRanges([...WAITING], 0, 0, true);
    return first;
  }

  /** Has a job taken before all others. */
  async bringToHead(id: string): Promise<void> {
    await this.#job(id).changePriority(HEAD);
  }

  /** Keeps a lock alive; nothing where it is over. */
  async extendLock(id: string, lock: string): Promise<void> {
    await this.#job(id).extendLock(lock, this.#lockMs);
  }

  /** Shows how far a job is, in percent. */
  async showProgress(id: string, { step, steps }: JobProgress): Promise<void> {
    await this.#job(id).updateProgress(Math.floor(100 * step / Math.max(1, steps)));
  }

  /** Where BullMQ has a job; "unknown": nowhere. */
  async stateOf(id: string): Promise<BullState> {
    return await this.#job(id).getState();
  }

  /** The ids of those that come before a job, and how many more these are. */
  async before(id: string): Promise<{ readonly ids: readonly string[]; readonly more: number }> {
    const [head, rank] = await Promise.all([
      this.#queue.getRanges(["wait"], 0, -1, true),
      this.#redis.zrank(this.#queue.toKey("prioritized"), id),
    ]);
    const at = head.indexOf(id);
    return at === -1 ? { ids: head, more: rank ?? 0 } : { ids: head.slice(0, at), more: 0 };
  }

  /** How many jobs have not ended. */
  async countOpen(): Promise<number> {
    return await this.#queue.getJobCountByTypes(...OPEN);
  }

  /** The ids of jobs that have not ended. */
  async open(): Promise<ReadonlySet<string>> {
    return new Set(await this.#queue.getRanges([...OPEN], 0, -1));
  }

  /**
   * Brings a job to where its record is; null: that is no more.
   *
   * @param lock What the job was taken with, if it was.
   * @param at Where BullMQ has it.
   * @returns Whether it is there: one that waits has to be taken before it can end, and one that is locked cannot be removed.
   */
  async follow(
    id: string,
    record: JobRecord | null,
    lock: string,
    at: BullState,
  ): Promise<boolean> {
    if (record === null) return at === "unknown" || await this.#queue.remove(id) === 1;
    if (record.job.state === "queued") return await this.#wait(id, record, lock, at);
    if (!isEnded(record.job)) return true;
    if (at === "active") await this.#end(id, record, lock);
    if (at !== "waiting" && at !== "prioritized") return true;
    await this.bringToHead(id);
    return false;
  }

  /** Removes a job that is active and has no record. */
  async drop(id: string, lock: string): Promise<void> {
    const job = new Job(this.#queue, NAME, null, { removeOnComplete: true }, id);
    await job.moveToCompleted(null, lock, false);
  }

  async close(): Promise<void> {
    const taker = await this.#taker?.catch(ignore);
    if (taker) await stopTaking(taker);
    await this.#queue.close();
  }

  async #wait(id: string, record: JobRecord, lock: string, at: BullState): Promise<boolean> {
    const { job: { id: owner, request, priority, startedAt }, queuedAt } = record;
    const rank = rankOf(priority);
    const job = this.#job(id);
    if (at === "unknown") {
      const options = { ...OPTIONS, jobId: id, priority: rank, timestamp: queuedAt };
      await this.#queue.add(NAME, { id: owner, request }, options);
    } else if (at === "active") {
      // It comes before those that have not begun; it may have been taken from the head.
      await job.changePriority({ priority: rank });
      const move = (lock: string) => job.moveToWait(lock);
      const wasLocked = await this.#unlocked(lock, [ErrorCode.JobLockNotExist], move);
      // BullMQ may have put it at the head, since its worker died.
      if (!wasLocked) await job.changePriority({ priority: rank, lifo: true });
    } else if (at === "completed" || at === "failed") {
      await job.changePriority({ priority: rank });
      await job.retry(at, { resetAttemptsMade: true, resetAttemptsStarted: true });
    } else if (at === "waiting") {
      // BullMQ has put it there since its worker died, or we for it to end.
      await job.changePriority({ priority: rank, lifo: startedAt !== null });
    }
    return true;
  }

  /** Ends a job that is active. The record has decided already: it does not matter who has the lock by now. */
  async #end(id: string, { job: { state, files, error } }: JobRecord, lock: string): Promise<void> {
    const job = this.#job(id);
    const reason = error?.message ?? "The job was canceled.";
    await this.#unlocked(
      lock,
      [ErrorCode.JobLockNotExist, ErrorCode.JobLockMismatch],
      (lock) =>
        state === "succeeded"
          ? job.moveToCompleted({ files: files.map(({ name }) => name) }, lock, false)
          : job.moveToFailed(new Error(reason), lock),
    );
  }

  /** Does something with a lock, or without one where BullMQ says one of these codes; gives whether it was with it. */
  async #unlocked<T>(
    lock: string,
    codes: readonly ErrorCode[],
    move: (lock: string) => Promise<T>,
  ): Promise<boolean> {
    try {
      await move(lock);
      return true;
    } catch (error) {
      if (!codes.includes(codeOf(error)!)) throw error;
      await move(NO_LOCK);
      return false;
    }
  }

  /** What can be done with a job does not depend on what is in it. */
  #job(id: string): Job {
    return new Job(this.#queue, NAME, null, OPTIONS, id);
  }

  async #startTaking(): Promise<Taker> {
    const connection = this.#redis.duplicate({ maxRetriesPerRequest: null });
    connection.on("error", ignore);
    try {
      await connection.connect();
    } catch (error) {
      await disconnect(connection);
      throw error;
    }
    const worker = new Worker(QUEUE, null, {
      connection,
      prefix: this.#queue.opts.prefix!,
      autorun: false,
      lockDuration: this.#lockMs,
      stalledInterval: this.#lockMs,
      maxStalledCount: Number.MAX_SAFE_INTEGER,
    });
    worker.on("error", ignore);
    const taker = { worker, connection };
    try {
      // One whose first words were not answered never works.
      await worker.waitUntilReady();
    } catch (error) {
      await stopTaking(taker);
      throw error;
    }
    worker.startStalledCheckTimer().catch(ignore);
    return taker;
  }
}

/** What a call gives; undefined where BullMQ says that the job is not where it was thought to be: somebody else was quicker. */
export async function unlessElsewhere<T>(call: Promise<T>): Promise<T | undefined> {
  try {
    return await call;
  } catch (error) {
    if (codeOf(error) === undefined) throw error;
    return undefined;
  }
}

function codeOf(error: unknown): ErrorCode | undefined {
  return error instanceof Error && "code" in error && typeof error.code === "number"
    ? error.code
    : undefined;
}

async function stopTaking({ worker, connection }: Taker): Promise<void> {
  await worker.close(true);
  await disconnect(connection);
}

/** Higher priorities come first with us, lower ones with BullMQ. */
function rankOf(priority: number): number {
  return MOST + 1 - Math.max(-MOST, Math.min(MOST, Math.round(priority)));
}

/** Calls tell of their errors themselves; what goes on beside them is tried again. */
function ignore(): void {}
