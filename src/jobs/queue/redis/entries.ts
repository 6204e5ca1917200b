/** Entries of jobs in Redis. */
import type { Redis } from "ioredis";
import { completed, dueAt, type Entry, isRetry, webhookEvents } from "../entry.ts";
import { JOB_STATES, type JobState } from "../../job.ts";
import type { Delivery } from "../queue.ts";
import { MISSING, SAVE, TAKE_REMOVED } from "./scripts.ts";

/** An entry as it was read. */
export interface Kept {
  readonly entry: Entry;
  /** How often it has come into the line. */
  readonly round: number;
  /** Has to be the same when something else is written. */
  readonly text: string;
}

/** A delivery as it is written; its id comes with it. */
export type WrittenDelivery = Pick<Delivery, "event" | "job">;

/** What came of writing: somebody else was quicker, or as many wait as may. */
type Saved = Kept | "changed" | "full";

/** What `SAVE` has to do beside writing the entry. */
interface Step {
  /** The state that the job leaves and the one it comes to; absent: it is new, it is forgotten. */
  readonly from?: JobState;
  readonly to?: JobState;
  readonly due: string | number;
  readonly alike: string;
  readonly key?: string;
  readonly place: string;
  readonly limit: number;
  readonly now: number;
  readonly deliveries: readonly { readonly id: string; readonly text: string }[];
  readonly isRetry?: boolean;
  /** Milliseconds that others have to hear what it was last, where it is forgotten; absent: nobody listens any more. */
  readonly heardMs?: number;
}

/** How many entries are read at once. */
const CHUNK = 100;

/** How long the end of a job can be heard of that is forgotten with it. */
const HEARD_MS = 60_000;

/** Keeps entries; each is changed only by one who knows how it was. */
export class RedisEntries {
  readonly #redis: Redis;
  readonly #prefix: string;

  constructor(redis: Redis, prefix: string) {
    this.#redis = redis;
    this.#prefix = prefix;
  }

  async read(id: string): Promise<Kept | null> {
    const text = await this.#redis.hget(`${this.#prefix}:entries`, id);
    return text === null ? null : asKept(text);
  }

  async ofIdempotencyKey(key: string): Promise<Kept | null> {
    const id = await this.#redis.hget(`${this.#prefix}:keys`, key);
    return id === null ? null : await this.read(id);
  }

  /** Jobs that wait and ask for what one of these asks, those to be taken first before the others. */
  async alike(fingerprints: readonly string[]): Promise<Kept[]> {
    const names = await Promise.all(fingerprints.map((fingerprint) =>
      // ";" comes after ":".
      this.#redis.zrange(
        `${this.#prefix}:alike`,
        `[${fingerprint}:`,
        `(${fingerprint};`,
        "BYLEX",
      )
    ));
    const ids = names.flat().map((name) => name.slice(name.indexOf(":") + 1));
    const found = await Array.fromAsync(this.#readAll(ids));
    return found.sort(({ entry: a }, { entry: b }) =>
      b.job.priority - a.job.priority || a.queuedAt - b.queuedAt
    );
  }

