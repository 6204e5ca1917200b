/**
 * A queue on Redis or Valkey, for many machines. BullMQ keeps the line of those that wait; what a job is, its lease and its webhooks
 * are entries of ours, each changed in one step by a script, for BullMQ's own states cannot end a job exactly once together with the
 * webhooks that tell of it, give a job back without counting the attempt, or choose one that is like another.
 *
 * Redis has on the disk what it is told to: with `appendonly yes` and `appendfsync always` everything, else a crash of Redis itself
 * may lose the last seconds.
 */
import type { Redis } from "ioredis";
import {
  advanced,
  begun,
  canceled,
  checkSame,
  completed,
  ended,
  type Entry,
  expired,
  fingerprintOf,
  lost,
  queued,
  released,
  retried,
} from "../entry.ts";
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
import { hearChanges } from "./changes.ts";
import {
  asRedisError,
  connect,
  disconnect,
  isLost,
  PATIENCE_MS,
  untilConnected,
} from "./connection.ts";
import { type Kept, ownerOf, placeOf, RedisEntries, type WrittenDelivery } from "./entries.ts";
import { RedisLine } from "./line.ts";
import { DROP_DELIVERY, TAKE_DELIVERIES } from "./scripts.ts";
import { queueFull, RECENT } from "../retry_after.ts";

