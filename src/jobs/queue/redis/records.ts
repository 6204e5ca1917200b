/** Records of jobs in Redis. */
import type { Redis } from "../../../deps/ioredis.ts";
import { dueAt, isRetry, type JobRecord, upgraded, webhookEvents } from "../job_record.ts";
import { JOB_STATES, type JobState } from "../../job.ts";
import type { Delivery } from "../queue.ts";
import { SAVE, STRIKE, TAKE_REMOVED } from "./scripts.ts";

/** A record as it was read. */
export interface Kept {
  readonly record: JobRecord;
  /** The id of BullMQ's job; see `bullIdOf`. */
  readonly bullId: string;
  /** Counts what was written. */
  readonly version: number;
  /** Has to be the same when something else is written. */
  readonly text: string;
}

/**
 * Says that BullMQ's job has yet to follow what was written: it is written in the same step, and struck out when BullMQ's job is there.
 * So a process that dies in between leaves it to the next one that looks. It is the version written, and the lock that BullMQ's job had.
 */
export type Note = `${number} ${string}`;

/** The lock of a note. */
export function lockOf(note: Note): string {
  return note.slice(note.indexOf(" ") + 1);
}

/** A delivery as it is written; its id comes with it. */
export type WrittenDelivery = Pick<Delivery, "event" | "job">;

/** What came of writing: somebody else was quicker, or as many wait as may. */
type Saved = Kept | "changed" | "full";

/** What `SAVE` has to do beside writing the record. */
interface Step {
  /** The state that the job leaves and the one it comes to; absent: it is new, it is forgotten. */
  readonly from?: JobState;
  readonly to?: JobState;
  readonly due: string | number;
  readonly alike: string;
  readonly key?: string;
  readonly bullId: string;
  /** Absent: as it is; "": struck out. */
  readonly note?: Note | "";
  readonly limit: number;
  readonly now: number;
  readonly deliveries: readonly { readonly id: string; readonly text: string }[];
  readonly isRetry?: boolean;
  /** Milliseconds that others have to hear what it was last, where it is forgotten; absent: nobody listens any more. */
  readonly heardMs?: number;
}

/** How many records are read at once. */
const CHUNK = 100;

/** How long the end of a job can be heard of that is forgotten with it. */
const HEARD_MS = 60_000;

/** Keeps records; each is changed only by one who knows how it was. */
export class RedisRecords {
  readonly #redis: Redis;
  readonly #prefix: string;

  constructor(redis: Redis, prefix: string) {
    this.#redis = redis;
    this.#prefix = prefix;
  }

  async read(id: string): Promise<Kept | null> {
    const text = await this.#redis.hget(`${this.#prefix}:records`, id);
    return text === null ? null : asKept(text);
  }

  async ofIdempotencyKey(key: string): Promise<Kept | null> {
    const id = await this.#redis.hget(`${this.#prefix}:keys`, key);
    return id === null ? null : await this.read(id);
  }

  /** Of the jobs that wait and ask for what one of these asks, the one to be taken first. */
  async alike(fingerprints: readonly string[]): Promise<Kept | undefined> {
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
    const [first] = found.sort(({ record: a }, { record: b }) =>
      b.job.priority - a.job.priority || a.queuedAt - b.queuedAt
    );
    return first;
  }

