/** Those who wait, in BullMQ's hands: who comes next, and that one worker gets it, also where one dies while it takes it. */
import { type Job, Queue, Worker } from "bullmq";
import type { Redis } from "ioredis";
import { disconnect, PATIENCE_MS, untilConnected } from "./connection.ts";

/** A place that this worker has been given. */
export interface GivenPlace {
  readonly name: string;
  /** Says that it was used; else it goes to another worker after a while. */
  done(): Promise<void>;
}

/** BullMQ's priorities are whole numbers from 1, the first, to 2^21 - 1: of ours, those from -MOST to MOST differ. */
const MOST = 2 ** 20 - 1;

/** BullMQ's scores are a priority times this, and the number of its coming. */
const BEHIND_EACH_OTHER = 2 ** 32;

interface Taker {
  readonly worker: Worker;
  readonly connection: Redis;
}

/** A line of places, each with a name and a priority. */
export class RedisLine {
  readonly #redis: Redis;
  readonly #queue: Queue;
  readonly #patienceMs: number;
  /** What takes from the line: processes that only put into it have none. */
  #taker: Promise<Taker> | undefined;

  private constructor(redis: Redis, queue: Queue, patienceMs: number) {
    this.#redis = redis;
    this.#queue = queue;
    this.#patienceMs = patienceMs;
  }

  /** @param patienceMs How long a worker may need to take what it was given. */
  static async open(redis: Redis, prefix: string, patienceMs: number): Promise<RedisLine> {
    // Nobody reads BullMQ's events: they tell of places, not of jobs.
    const streams = { events: { maxLen: 100 } };
    const queue = new Queue("line", { connection: redis, prefix, streams });
    queue.on("error", ignore);
    // One whose first words were not answered never works.
    await queue.waitUntilReady();
    return new RedisLine(redis, queue, patienceMs);
  }

  /** What BullMQ's keys begin with; a place's own is this, ":" and its name. */
  get key(): string {
    return this.#queue.qualifiedName;
  }

  /** Puts a place behind those with its priority, or before them: there they are in the order of their names. */
  async join(name: string, priority: number, front: boolean): Promise<void> {
    const place = rank(priority);
    const options = { jobId: name, priority: place, removeOnComplete: true, removeOnFail: true };
    const job = await this.#queue.add("place", null, options);
    if (front) await job.changePriority({ priority: place, lifo: true });
  }

  /** Takes a place out of the line; one that was given to a worker stays its own. */
  async leave(name: string): Promise<void> {
    await this.#queue.remove(name);
  }

  /** Gives the next place to this worker, or null: that has a higher priority than one, as far as can be seen just before. */
  async next(above: number): Promise<GivenPlace | null> {
    if (above > -Infinity && !await this.#isAbove(above)) return null;
    this.#taker ??= this.#startTaking().catch((error) => {
      this.#taker = undefined;
      throw error;
    });
    const { worker, connection } = await this.#taker;
    await untilConnected(connection, PATIENCE_MS);
    const token = crypto.randomUUID();
    const job: Job | undefined = await worker.getNextJob(token, { block: false });
    if (job === undefined) return null;
    return {
      name: job.id!,
      done: async () => {
        // It fails where this took too long: then another worker sees that the place was used.
        await job.moveToCompleted(null, token, false).catch(ignore);
      },
    };
  }

  async #isAbove(priority: number): Promise<boolean> {
    const [, score] = await this.#redis.zrange(
      this.#queue.toKey("prioritized"),
      "0",
      "0",
      "WITHSCORES",
    );
    return score !== undefined && Math.floor(Number(score) / BEHIND_EACH_OTHER) < rank(priority);
  }

  /** How many come before a place. */
  async before(name: string): Promise<number> {
    return await this.#redis.zrank(this.#queue.toKey("prioritized"), name) ?? 0;
  }

  async close(): Promise<void> {
    const taker = await this.#taker?.catch(ignore);
    if (taker) await stopTaking(taker);
    await this.#queue.close();
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
    const worker = new Worker("line", null, {
      connection,
      prefix: this.#queue.opts.prefix!,
      autorun: false,
      lockDuration: this.#patienceMs,
      stalledInterval: this.#patienceMs,
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

async function stopTaking({ worker, connection }: Taker): Promise<void> {
  await worker.close(true);
  await disconnect(connection);
}

/** Higher priorities come first with us, lower ones with BullMQ. */
function rank(priority: number): number {
  return MOST + 1 - Math.max(-MOST, Math.min(MOST, Math.round(priority)));
}

/** Calls tell of their errors themselves; what goes on beside them is tried again. */
function ignore(): void {}