  /** Jobs in some states, the newest first; `before` the job of an id. */
  async *newestFirst(states: readonly JobState[], before?: string): AsyncGenerator<Kept> {
    if (states.length === 0) return;
    const end = before === undefined ? Infinity : await this.#sequence(before);
    const keys = states.map((state) => `${this.#prefix}:jobs:${state}`);
    const found = await this.#redis.zunion(keys.length, keys, "WITHSCORES");
    yield* this.#readAll(
      found.filter((_, i) => i % 2 === 0 && Number(found[i + 1]) < end).reverse(),
    );
  }

  /** The number of a job's coming; before all others where there is no such job. */
  async #sequence(id: string): Promise<number> {
    const scores = await Promise.all(
      JOB_STATES.map((state) => this.#redis.zscore(`${this.#prefix}:jobs:${state}`, id)),
    );
    return Number(scores.find((score) => score !== null) ?? -Infinity);
  }

  async count(state: JobState): Promise<number> {
    return await this.#redis.zcard(`${this.#prefix}:jobs:${state}`);
  }

  /** How often jobs were queued once more. */
  async retried(): Promise<number> {
    return Number(await this.#redis.get(`${this.#prefix}:retried`));
  }

  /** The last jobs that came to a state that is an end. */
  async lastEnded(state: JobState, count: number): Promise<Kept[]> {
    const ids = await this.#redis.zrevrange(`${this.#prefix}:due:${state}`, 0, count - 1);
    return await Array.fromAsync(this.#readAll(ids));
  }

  /** The ids of jobs in a state with which something had to be done before a time; see `dueAt`. */
  async dueBefore(state: JobState, time: number): Promise<string[]> {
    return await this.#redis.zrangebyscore(`${this.#prefix}:due:${state}`, "-inf", `(${time}`);
  }

  /** Places that may be missing in the line. */
  async unplaced(): Promise<string[]> {
    return await this.#redis.smembers(`${this.#prefix}:unplaced`);
  }

  /** Notes that a place is in the line. */
  async placed(place: string): Promise<void> {
    await this.#redis.smove(`${this.#prefix}:unplaced`, `${this.#prefix}:placed`, place);
  }

  /** Notes that a place need not be in the line. */
  async notPlaced(place: string): Promise<void> {
    await this.#redis.srem(`${this.#prefix}:unplaced`, place);
    await this.#redis.srem(`${this.#prefix}:placed`, place);
  }

  /** Places that should be in the line, which is kept under a key, and are not. */
  async missing(line: string): Promise<string[]> {
    return await this.#redis.eval(MISSING, 1, this.#prefix, line) as string[];
  }

  /** Writes what has become of a job, and its webhooks. */
  async save(
    before: Kept | null,
    entry: Entry,
    { now, limit = 0 }: { readonly now: number; readonly limit?: number },
  ): Promise<Saved> {
    const from = before?.entry.job.state;
    const { state: to } = entry.job;
    const comes = to === "queued" && from !== "queued";
    const round = (before?.round ?? 0) + (comes ? 1 : 0);
    const text = JSON.stringify({ ...entry, round });
    const after = { entry, round, text };
    const events = before === null ? [] : webhookEvents(before.entry, entry);
    const deliveries = events.map((event) => {
      const delivery: WrittenDelivery = { event, job: entry.job };
      return { id: crypto.randomUUID(), text: JSON.stringify(delivery) };
    });
    const due = dueAt(entry) ?? "+inf";
    const saved = await this.#step(before, after, {
      ...stepOf(after),
      ...from !== undefined && { from },
      ...{ to, due, limit, now, deliveries },
      isRetry: before !== null && isRetry(before.entry, entry),
    });
    return saved === "done" ? after : saved;
  }

  /**
   * Forgets a job, unless it has changed.
   *
   * @param hasJustEnded Whether others have yet to hear how it ended; its id is among `takeRemoved` then.
   */
  async forget(kept: Kept, hasJustEnded = false): Promise<boolean> {
    const from = kept.entry.job.state;
    const step = { ...stepOf(kept), from, due: 0, limit: 0, now: 0, deliveries: [] };
    const heard = hasJustEnded ? { heardMs: HEARD_MS } : {};
    return await this.#step(kept, null, { ...step, ...heard }) === "done";
  }

  /** The ids of jobs that were forgotten as soon as they had ended, each once. */
  async takeRemoved(): Promise<string[]> {
    return await this.#redis.eval(TAKE_REMOVED, 1, this.#prefix) as string[];
  }

  async #step(
    before: Kept | null,
    after: Kept | null,
    step: Step,
  ): Promise<"done" | "changed" | "full"> {
    const { id } = (after ?? before)!.entry.job;
    const values = [id, before?.text ?? "", after?.text ?? "", JSON.stringify(step)];
    return await this.#redis.eval(SAVE, 1, this.#prefix, ...values) as "done" | "changed" | "full";
  }

  async *#readAll(ids: readonly string[]): AsyncGenerator<Kept> {
    for (let i = 0; i < ids.length; i += CHUNK) {
      const texts = await this.#redis.hmget(
        `${this.#prefix}:entries`,
        ...ids.slice(i, i + CHUNK),
      );
      for (const text of texts) if (text !== null) yield asKept(text);
    }
  }
}

/**
 * The name of a job's place in the line. It is another one each time, so that one that was used up late is not taken for the new one;
 * names of older jobs are before those of newer ones.
 */
export function placeOf({ entry: { job, queuedAt }, round }: Kept): string {
  return `${String(Math.floor(queuedAt)).padStart(TIME_DIGITS, "0")}-${job.id}.${round}`;
}

const TIME_DIGITS = 15;

/** The id of the job that has a place. */
export function ownerOf(place: string): string {
  return place.slice(TIME_DIGITS + 1, place.lastIndexOf("."));
}

function stepOf(kept: Kept): Pick<Step, "alike" | "key" | "place"> {
  const { fingerprint, idempotencyKey: key, job } = kept.entry;
  return { alike: `${fingerprint}:${job.id}`, place: placeOf(kept), ...key !== null && { key } };
}

function asKept(text: string): Kept {
  const { round, ...entry } = JSON.parse(text);
  return { entry: completed(entry), round, text };
}
