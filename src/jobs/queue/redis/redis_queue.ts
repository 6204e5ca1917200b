/**
 * A queue on Redis or Valkey, for many machines. BullMQ does the queueing: who is next, which worker has a job and until when, that a
 * dead one's is taken by another, what has completed and failed. What a job is and what its clients were promised is in records of
 * ours, each changed in one step by a script together with the webhooks that tell of it, for BullMQ has no such step.
 *
 * A change is written in the record first, with a note that BullMQ's job has yet to follow; then that is done by BullMQ's calls and the
 * note struck out. Whoever dies in between leaves the note to the next one that takes a job. Where there is no note, it is BullMQ's job
 * that leads: somebody has moved it by BullMQ's own means, such as Bull Board, or its worker has died.
 *
 * Redis has on the disk what it is told to: with `appendonly yes` and `appendfsync always` everything, else a crash of Redis itself
 * may lose the last seconds.
 */
import type { Redis } from "../../../deps/ioredis.ts";
import { MdmError } from "../../../errors.ts";
import {
  advanced,
  begun,
  canceled,
  checkSame,
  ended,
  expired,
  fingerprintOf,
  type JobRecord,
  lost,
  queued,
  released,
  retried,
  upgraded,
} from "../job_record.ts";
import { isEnded, type Job, JOB_STATES, type JobOutcome } from "../../job.ts";
import { type Listener, Listeners } from "../listeners.ts";
import type {
  Counts,
  Delivery,
  Heartbeat,
  JobQueue,
  Lease,
  NewJob,
  QueueFull,
  Settlement,
  Wanted,
} from "../queue.ts";
import type { QueueOptions } from "../queue_options.ts";
import { Unavailable } from "../../unavailable.ts";
import { BullJobs, unlessElsewhere } from "./bull_jobs.ts";
import { hearChanges } from "./changes.ts";
import {
  asRedisError,
  connect,
  disconnect,
  isLost,
  PATIENCE_MS,
  untilConnected,
} from "./connection.ts";
import { FollowedRecords } from "./followed_records.ts";
import { type Kept, ownerOf, RedisRecords, type WrittenDelivery } from "./records.ts";
import { queueFull, RECENT } from "../retry_after.ts";
import { TAKE_DELIVERIES } from "./scripts.ts";

/** What all keys begin with; the braces keep them together in a cluster. */
const PREFIX = "{mdm}";
/** How often to look for what was removed by others' means. */
const LOOK_MS = 1000;
/** How long a webhook that was taken is left to the one who took it. */
const DELIVERY_MS = 60_000;
/** How long what was written to see whether it can be is kept. */
const CHECK_MS = 1000;
/** Milliseconds after which what a lost connection broke off is begun anew. */
const AGAIN_MS = 20;

/** See `JobQueue`. */
export class RedisQueue implements JobQueue {
  readonly #redis: Redis;
  readonly #url: string;
  readonly #options: QueueOptions;
  readonly #now: () => number;
  readonly #records: RedisRecords;
  readonly #bull: BullJobs;
  readonly #jobs: FollowedRecords;
  readonly #listeners = new Listeners();
  /** Ends hearing of changes, which goes on while somebody listens. */
  #stopHearing = () => Promise.resolve();
  #lookTimer: ReturnType<typeof setInterval> | undefined;
  /** When the connection was lost; null: it is there. */
  #lostAt: number | null = null;
  /** BullMQ's jobs that this process was given, by their locks, where an answer was lost then: nobody works on them. */
  readonly #doubtful = new Map<string, string>();

