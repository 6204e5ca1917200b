/** A queue in a file, for one machine: any number of processes may have it open. */
import type { DatabaseSync, SQLInputValue, StatementSync } from "node:sqlite";
import {
  advanced,
  begun,
  canceled,
  checkSame,
  dueAt,
  ended,
  expired,
  fingerprintOf,
  isRetry,
  type JobRecord,
  lost,
  queued,
  released,
  retried,
  upgraded,
  webhookEvents,
} from "../job_record.ts";
import { MdmError } from "../../../errors.ts";
import { isEnded, type Job, JOB_STATES, type JobOutcome, type JobRequest } from "../../job.ts";
import { REMOVED, Unavailable } from "../../unavailable.ts";
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
import { queueFull, RECENT } from "../retry_after.ts";
import { identityOf, isPassing, openFile, reasonOf, whenFree } from "./sqlite_file.ts";

/** How often to look for what other processes have changed. */
const POLL_MS = 200;
/** How long a webhook that was taken is left to the one who took it. */
const DELIVERY_MS = 60_000;
/** How long to wait for other processes that write. */
const BUSY_MS = 3000;

/**
 * "FULL" has a change on the disk when it is told to be done. "NORMAL" leaves that to the system, which is quick: a killed process
 * loses nothing, a power cut the last changes, though never the file.
 */
type Durability = "FULL" | "NORMAL";

/** The number of the next change. */
const NEXT_CHANGE =
  "1 + max((SELECT changed FROM forgotten), (SELECT coalesce(max(changed), 0) FROM jobs))";

/** See `JobQueue`. */
export class SqliteQueue implements JobQueue {
  #database: DatabaseSync;
  /** Which file that is: there may come to be another one at the path, or none. */
  #identity: string | null;
  #opening: Promise<void> | undefined;
  #isClosed = false;
  readonly #path: string;
  readonly #options: QueueOptions;
  readonly #now: () => number;
  readonly #statements = new Map<string, StatementSync>();
  readonly #listeners = new Listeners();
  #timer: ReturnType<typeof setInterval> | undefined;
  /** The last change that listeners have heard of; null: it is not known yet. */
  #heard: number | null = null;
  /** Moves when another process changes something. */
  #version: unknown;

  private constructor(database: DatabaseSync, path: string, options: QueueOptions) {
    this.#database = database;
    this.#identity = identityOf(path);
    this.#path = path;
    this.#options = options;
    this.#now = options.now ?? Date.now;
  }

  /**
   * Opens the queue in a file; makes it where there is none.
   *
   * @throws {MdmError} When the file cannot be opened, is no queue's, or is damaged.
   */
  static async open(path: string, options: QueueOptions): Promise<SqliteQueue> {
    return new SqliteQueue(await openFile(path), path, options);
  }

  get name(): string {
    return `the queue "${this.#path}"`;
  }

  check(): Promise<void> {
    // SQLite writes a page though it stays the same.
    return this.#change(() => this.#run("UPDATE forgotten SET changed = changed"));
  }