  /** Jobs in some states, the newest first; `before` the job of an id. */
  async *newestFirst(states: readonly JobState[], before?: string): AsyncGenerator<Kept> {
    if (states.length === 0) return;
    const end = before === undefined ? Infinity : await this.#sequence(before);
    const keys = states.map((state) => `${this.#prefix}:state:${state}`);
    const found = await this.#redis.zunion(keys.length, keys, "WITHSCORES");
    yield* this.#readAll(
      found.filter((_, i) => i % 2 === 0 && Number(found[i + 1]) < end).reverse(),
    );
  }

  /** The number of a job's coming; before all others where there is no such job. */
  async #sequence(id: string): Promise<number> {
    const scores = await Promise.all(
      JOB_STATES.map((state) => this.#redis.zscore(`${this.#prefix}:state:${state}`, id)),
    );
    return Number(scores.find((score) => score !== null) ?? -Infinity);
  }

  async count(state: JobState): Promise<number> {
    return await this.#redis.zcard(`${this.#prefix}:state:${state}`);
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

  /** How many of BullMQ's jobs have yet to follow their records. */
  async countPending(): Promise<number> {
    return await this.#redis.hlen(`${this.#prefix}:pending`);
  }

  /** Notes by the ids of BullMQ's jobs that have yet to follow their records. */
  async pending(): Promise<ReadonlyMap<string, Note>> {
    const notes = await this.#redis.hgetall(`${this.#prefix}:pending`);
    return new Map(Object.entries(notes) as [string, Note][]);
  }

  /** What BullMQ's job has yet to follow; null: it has, and is where it is since somebody moved it by BullMQ's own means. */
  async note(bullId: string): Promise<Note | null> {
    return await this.#redis.hget(`${this.#prefix}:pending`, bullId) as Note | null;
  }

  /** Notes that BullMQ's job has followed what a note says. */
  async strike(bullId: string, note: Note): Promise<void> {
    await this.#redis.eval(STRIKE, 1, this.#prefix, bullId, note);
  }

  /**
   * Writes what has become of a job, and its webhooks.
   *
   * @param note See `Step`.
   */
  async save(
    before: Kept | null,
    record: JobRecord,
    { now, limit = 0, note }: {
      readonly now: number;
      readonly limit?: number;
      readonly note?: Note | "";
    },
  ): Promise<Saved> {
    const version = nextVersion(before);
    const bullId = before?.bullId ?? bullIdOf(record);
    const text = JSON.stringify({ ...record, bullId, version });
    const after = { record, bullId, version, text };
    const events = before === null ? [] : webhookEvents(before.record, record);
    const deliveries = events.map((event) => {
      const delivery: WrittenDelivery = { event, job: record.job };
      return { id: crypto.randomUUID(), text: JSON.stringify(delivery) };
    });
    const saved = await this.#step(before, after, {
      ...stepOf(after),
      ...before !== null && { from: before.record.job.state },
      ...note !== undefined && { note },
      ...{ to: record.job.state, due: dueAt(record) ?? "+inf", limit, now, deliveries },
      isRetry: before !== null && isRetry(before.record, record),
    });
    return saved === "done" ? after : saved;
  }

  /**
   * Forgets a job, unless it has changed.
   *
   * @param hasJustEnded Whether others have yet to hear how it ended; its id is among `takeRemoved` then.
   */
  async forget(
    kept: Kept,
    { note, hasJustEnded = false }: { readonly note?: Note; readonly hasJustEnded?: boolean },
  ): Promise<boolean> {
    const saved = await this.#step(kept, null, {
      ...stepOf(kept),
      ...{ from: kept.record.job.state, due: 0, limit: 0, now: 0, deliveries: [] },
      ...note !== undefined && { note },
      ...hasJustEnded && { heardMs: HEARD_MS },
    });
    return saved === "done";
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
    const { id } = (after ?? before)!.record.job;
    const values = [id, before?.text ?? "", after?.text ?? "", JSON.stringify(step)];
    return await this.#redis.eval(SAVE, 1, this.#prefix, ...values) as "done" | "changed" | "full";
  }

  async *#readAll(ids: readonly string[]): AsyncGenerator<Kept> {
    for (let i = 0; i < ids.length; i += CHUNK) {
      const texts = await this.#redis.hmget(
        `${this.#prefix}:records`,
        ...ids.slice(i, i + CHUNK),
      );
      for (const text of texts) if (text !== null) yield asKept(text);
    }
  }
}

/** The version that is written after another one. */
export function nextVersion(before: Kept | null): number {
  return (before?.version ?? 0) + 1;
}

/**
 * A new id for BullMQ's job of a record. Among jobs that were given back BullMQ goes by its ids, so older ones are before newer ones;
 * the end of it is by chance, so that what is said late of a job that is no more is not taken for one that has the same id of ours.
 */
function bullIdOf({ job, queuedAt }: JobRecord): string {
  const time = String(Math.floor(queuedAt)).padStart(TIME_DIGITS, "0");
  return `${time}-${job.id}.${crypto.randomUUID().slice(0, 8)}`;
}

const TIME_DIGITS = 15;

/** The id of our job that one of BullMQ's is for. */
export function ownerOf(bullId: string): string {
  return bullId.slice(TIME_DIGITS + 1, bullId.lastIndexOf("."));
}

function stepOf(kept: Kept): Pick<Step, "alike" | "key" | "bullId"> {
  const { record: { fingerprint, idempotencyKey: key, job }, bullId } = kept;
  return { alike: `${fingerprint}:${job.id}`, bullId, ...key !== null && { key } };
}

function asKept(text: string): Kept {
  const { bullId, version, ...record } = JSON.parse(text);
  return { record: upgraded(record), bullId, version, text };
}