  private constructor(redis: Redis, bull: BullJobs, url: string, options: QueueOptions) {
    this.#redis = redis;
    this.#url = url;
    this.#options = options;
    this.#now = options.now ?? Date.now;
    this.#records = new RedisRecords(redis, PREFIX);
    this.#bull = bull;
    this.#jobs = new FollowedRecords(this.#records, bull, this.#now);
    redis.on("close", () => this.#lostAt ??= performance.now());
    redis.on("ready", () => this.#lostAt = null);
  }

  /**
   * Connects to the queue in a database of a server.
   *
   * @param url redis://[[user]:password@]host[:port][/database], or rediss:// for TLS.
   * @throws {MdmError} When it cannot be reached, wants another password, or has jobs of an older version.
   */
  static async open(url: string, options: QueueOptions): Promise<RedisQueue> {
    const redis = await connect(url);
    try {
      await refuseOlder(redis, url);
      const bull = await BullJobs.open(redis, PREFIX, options.leaseMs);
      return new RedisQueue(redis, bull, url, options);
    } catch (error) {
      await disconnect(redis);
      throw asRedisError(url, error);
    }
  }

  get name(): string {
    return `the queue at ${new URL(this.#url).host}`;
  }

  check(): Promise<void> {
    return this.#ask(async () => {
      await this.#redis.set(`${PREFIX}:check`, "", "PX", CHECK_MS);
    });
  }

