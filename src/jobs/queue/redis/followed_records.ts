/** Records, and BullMQ's jobs that follow them. */
import { canceled, type JobRecord } from "../job_record.ts";
import type { JobState } from "../../job.ts";
import { type BullJobs, type BullState, unlessElsewhere } from "./bull_jobs.ts";
import {
  type Kept,
  lockOf,
  nextVersion,
  type Note,
  ownerOf,
  type RedisRecords,
} from "./records.ts";

/** Where BullMQ has the job of a record that it has followed. */
const FOLLOWED: Readonly<Record<JobState, BullState>> = {
  queued: "prioritized",
  running: "active",
  succeeded: "completed",
  failed: "failed",
  canceled: "failed",
};

/** A note that is written nowhere. */
const NO_NOTE: Note = "0 ";

/** Changes records, and has BullMQ's jobs follow: see `RedisQueue`. */
export class FollowedRecords {
  readonly #records: RedisRecords;
  readonly #bull: BullJobs;
  readonly #now: () => number;

  constructor(records: RedisRecords, bull: BullJobs, now: () => number) {
    this.#records = records;
    this.#bull = bull;
    this.#now = now;
  }

  /** Writes the record of a new job; see `RedisRecords.save`. */
  async add(record: JobRecord, limit: number): Promise<Kept | "changed" | "full"> {
    const note: Note = `${nextVersion(null)} `;
    const saved = await this.#records.save(null, record, { now: this.#now(), limit, note });
    if (typeof saved === "object") await this.#follow(saved.bullId, record, note, "unknown");
    return saved;
  }

  /** Writes what becomes of a job, whoever changes it meanwhile; null where there is none. */
  async turn(
    id: string,
    become: (record: JobRecord) => JobRecord,
  ): Promise<{ readonly before: JobRecord; readonly after: Kept } | null> {
    while (true) {
      const kept = await this.#records.read(id);
      if (kept === null) return null;
      const record = become(kept.record);
      if (record === kept.record) return { before: record, after: kept };
      const after = await this.#write(kept, record);
      if (after !== null) return { before: kept.record, after };
    }
  }

  /** Writes what becomes of a job that this process has by a lock instead of being begun, unless it has changed. */
  async turnTaken(kept: Kept, record: JobRecord, lock: string): Promise<void> {
    const saved = await this.#write(kept, record, { lock, at: "active" });
    if (saved === null) await this.settle(kept.bullId, lock);
  }

  /** Forgets a job that has ended, unless it has changed. */
  async forget(kept: Kept): Promise<boolean> {
    const note: Note = `${nextVersion(kept)} `;
    if (!await this.#records.forget(kept, { note })) return false;
    await this.#follow(kept.bullId, null, note, FOLLOWED[kept.record.job.state]);
    return true;
  }

  /** Does what those who died had yet to do. */
  async followAll(): Promise<void> {
    const notes = await this.#records.pending();
    await Promise.all(notes.entries().map(([bullId, note]) => this.#followNow(bullId, note)));
  }

  /** Has BullMQ's job, which this process has by a lock, follow its record instead of being begun. */
  async settle(bullId: string, lock: string): Promise<void> {
    const note = await this.#records.note(bullId);
    await this.#followNow(bullId, note ?? NO_NOTE, lock);
  }

  /**
   * Cancels and forgets jobs that wait and that somebody has removed by BullMQ's own means, such as Bull Board.
   *
   * @returns Whether there was any.
   */
  async dropRemoved(): Promise<boolean> {
    const counts = await Promise.all([
      this.#records.count("queued"),
      this.#records.count("running"),
      this.#records.countPending(),
      this.#bull.countOpen(),
    ]);
    const [queued, running, pending, open] = counts;
    return queued + running - pending > open && await this.#dropMissing();
  }

  async #dropMissing(): Promise<boolean> {
    // In this order: one that waited and had no note then was there.
    const waiting = await Array.fromAsync(this.#records.newestFirst(["queued"]));
    const notes = await this.#records.pending();
    const open = await this.#bull.open();
    let any = false;
    for (const kept of waiting) {
      const { bullId, record } = kept;
      if (notes.has(bullId) || open.has(bullId)) continue;
      if (await this.#bull.stateOf(bullId) !== "unknown") {
        await this.#followNow(bullId, NO_NOTE); // A worker of somebody else has ended it.
        continue;
      }
      const saved = await this.#save(kept, canceled(record, this.#now()));
      if (saved === null) continue;
      await this.#records.forget(saved, { hasJustEnded: true });
      any = true;
    }
    return any;
  }

  async #write(
    kept: Kept,
    record: JobRecord,
    { lock = kept.record.token ?? "", at = FOLLOWED[kept.record.job.state] } = {},
  ): Promise<Kept | null> {
    if (record.job.state === kept.record.job.state) return await this.#save(kept, record);
    const note: Note = `${nextVersion(kept)} ${lock}`;
    const saved = await this.#save(kept, record, note);
    if (saved !== null) await this.#follow(saved.bullId, record, note, at);
    return saved;
  }

  async #save(kept: Kept, record: JobRecord, note?: Note): Promise<Kept | null> {
    const about = { now: this.#now(), ...note !== undefined && { note } };
    const saved = await this.#records.save(kept, record, about);
    return typeof saved === "object" ? saved : null;
  }

  async #follow(
    bullId: string,
    record: JobRecord | null,
    note: Note,
    at: BullState,
  ): Promise<void> {
    const following = this.#bull.follow(bullId, record, lockOf(note), at);
    const isThere = await unlessElsewhere(following);
    if (isThere === undefined) await this.#followNow(bullId, note);
    else if (isThere) await this.#records.strike(bullId, note);
  }

  /** Has BullMQ's job follow its record from where it is now; where somebody else moves it meanwhile, the note stays. */
  async #followNow(bullId: string, note: Note, lock = lockOf(note)): Promise<void> {
    const [kept, at] = await Promise.all([
      this.#records.read(ownerOf(bullId)),
      this.#bull.stateOf(bullId),
    ]);
    const record = kept?.bullId === bullId ? kept.record : null;
    const following = this.#bull.follow(bullId, record, lock, at);
    if (await unlessElsewhere(following)) await this.#records.strike(bullId, note);
  }
}