  add(job: NewJob): Promise<Job> {
    return this.#change(() => {
      const record = queued(job);
      const known = this.#known(record);
      if (known !== null) return known;
      if (this.#count("queued") >= this.#options.limit) {
        this.#expire();
        if (this.#count("queued") >= this.#options.limit) throw this.#full();
      }
      this.#run(
        `INSERT INTO jobs
           (id, idempotency_key, fingerprint, origin, priority, queued_at, state, due, changed, entry)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ${NEXT_CHANGE}, ?)`,
        record.job.id,
        record.idempotencyKey,
        record.fingerprint,
        record.job.origin,
        record.job.priority,
        record.queuedAt,
        record.job.state,
        dueAt(record),
        JSON.stringify(record),
      );
      return record.job;
    });
  }

  get(id: string): Promise<Job | null> {
    return this.#read(() => this.#record(id)?.job ?? null);
  }

  list(filter: Parameters<JobQueue["list"]>[0] = {}): Promise<Job[]> {
    const { states = JOB_STATES, origin = null, limit = -1, before = null } = filter;
    return this.#read(() =>
      this.#records(
        `SELECT entry FROM jobs
         WHERE state IN (SELECT value FROM json_each(?)) AND (?2 IS NULL OR origin = ?2)
           AND (?4 IS NULL OR sequence < (SELECT sequence FROM jobs WHERE id = ?4))
         ORDER BY sequence DESC LIMIT ?3`,
        JSON.stringify(states),
        origin,
        limit,
        before,
      ).map(({ job }) => job)
    );
  }

  position(id: string): Promise<number> {
    return this.#read(() =>
      this.#number(
        `SELECT count(*) FROM jobs AS other, jobs AS own
         WHERE own.id = ? AND own.state = 'queued' AND other.state = 'queued'
           AND (-other.priority, other.queued_at, other.sequence)
             < (-own.priority, own.queued_at, own.sequence)`,
        id,
      )
    );
  }

  counts(): Promise<Counts> {
    return this.#read(() => ({
      ...Object.fromEntries(JOB_STATES.map((state) => [state, this.#count(state)])),
      retried: this.#number("SELECT count FROM retried"),
    } as Counts));
  }

  cancel(id: string): Promise<Job | null> {
    return this.#change(() => this.#turn(id, (record) => canceled(record, this.#now())));
  }

  retry(id: string): Promise<Job | null> {
    return this.#change(() => this.#turn(id, (record) => retried(record, this.#now())));
  }

  purge(origin: string): Promise<number> {
    return this.#change(() => {
      const records = this.#records(
        "SELECT entry FROM jobs WHERE state = 'queued' AND origin = ?",
        origin,
      );
      for (const record of records) this.#save(record, canceled(record, this.#now()));
      return records.length;
    });
  }

  claim({ alike = [], above }: Wanted = {}): Promise<Lease | null> {
    return this.#change(() => {
      this.#takeBack();
      this.#expire();
      const record = (alike.length > 0 ? this.#alike(alike) : undefined) ?? this.#next(above);
      if (record === undefined) return null;
      const now = this.#now();
      const token = crypto.randomUUID();
      const taken = begun(record, { token, until: now + this.#options.leaseMs, now });
      this.#save(record, taken);
      return { job: taken.job, token, checkpoints: taken.checkpoints };
    });
  }

  heartbeat(
    lease: Pick<Lease, "job" | "token">,
    seen: Parameters<JobQueue["heartbeat"]>[1],
  ): Promise<Heartbeat> {
    // What a power cut takes of these would be computed once more anyway.
    return this.#change(() => {
      const record = this.#leased(lease);
      if (record === undefined) return "lost";
      this.#save(record, advanced(record, seen, this.#now() + this.#options.leaseMs));
      return record.canceling ? "canceled" : "alive";
    }, "NORMAL");
  }

  finish(lease: Pick<Lease, "job" | "token">, outcome: JobOutcome): Promise<boolean> {
    return this.#change(() => {
      const record = this.#record(lease.job.id);
      if (record?.token !== lease.token) return false;
      if (!isEnded(record.job)) this.#save(record, ended(record, outcome, this.#now()));
      return true;
    });
  }

  release(lease: Pick<Lease, "job" | "token">, checkpoints: readonly string[]): Promise<boolean> {
    return this.#change(() => {
      const record = this.#leased(lease);
      if (record !== undefined) this.#save(record, released(record, checkpoints, this.#now()));
      return record !== undefined;
    });
  }

  listen(listener: Listener): () => void {
    if (this.#listeners.size === 0) this.#startListening();
    const own: Listener = (event) => listener(event); // The same function may listen twice.
    this.#listeners.add(own);
    return () => {
      this.#listeners.remove(own);
      if (this.#listeners.size === 0) clearInterval(this.#timer);
    };
  }

  takeDeliveries(limit: number): Promise<Delivery[]> {
    return this.#change(() => {
      const now = this.#now();
      const rows = this.#statement(
        "SELECT id, event, job, attempts FROM deliveries WHERE due <= ? ORDER BY sequence LIMIT ?",
      ).all(now, limit);
      for (const { id } of rows) {
        this.#run(
          "UPDATE deliveries SET attempts = attempts + 1, due = ? WHERE id = ?",
          now + DELIVERY_MS,
          id!,
        );
      }
      return rows.map(({ job, ...row }) =>
        upgraded({ ...row, job: JSON.parse(String(job)) } as Delivery)
      );
    });
  }

  settleDelivery(id: string, settlement: Settlement): Promise<void> {
    return this.#change(() => {
      if (typeof settlement === "string") this.#run("DELETE FROM deliveries WHERE id = ?", id);
      else this.#run("UPDATE deliveries SET due = ? WHERE id = ?", settlement.retryAt, id);
    });
  }

  remove(id: string): Promise<boolean> {
    return this.#change(() => this.#delete("id = ?", id).length > 0);
  }

  forget(endedBefore: number): Promise<string[]> {
    return this.#change(() => this.#delete("due < ?", endedBefore));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.try(() => {
      this.#isClosed = true;
      clearInterval(this.#timer);
      if (this.#database.isOpen) this.#database.close();
    });
  }

  /** Deletes jobs that have ended; gives their ids. */
  #delete(condition: string, value: SQLInputValue): string[] {
    this.#run("UPDATE forgotten SET changed = (SELECT coalesce(max(changed), 0) FROM jobs)");
    const rows = this.#statement(
      `DELETE FROM jobs WHERE state IN (SELECT value FROM json_each(?)) AND ${condition} RETURNING id`,
    ).all(JSON.stringify(JOB_STATES.filter((state) => isEnded({ state }))), value);
    return rows.map(({ id }) => String(id));
  }

  /** The job that an added one is the same as. */
  #known(record: JobRecord): Job | null {
    const { idempotencyKey, job } = record;
    const [byKey] = idempotencyKey === null
      ? []
      : this.#records("SELECT entry FROM jobs WHERE idempotency_key = ?", idempotencyKey);
    const known = byKey ?? this.#record(job.id);
    if (known !== undefined) checkSame(known, record);
    return known?.job ?? null;
  }

  #full(): QueueFull {
    const running = this.#records("SELECT entry FROM jobs WHERE state = 'running'");
    const ended = this.#records(
      "SELECT entry FROM jobs WHERE state = 'succeeded' ORDER BY due DESC LIMIT ?",
      RECENT,
    );
    return queueFull(this.#options.limit, running, ended, this.#now());
  }

  /** Takes from dead workers what they had. */
  #takeBack(): void {
    const now = this.#now();
    for (const record of this.#overdue("running", now)) {
      this.#save(record, lost(record, this.#options.maxAttempts, now));
    }
  }

  #expire(): void {
    const now = this.#now();
    for (const record of this.#overdue("queued", now)) this.#save(record, expired(record, now));
  }

  #overdue(state: Job["state"], now: number): JobRecord[] {
    return this.#records("SELECT entry FROM jobs WHERE state = ? AND due < ?", state, now);
  }

  #next(above = -Infinity): JobRecord | undefined {
    return this.#records(
      `SELECT entry FROM jobs WHERE state = 'queued' AND priority > ?
       ORDER BY priority DESC, queued_at, sequence LIMIT 1`,
      above,
    )[0];
  }

  #alike(requests: readonly JobRequest[]): JobRecord | undefined {
    return this.#records(
      `SELECT entry FROM jobs
       WHERE state = 'queued' AND fingerprint IN (SELECT value FROM json_each(?))
       ORDER BY priority DESC, queued_at, sequence LIMIT 1`,
      JSON.stringify(requests.map(fingerprintOf)),
    )[0];
  }

  /** The job of a lease, if that is the newest. */
  #leased({ job, token }: Pick<Lease, "job" | "token">): JobRecord | undefined {
    const record = this.#record(job.id);
    return record?.job.state === "running" && record.token === token ? record : undefined;
  }

  #turn(id: string, become: (record: JobRecord) => JobRecord): Job | null {
    const before = this.#record(id);
    if (before === undefined) return null;
    const after = become(before);
    if (after !== before) this.#save(before, after);
    return after.job;
  }

  /** Writes what has become of a job, and the webhooks that tell of it. */
  #save(before: JobRecord, after: JobRecord): void {
    this.#run(
      `UPDATE jobs SET queued_at = ?, state = ?, due = ?, changed = ${NEXT_CHANGE}, entry = ?
       WHERE id = ?`,
      after.queuedAt,
      after.job.state,
      dueAt(after),
      JSON.stringify(after),
      after.job.id,
    );
    if (isRetry(before, after)) this.#run("UPDATE retried SET count = count + 1");
    for (const event of webhookEvents(before, after)) {
      this.#run(
        "INSERT INTO deliveries (id, event, job, attempts, due) VALUES (?, ?, ?, 0, ?)",
        `msg_${crypto.randomUUID()}`,
        event,
        JSON.stringify(after.job),
        this.#now(),
      );
    }
  }

  #startListening(): void {
    this.#heard = null;
    const look = () => this.#read(() => this.#lookForChanges()).catch(() => {}); // Away: later.
    this.#timer = setInterval(look, POLL_MS);
    look();
  }

  /** Tells what other processes have changed. */
  #lookForChanges(): void {
    const version = this.#dataVersion();
    if (this.#heard !== null && version === this.#version) return;
    this.#version = version;
    if (this.#heard !== null) return this.#tellChanges();
    this.#heard = this.#number(`SELECT ${NEXT_CHANGE} - 1`);
    this.#listeners.note(
      this.#records("SELECT entry FROM jobs WHERE state IN ('queued', 'running')")
        .map(({ job }) => job),
    );
  }

  #tellChanges(): void {
    if (this.#listeners.size === 0 || this.#heard === null) return;
    const next = this.#statement(
      "SELECT changed, entry FROM jobs WHERE changed > ? ORDER BY changed LIMIT 1",
    );
    // One at a time, for a listener may change something itself.
    for (let row = next.get(this.#heard); row !== undefined; row = next.get(this.#heard)) {
      this.#heard = Number(row.changed);
      this.#listeners.tell(asRecord(row.entry).job);
    }
  }

  #dataVersion(): number {
    return this.#number("PRAGMA data_version");
  }

  #change<T>(work: () => T, durability: Durability = "FULL"): Promise<T> {
    return this.#read(() => {
      const result = this.#transaction(work, durability);
      this.#tellChanges();
      return result;
    });
  }

  #transaction<T>(work: () => T, durability: Durability): T {
    this.#run(`PRAGMA synchronous = ${durability}`);
    this.#run("BEGIN IMMEDIATE");
    try {
      const result = work();
      this.#run("COMMIT");
      return result;
    } finally {
      // A full disk may have rolled it back already.
      if (this.#database.isTransaction) this.#run("ROLLBACK");
    }
  }

  /** @throws {Unavailable} When the file is not there, or cannot be used at the moment. */
  async #read<T>(work: () => T): Promise<T> {
    try {
      if (!this.#isThere()) await this.#openAgain();
      return await whenFree(work, BUSY_MS);
    } catch (error) {
      const reason = reasonOf(error);
      if (reason === null) throw error;
      // What the system has of a disk that failed may be of no use when the disk is back.
      if (!isPassing(error)) this.#identity = null;
      throw this.#unavailable(reason);
    }
  }

  #unavailable(reason: string): Unavailable {
    return new Unavailable(`Cannot use ${this.name}: ${reason}`);
  }

  /** Whether the file that is open is the one at the path: it may have been removed, or its disk. */
  #isThere(): boolean {
    const found = identityOf(this.#path);
    if (found === null) throw this.#unavailable(REMOVED);
    return found === this.#identity;
  }

  async #openAgain(): Promise<void> {
    if (this.#isClosed) return;
    this.#opening ??= this.#open().finally(() => this.#opening = undefined);
    await this.#opening;
  }

  async #open(): Promise<void> {
    const before = this.#database;
    try {
      const identity = identityOf(this.#path);
      this.#database = await openFile(this.#path);
      this.#identity = identity;
    } catch (error) {
      throw error instanceof MdmError ? new Unavailable(error.message) : error;
    }
    this.#statements.clear();
    // It may be a copy that knows less.
    const last = this.#number(`SELECT ${NEXT_CHANGE} - 1`);
    if (this.#heard !== null) this.#heard = Math.min(this.#heard, last);
    this.#version = undefined;
    try {
      before.close();
    } catch { /* Its disk is gone. */ }
  }

  #record(id: string): JobRecord | undefined {
    return this.#records("SELECT entry FROM jobs WHERE id = ?", id)[0];
  }

  #records(sql: string, ...values: SQLInputValue[]): JobRecord[] {
    return this.#statement(sql).all(...values).map(({ entry }) => asRecord(entry));
  }

  #count(state: Job["state"]): number {
    return this.#number("SELECT count(*) FROM jobs WHERE state = ?", state);
  }

  #number(sql: string, ...values: SQLInputValue[]): number {
    return Number(Object.values(this.#statement(sql).get(...values)!)[0]);
  }

  #run(sql: string, ...values: SQLInputValue[]): void {
    this.#statement(sql).run(...values);
  }

  /** Each is compiled once. */
  #statement(sql: string): StatementSync {
    const known = this.#statements.get(sql);
    if (known !== undefined) return known;
    const statement = this.#database.prepare(sql);
    this.#statements.set(sql, statement);
    return statement;
  }
}

function asRecord(text: unknown): JobRecord {
  return upgraded(JSON.parse(String(text)));
}