/** What all keys begin with; the braces keep them together in a cluster. */
const PREFIX = "{mdm}";
/** How often to look for what was taken out of the line by others' means. */
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
  readonly #entries: RedisEntries;
  readonly #line: RedisLine;
  readonly #listeners = new Listeners();
  /** Ends hearing of changes, which goes on while somebody listens. */
  #stopHearing = () => Promise.resolve();
  #lookTimer: ReturnType<typeof setInterval> | undefined;
  /** When the connection was lost; null: it is there. */
  #lostAt: number | null = null;
  /** Jobs that this process may have been given, where the answer was lost: nobody works on them. */
  readonly #doubtful = new Set<Lease>();

  private constructor(redis: Redis, line: RedisLine, url: string, options: QueueOptions) {
    this.#redis = redis;
    this.#url = url;
    this.#options = options;
    this.#now = options.now ?? Date.now;
    this.#entries = new RedisEntries(redis, PREFIX);
    this.#line = line;
    redis.on("close", () => this.#lostAt ??= performance.now());
    redis.on("ready", () => this.#lostAt = null);
  }

  /**
   * Connects to the queue in a database of a server.
   *
   * @param url redis://[[user]:password@]host[:port][/database], or rediss:// for TLS.
   * @throws {MdmError} When it cannot be reached, or wants another password.
   */
  static async open(url: string, options: QueueOptions): Promise<RedisQueue> {
    const redis = await connect(url);
    try {
      const line = await RedisLine.open(redis, PREFIX, options.leaseMs);
      return new RedisQueue(redis, line, url, options);
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
      const entry = queued(job);
      const { limit } = this.#options;
      while (true) {
        const known = await this.#known(entry);
        if (known !== null) return known;
        const saved = await this.#entries.save(null, entry, { now: this.#now(), limit });
        if (saved === "changed") continue; // Somebody adds the same.
        if (saved !== "full") {
          await this.#place(saved);
          return entry.job;
        }
        if (!await this.#expire() && !await this.#dropRemoved()) throw await this.#full();
      }
    });
  }

  get(id: string): Promise<Job | null> {
    return this.#ask(async () => {
      const job = (await this.#entries.read(id))?.entry.job ?? null;
      if (job?.state !== "queued" || !await this.#dropRemoved()) return job;
      return (await this.#entries.read(id))?.entry.job ?? null;
    });
  }

  list(filter: Parameters<JobQueue["list"]>[0] = {}): Promise<Job[]> {
    const { states = JOB_STATES, origin, limit = Infinity, before } = filter;
    return this.#ask(async () => {
      await this.#dropRemoved();
      const jobs: Job[] = [];
      for await (const { entry: { job } } of this.#entries.newestFirst(states, before)) {
        if (jobs.length >= limit) break;
        if (origin === undefined || job.origin === origin) jobs.push(job);
      }
      return jobs;
    });
  }

  position(id: string): Promise<number> {
    return this.#ask(async () => {
      const kept = await this.#entries.read(id);
      return kept?.entry.job.state === "queued" ? await this.#line.before(placeOf(kept)) : 0;
    });
  }

  counts(): Promise<Counts> {
    return this.#ask(async () => {
      await this.#dropRemoved();
      const counts = await Promise.all(JOB_STATES.map((state) => this.#entries.count(state)));
      const byState = Object.fromEntries(JOB_STATES.map((state, i) => [state, counts[i]]));
      return { ...byState, retried: await this.#entries.retried() } as Counts;
    });
  }

  cancel(id: string): Promise<Job | null> {
    return this.#ask(async () => {
      const turned = await this.#turn(id, (entry) => canceled(entry, this.#now()));
      return turned?.after.job ?? null;
    });
  }

  retry(id: string): Promise<Job | null> {
    return this.#ask(async () => {
      const turned = await this.#turn(id, (entry) => retried(entry, this.#now()));
      return turned?.after.job ?? null;
    });
  }

  purge(origin: string): Promise<number> {
    return this.#ask(async () => {
      let count = 0;
      for await (const { entry: { job } } of this.#entries.newestFirst(["queued"])) {
        if (job.origin === origin && await this.#end(job.id, canceled)) count++;
      }
      return count;
    });
  }

  claim({ alike = [], above = -Infinity }: Wanted = {}): Promise<Lease | null> {
    return this.#ask(async () => {
      await this.#giveBackDoubtful();
      await this.#tidy();
      for (const kept of await this.#entries.alike(alike.map(fingerprintOf))) {
        const lease = await this.#begin(kept);
        if (lease === null) continue;
        await this.#line.leave(placeOf(kept));
        return lease;
      }
      while (true) {
        const place = await this.#line.next(above);
        if (place === null) return null;
        const kept = await this.#entries.read(ownerOf(place.name));
        // Places of jobs that wait no more, or have another place by now, may be left.
        const isThere = kept !== null && isWaitingAt(kept, place.name);
        const lease = isThere ? await this.#begin(kept) : null;
        await place.done();
        if (lease !== null) return lease;
      }
    });
  }

  heartbeat(
    lease: Pick<Lease, "job" | "token">,
    seen: Parameters<JobQueue["heartbeat"]>[1],
  ): Promise<Heartbeat> {
    return this.#ask(async () => {
      const until = this.#now() + this.#options.leaseMs;
      const entry = await this.#turnLeased(lease, (entry) => advanced(entry, seen, until));
      if (entry === null) return "lost";
      return entry.canceling ? "canceled" : "alive";
    });
  }

  finish(lease: Pick<Lease, "job" | "token">, outcome: JobOutcome): Promise<boolean> {
    return this.#ask(async () => {
      const become = (entry: Entry) => ended(entry, outcome, this.#now());
      if (await this.#turnLeased(lease, become) !== null) return true;
      const kept = await this.#entries.read(lease.job.id);
      return kept?.entry.token === lease.token;
    });
  }

  release(lease: Pick<Lease, "job" | "token">, checkpoints: readonly string[]): Promise<boolean> {
    return this.#ask(async () => {
      const become = (entry: Entry) => released(entry, checkpoints, this.#now());
      return await this.#turnLeased(lease, become) !== null;
    });
  }

  listen(listener: Listener): () => void {
    if (this.#listeners.size === 0) {
      this.#stopHearing = hearChanges(this.#redis, PREFIX, this.#listeners);
      // Nobody tells of what was removed, and it may be that nobody takes jobs either.
      this.#lookTimer = setInterval(() => void this.#dropRemoved().catch(() => {}), LOOK_MS);
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
        return completed({ id, ...written, attempts });
      });
    });
  }

  settleDelivery(id: string, settlement: Settlement): Promise<void> {
    return this.#ask(async () => {
      if (typeof settlement === "string") await this.#redis.eval(DROP_DELIVERY, 1, PREFIX, id);
      else await this.#redis.zadd(`${PREFIX}:deliveries:due`, "XX", settlement.retryAt, id);
    });
  }

  remove(id: string): Promise<boolean> {
    return this.#ask(() => this.#remove(id));
  }

  forget(endedBefore: number): Promise<string[]> {
    return this.#ask(async () => {
      const forgotten = await this.#entries.takeRemoved();
      for (const state of JOB_STATES.filter((state) => isEnded({ state }))) {
        for (const id of await this.#entries.dueBefore(state, endedBefore)) {
          if (await this.#remove(id)) forgotten.push(id);
        }
      }
      return forgotten;
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#lookTimer);
    await this.#stopHearing();
    await this.#line.close();
    await disconnect(this.#redis);
  }

  async #remove(id: string): Promise<boolean> {
    const kept = await this.#entries.read(id);
    return kept !== null && isEnded(kept.entry.job) && await this.#entries.forget(kept);
  }

  /** The job that an added one is the same as. */
  async #known(entry: Entry): Promise<Job | null> {
    const { idempotencyKey, job } = entry;
    const byKey = idempotencyKey === null
      ? null
      : await this.#entries.ofIdempotencyKey(idempotencyKey);
    const known = byKey ?? await this.#entries.read(job.id);
    if (known !== null) checkSame(known.entry, entry);
    return known?.entry.job ?? null;
  }

  async #full(): Promise<QueueFull> {
    const running = await Array.fromAsync(this.#entries.newestFirst(["running"]));
    const ended = await this.#entries.lastEnded("succeeded", RECENT);
    const entriesOf = (all: readonly Kept[]) => all.map(({ entry }) => entry);
    return queueFull(this.#options.limit, entriesOf(running), entriesOf(ended), this.#now());
  }

  /** Takes from dead workers what they had, ends what has waited too long, and puts into the line what a dead process did not. */
  async #tidy(): Promise<void> {
    const now = this.#now();
    for (const id of await this.#entries.dueBefore("running", now)) {
      await this.#turn(id, (entry) => {
        const isOver = entry.job.state === "running" && entry.leaseUntil! < now;
        return isOver ? lost(entry, this.#options.maxAttempts, now) : entry;
      });
    }
    await this.#expire();
    for (const place of await this.#entries.unplaced()) {
      const kept = await this.#entries.read(ownerOf(place));
      if (kept !== null && isWaitingAt(kept, place)) await this.#place(kept);
      else await this.#entries.notPlaced(place);
    }
    await this.#dropRemoved();
  }

  /**
   * Cancels and forgets jobs whose places somebody has removed by BullMQ's own means, such as Bull Board: they would wait for ever.
   *
   * @returns Whether there was any.
   */
  async #dropRemoved(): Promise<boolean> {
    let any = false;
    for (const place of await this.#entries.missing(this.#line.key)) {
      const kept = await this.#entries.read(ownerOf(place));
      if (kept === null || !isWaitingAt(kept, place)) {
        await this.#entries.notPlaced(place);
        continue;
      }
      const now = this.#now();
      const saved = await this.#entries.save(kept, canceled(kept.entry, now), { now });
      if (typeof saved === "string") continue; // Somebody was quicker.
      await this.#entries.forget(saved, true);
      any = true;
    }
    return any;
  }

  /** Whether there was any. */
  async #expire(): Promise<boolean> {
    let any = false;
    for (const id of await this.#entries.dueBefore("queued", this.#now())) {
      if (await this.#end(id, expired)) any = true;
    }
    return any;
  }

  /** Ends a job if it waits. */
  async #end(id: string, become: (entry: Entry, now: number) => Entry): Promise<boolean> {
    const turned = await this.#turn(
      id,
      (entry) => entry.job.state === "queued" ? become(entry, this.#now()) : entry,
    );
    return turned !== null && turned.after !== turned.before;
  }

  /** Gives a job that waits to a worker; null: somebody was quicker. */
  async #begin(kept: Kept): Promise<Lease | null> {
    const now = this.#now();
    const token = crypto.randomUUID();
    const entry = begun(kept.entry, { token, until: now + this.#options.leaseMs, now });
    const lease = { job: entry.job, token, checkpoints: entry.checkpoints };
    try {
      const saved = await this.#entries.save(kept, entry, { now });
      return typeof saved === "string" ? null : lease;
    } catch (error) {
      this.#doubtful.add(lease);
      throw error;
    }
  }

  /** Without this they would wait until their leases are over, and have one attempt less. */
  async #giveBackDoubtful(): Promise<void> {
    for (const lease of this.#doubtful) {
      await this.#turnLeased(lease, (entry) => released(entry, lease.checkpoints, this.#now()));
      this.#doubtful.delete(lease);
    }
  }

  async #place(kept: Kept): Promise<void> {
    const { priority, startedAt } = kept.entry.job;
    // One that was begun before is older than all that wait.
    await this.#line.join(placeOf(kept), priority, startedAt !== null);
    await this.#entries.placed(placeOf(kept));
  }

  /** What becomes of a job if the lease is its newest; else null. */
  async #turnLeased(
    { job, token }: Pick<Lease, "job" | "token">,
    become: (entry: Entry) => Entry,
  ): Promise<Entry | null> {
    const turned = await this.#turn(
      job.id,
      (entry) => entry.job.state === "running" && entry.token === token ? become(entry) : entry,
    );
    return turned === null || turned.after === turned.before ? null : turned.after;
  }

  /** Writes what becomes of a job; null where there is none. */
  async #turn(
    id: string,
    become: (entry: Entry) => Entry,
  ): Promise<{ readonly before: Entry; readonly after: Entry } | null> {
    while (true) {
      const kept = await this.#entries.read(id);
      if (kept === null) return null;
      const before = kept.entry;
      const after = become(before);
      if (after === before) return { before, after };
      const saved = await this.#entries.save(kept, after, { now: this.#now() });
      if (typeof saved === "string") continue; // Somebody was quicker.
      if (after.job.state === "queued") await this.#place(saved);
      else if (before.job.state === "queued") await this.#line.leave(placeOf(kept));
      return { before, after };
    }
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

function isWaitingAt(kept: Kept, place: string): boolean {
  return kept.entry.job.state === "queued" && placeOf(kept) === place;
}