  add(job: NewJob): Promise<Job> {
    return this.#ask(async () => {
      const record = queued(job);
      while (true) {
        const known = await this.#known(record);
        if (known !== null) return known;
        const saved = await this.#jobs.add(record, this.#options.limit);
        if (saved === "changed") continue; // Somebody adds the same.
        if (saved !== "full") return record.job;
        if (!await this.#expire() && !await this.#jobs.dropRemoved()) throw await this.#full();
      }
    });
  }

  get(id: string): Promise<Job | null> {
    return this.#ask(async () => {
      const job = (await this.#records.read(id))?.record.job ?? null;
      if (job?.state !== "queued" || !await this.#jobs.dropRemoved()) return job;
      return (await this.#records.read(id))?.record.job ?? null;
    });
  }

  list(filter: Parameters<JobQueue["list"]>[0] = {}): Promise<Job[]> {
    const { states = JOB_STATES, origin, limit = Infinity, before } = filter;
    return this.#ask(async () => {
      await this.#jobs.dropRemoved();
      const jobs: Job[] = [];
      for await (const { record: { job } } of this.#records.newestFirst(states, before)) {
        if (jobs.length >= limit) break;
        if (origin === undefined || job.origin === origin) jobs.push(job);
      }
      return jobs;
    });
  }

  position(id: string): Promise<number> {
    return this.#ask(async () => {
      const kept = await this.#records.read(id);
      if (kept?.record.job.state !== "queued") return 0;
      const { ids, more } = await this.#bull.before(kept.bullId);
      // At the head are some that are only there to end.
      const found = await Promise.all(ids.map((bullId) => this.#records.read(ownerOf(bullId))));
      return more + found.filter((other) => other?.record.job.state === "queued").length;
    });
  }

  counts(): Promise<Counts> {
    return this.#ask(async () => {
      await this.#jobs.dropRemoved();
      const counts = await Promise.all(JOB_STATES.map((state) => this.#records.count(state)));
      const byState = Object.fromEntries(JOB_STATES.map((state, i) => [state, counts[i]]));
      return { ...byState, retried: await this.#records.retried() } as Counts;
    });
  }

  cancel(id: string): Promise<Job | null> {
    return this.#ask(async () => {
      const turned = await this.#jobs.turn(id, (record) => canceled(record, this.#now()));
      return turned?.after.record.job ?? null;
    });
  }

  retry(id: string): Promise<Job | null> {
    return this.#ask(async () => {
      const turned = await this.#jobs.turn(id, (record) => retried(record, this.#now()));
      return turned?.after.record.job ?? null;
    });
  }

  purge(origin: string): Promise<number> {
    return this.#ask(async () => {
      let count = 0;
      for await (const { record: { job } } of this.#records.newestFirst(["queued"])) {
        if (job.origin === origin && await this.#end(job.id, canceled)) count++;
      }
      return count;
    });
  }

  claim({ alike = [], above = -Infinity }: Wanted = {}): Promise<Lease | null> {
    return this.#ask(async () => {
      await this.#giveBackDoubtful();
      await this.#tidy();
      const requests = alike.map(fingerprintOf);
      const isWanted = ({ fingerprint, job }: JobRecord) =>
        job.priority > above || requests.includes(fingerprint);
      const first = await this.#records.alike(requests);
      if (first !== undefined) await unlessElsewhere(this.#bull.bringToHead(first.bullId));
      else if (above > -Infinity && !await this.#isNextWanted(isWanted)) return null;
      return await this.#take(isWanted);
    });
  }

  heartbeat(
    lease: Pick<Lease, "job" | "token">,
    seen: Parameters<JobQueue["heartbeat"]>[1],
  ): Promise<Heartbeat> {
    return this.#ask(async () => {
      const until = this.#now() + this.#options.leaseMs;
      const turned = await this.#turnLeased(lease, (record) => advanced(record, seen, until));
      if (turned === null) return "lost";
      const { before, after: { record, bullId } } = turned;
      const { progress } = record.job;
      await Promise.all([
        this.#bull.extendLock(bullId, lease.token),
        progress.step === before.job.progress.step
          ? null
          : unlessElsewhere(this.#bull.showProgress(bullId, progress)),
      ]);
      return record.canceling ? "canceled" : "alive";
    });
  }

  finish(lease: Pick<Lease, "job" | "token">, outcome: JobOutcome): Promise<boolean> {
    return this.#ask(async () => {
      const become = (record: JobRecord) => ended(record, outcome, this.#now());
      if (await this.#turnLeased(lease, become) !== null) return true;
      const kept = await this.#records.read(lease.job.id);
      return kept?.record.token === lease.token;
    });
  }

  release(lease: Pick<Lease, "job" | "token">, checkpoints: readonly string[]): Promise<boolean> {
    return this.#ask(async () => {
      const become = (record: JobRecord) => released(record, checkpoints, this.#now());
      return await this.#turnLeased(lease, become) !== null;
    });
  }

  listen(listener: Listener): () => void {
    if (this.#listeners.size === 0) {
      this.#stopHearing = hearChanges(this.#redis, PREFIX, this.#listeners);
      // Nobody tells of what was removed, and it may be that nobody takes jobs either.
      this.#lookTimer = setInterval(() => void this.#jobs.dropRemoved().catch(() => {}), LOOK_MS);
    }
    const own: Listener = (event) => listener(event); // The same function may listen twice.
    this.#listeners.add(own);
    return () => {
      this.#listeners.remove(own);
      if (this.#listeners.size > 0) return;
      clearInterval(this.#lookTimer);
      void this.#stopHearing();
    };
  }

  takeDeliveries(limit: number): Promise<Delivery[]> {
    return this.#ask(async () => {
      const now = this.#now();
      const taken = await this.#redis.eval(
        ...[TAKE_DELIVERIES, 1, PREFIX, now, now + DELIVERY_MS, limit] as const,
      );
      return (taken as [string, string, number][]).map(([id, text, attempts]) => {
        const written: WrittenDelivery = JSON.parse(text);
        return upgraded({ id, ...written, attempts });
      });
    });
  }

  settleDelivery(id: string, settlement: Settlement): Promise<void> {
    return this.#ask(async () => {
      if (typeof settlement === "string") await this.#dropDelivery(id);
      else await this.#redis.zadd(`${PREFIX}:deliveries:due`, "XX", settlement.retryAt, id);
    });
  }

  remove(id: string): Promise<boolean> {
    return this.#ask(() => this.#remove(id));
  }

  forget(endedBefore: number): Promise<string[]> {
    return this.#ask(async () => {
      const forgotten = await this.#records.takeRemoved();
      for (const state of JOB_STATES.filter((state) => isEnded({ state }))) {
        for (const id of await this.#records.dueBefore(state, endedBefore)) {
          if (await this.#remove(id)) forgotten.push(id);
        }
      }
      return forgotten;
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#lookTimer);
    await this.#stopHearing();
    await this.#bull.close();
    await disconnect(this.#redis);
  }

  async #remove(id: string): Promise<boolean> {
    const kept = await this.#records.read(id);
    return kept !== null && isEnded(kept.record.job) && await this.#jobs.forget(kept);
  }

  async #dropDelivery(id: string): Promise<void> {
    const dropped = await this.#redis.multi()
      .hdel(`${PREFIX}:deliveries`, id)
      .hdel(`${PREFIX}:tries`, id)
      .zrem(`${PREFIX}:deliveries:due`, id)
      .exec();
    for (const [error] of dropped ?? []) if (error !== null) throw error;
  }

  /** The job that an added one is the same as. */
  async #known(record: JobRecord): Promise<Job | null> {
    const { idempotencyKey, job } = record;
    const byKey = idempotencyKey === null
      ? null
      : await this.#records.ofIdempotencyKey(idempotencyKey);
    const known = byKey ?? await this.#records.read(job.id);
    if (known !== null) checkSame(known.record, record);
    return known?.record.job ?? null;
  }

  async #full(): Promise<QueueFull> {
    const running = await Array.fromAsync(this.#records.newestFirst(["running"]));
    const ended = await this.#records.lastEnded("succeeded", RECENT);
    const recordsOf = (all: readonly Kept[]) => all.map(({ record }) => record);
    return queueFull(this.#options.limit, recordsOf(running), recordsOf(ended), this.#now());
  }

  /** Takes from dead workers what they had, ends what has waited too long, and does what dead processes had yet to do. */
  async #tidy(): Promise<void> {
    await Promise.all([
      this.#takeBack(),
      this.#expire(),
      this.#jobs.followAll(),
      this.#jobs.dropRemoved(),
    ]);
  }

  async #takeBack(): Promise<void> {
    const now = this.#now();
    for (const id of await this.#records.dueBefore("running", now)) {
      await this.#jobs.turn(id, (record) => isOverdue(record, now) ? this.#lost(record) : record);
    }
  }

  #lost(record: JobRecord): JobRecord {
    return lost(record, this.#options.maxAttempts, this.#now());
  }

  /** Whether there was any. */
  async #expire(): Promise<boolean> {
    let any = false;
    for (const id of await this.#records.dueBefore("queued", this.#now())) {
      if (await this.#end(id, expired)) any = true;
    }
    return any;
  }

  /** Ends a job if it waits. */
  async #end(id: string, become: (record: JobRecord, now: number) => JobRecord): Promise<boolean> {
    const turned = await this.#jobs.turn(
      id,
      (record) => record.job.state === "queued" ? become(record, this.#now()) : record,
    );
    return turned !== null && turned.after.record !== turned.before;
  }

  /** As far as can be seen before it is taken. */
  async #isNextWanted(isWanted: (record: JobRecord) => boolean): Promise<boolean> {
    const next = await this.#bull.next();
    if (next === null) return false;
    const kept = await this.#records.read(ownerOf(next));
    return kept?.record.job.state !== "queued" || isWanted(kept.record);
  }

  async #take(isWanted: (record: JobRecord) => boolean): Promise<Lease | null> {
    while (true) {
      const token = crypto.randomUUID();
      const bullId = await this.#bull.take(token);
      if (bullId === null) return null;
      try {
        const lease = await this.#begin(bullId, token, isWanted);
        if (lease !== "next") return lease;
      } catch (error) {
        this.#doubtful.set(token, bullId);
        throw error;
      }
    }
  }

  /**
   * Begins a job that BullMQ has given to this worker, or does what else its record asks for.
   *
   * @returns "next": it was not to be begun, another one may be; null: it is not wanted, nor are others.
   */
  async #begin(
    bullId: string,
    token: string,
    isWanted: (record: JobRecord) => boolean,
  ): Promise<Lease | null | "next"> {
    while (true) {
      const kept = await this.#records.read(ownerOf(bullId));
      if (kept?.bullId !== bullId) {
        await unlessElsewhere(this.#bull.drop(bullId, token));
        return "next";
      }
      const { record } = kept;
      const now = this.#now();
      if (record.job.state === "queued") {
        if (!isWanted(record)) {
          await this.#jobs.settle(bullId, token);
          return null;
        }
        const until = now + this.#options.leaseMs;
        const taken = begun(record, { token, until, now });
        const saved = await this.#records.save(kept, taken, { now, note: "" });
        if (typeof saved === "object") {
          return { job: taken.job, token, checkpoints: taken.checkpoints };
        }
      } else if (record.job.state === "running") {
        // Else its worker lives, although BullMQ's lock was over: it has the job, and nobody begins it while this lock lasts.
        if (isOverdue(record, now)) {
          await this.#jobs.turnTaken(kept, this.#lost(record), token);
        }
        return "next";
      } else {
        const again = await this.#isRetriedByOthers(bullId) ? retried(record, now) : record;
        if (again === record) await this.#jobs.settle(bullId, token);
        else await this.#jobs.turnTaken(kept, again, token);
        return "next";
      }
    }
  }

  /**
   * Whether somebody has queued a job that had ended by BullMQ's own means, such as Bull Board, and this process was given it: else it
   * was given it to end it.
   */
  async #isRetriedByOthers(bullId: string): Promise<boolean> {
    // In this order: nobody else can have ended it between.
    return await this.#records.note(bullId) === null &&
      await this.#bull.stateOf(bullId) === "active";
  }

  /** Without this they would wait until their leases are over, and have one attempt less. */
  async #giveBackDoubtful(): Promise<void> {
    for (const [token, bullId] of this.#doubtful) {
      const lease = { job: { id: ownerOf(bullId) }, token };
      const release = (record: JobRecord) => released(record, record.checkpoints, this.#now());
      const turned = await this.#turnLeased(lease, release);
      if (turned === null) await this.#jobs.settle(bullId, token);
      this.#doubtful.delete(token);
    }
  }

  /** What becomes of a job if the lease is its newest; else null. */
  async #turnLeased(
    { job, token }: { readonly job: Pick<Job, "id">; readonly token: string },
    become: (record: JobRecord) => JobRecord,
  ): Promise<{ readonly before: JobRecord; readonly after: Kept } | null> {
    const turned = await this.#jobs.turn(
      job.id,
      (record) =>
        record.job.state === "running" && record.token === token ? become(record) : record,
    );
    return turned === null || turned.after.record === turned.before ? null : turned;
  }

  /** @throws {Unavailable} When the server is away, or takes nothing. */
  async #ask<T>(work: () => Promise<T>): Promise<T> {
    const end = performance.now() + PATIENCE_MS;
    try {
      while (true) {
        // One who asks a server that has been away for long does not wait for it.
        const left = (this.#lostAt ?? performance.now()) + PATIENCE_MS - performance.now();
        await untilConnected(this.#redis, left);
        try {
          return await work();
        } catch (error) {
          if (!isLost(error) || performance.now() > end) throw error;
          // It is begun anew with the next connection: each change is made by one who knows how it was.
          await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
        }
      }
    } catch (error) {
      throw asRedisError(this.#url, error, Unavailable);
    }
  }
}

/** Whether its worker has said nothing for too long. */
function isOverdue({ job, leaseUntil }: JobRecord, now: number): boolean {
  return job.state === "running" && leaseUntil! < now;
}

/** @throws {MdmError} When there are jobs of the version that had BullMQ keep only who is next. */
async function refuseOlder(redis: Redis, url: string): Promise<void> {
  if (await redis.exists(`${PREFIX}:entries`) === 0) return;
  throw new MdmError(
    `Cannot use the queue at ${
      new URL(url).host
    }: its jobs are of an older mdm. Let that one finish them, then give another database, such as redis://HOST:PORT/1.`,
  );
}
