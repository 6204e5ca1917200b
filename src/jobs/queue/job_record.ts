/** What a queue keeps of a job, and what becomes of it at all that can happen: the same in every queue. */
import { createHash } from "node:crypto";
import { canonicalJson } from "../../canonical_json.ts";
import { isEnded, type Job, type JobError, type JobOutcome, type JobRequest } from "../job.ts";
import type { JobProgress, WebhookEvent } from "../job.ts";
import { DEADLINE_PASSED } from "../job_error.ts";
import { JobConflict, type JobQueue, type NewJob } from "./queue.ts";

/** A job, and what only its queue has to know. It is JSON. */
export interface JobRecord {
  readonly job: Job;
  /** The same for the same request. */
  readonly fingerprint: string;
  readonly idempotencyKey: string | null;
  /** When a client queued it, at first or once more: what makes it older than others. */
  readonly queuedAt: number;
  /** Of the newest lease. It stays when the lease's worker has ended the job, who may ask twice. */
  readonly token: string | null;
  readonly leaseUntil: number | null;
  /** Whether its worker is to stop. */
  readonly canceling: boolean;
  readonly checkpoints: readonly string[];
}

const NOT_BEGUN: JobProgress = { step: 0, steps: 0, etaMs: null, previews: [] };

/** A record as it was kept, maybe by an older version, which did not know of warnings. */
export function upgraded<E extends { readonly job: Job }>(kept: E): E {
  return { ...kept, job: { ...kept.job, warnings: kept.job.warnings ?? [] } };
}

/** What two requests have in common when they ask for the same. */
export function fingerprintOf(request: JobRequest): string {
  return createHash("sha256").update(canonicalJson(request)).digest("base64url");
}

/**
 * Checks that a job that is known, by its id or its key, is what an added one asks for.
 *
 * @throws {JobConflict} When it is not.
 */
export function checkSame(known: JobRecord, added: JobRecord): void {
  if (known.fingerprint === added.fingerprint) return;
  throw new JobConflict(
    known.job.id === added.job.id
      ? `There is a job "${added.job.id}" with another request: choose another id.`
      : `The idempotency key "${added.idempotencyKey}" belongs to another request: choose another key.`,
  );
}

/** A job that has just come. */
export function queued(job: NewJob): JobRecord {
  return {
    job: {
      id: job.id,
      origin: job.origin ?? "plain",
      note: job.note ?? null,
      request: job.request,
      priority: job.priority ?? 0,
      beginBy: job.beginBy ?? null,
      deadline: job.deadline ?? null,
      webhook: job.webhook ?? null,
      state: "queued",
      attempts: 0,
      createdAt: job.createdAt,
      startedAt: null,
      finishedAt: null,
      progress: NOT_BEGUN,
      files: [],
      error: null,
      warnings: [],
      timings: null,
    },
    fingerprint: fingerprintOf(job.request),
    idempotencyKey: job.idempotencyKey ?? null,
    queuedAt: job.createdAt,
    token: null,
    leaseUntil: null,
    canceling: false,
    checkpoints: [],
  };
}

/** A worker takes it. */
export function begun(
  { job, ...rest }: JobRecord,
  { token, until, now }: { readonly token: string; readonly until: number; readonly now: number },
): JobRecord {
  const startedAt = job.startedAt ?? now;
  return {
    ...rest,
    job: { ...job, state: "running", attempts: job.attempts + 1, startedAt },
    token,
    leaseUntil: until,
  };
}

/** Its worker says how far it is. */
export function advanced(
  { job, ...rest }: JobRecord,
  seen: Parameters<JobQueue["heartbeat"]>[1],
  until: number,
): JobRecord {
  return { ...rest, job: { ...job, ...seen }, leaseUntil: until };
}

/** It ends. */
export function ended({ job, ...rest }: JobRecord, outcome: JobOutcome, now: number): JobRecord {
  const progress = { ...job.progress, etaMs: null };
  return {
    ...rest,
    job: { ...job, ...outcome, progress, finishedAt: now },
    leaseUntil: null,
    canceling: false,
    checkpoints: [],
  };
}

/** Its worker gives it back, not counting the attempt. */
export function released(
  record: JobRecord,
  checkpoints: readonly string[],
  now: number,
): JobRecord {
  if (record.canceling) return withdrawn(record, now);
  const { job } = record;
  return {
    ...waiting(record),
    job: { ...job, state: "queued", attempts: job.attempts - 1 },
    checkpoints,
  };
}

/** Its worker has died. What it had saved and finished may be built upon. */
export function lost(record: JobRecord, maxAttempts: number, now: number): JobRecord {
  if (record.canceling) return withdrawn(record, now);
  const { job } = record;
  if (job.attempts < maxAttempts) {
    return { ...waiting(record), job: { ...job, state: "queued", progress: NOT_BEGUN } };
  }
  return failed(record, {
    code: "lost",
    message:
      `The worker died each of the ${job.attempts} times that it began this job: ask for less at once.`,
  }, now);
}

/** It has waited too long, or its deadline has passed. */
export function expired(record: JobRecord, now: number): JobRecord {
  const { deadline } = record.job;
  if (deadline !== null && deadline < now) return failed(record, DEADLINE_PASSED, now);
  return failed(record, {
    code: "expired",
    message: "The job waited as long as jobs may: try again later.",
  }, now);
}

/** Somebody cancels it. Where a worker has it, that worker has to stop first. */
export function canceled(record: JobRecord, now: number): JobRecord {
  if (record.job.state === "queued") return withdrawn(record, now);
  return isEnded(record.job) ? record : { ...record, canceling: true };
}

/** Somebody wants it once more: as if it came now, with as much time as it had. */
export function retried(record: JobRecord, now: number): JobRecord {
  const { job, queuedAt } = record;
  if (job.state !== "failed" && job.state !== "canceled") return record;
  const later = (time: number | null) => time === null ? null : time + now - queuedAt;
  return {
    ...waiting(record),
    job: {
      ...job,
      state: "queued",
      attempts: 0,
      beginBy: later(job.beginBy),
      deadline: later(job.deadline),
      startedAt: null,
      finishedAt: null,
      progress: NOT_BEGUN,
      files: [],
      error: null,
      warnings: [],
      timings: null,
    },
    queuedAt: now,
  };
}

/** Whether it is queued once more since somebody wants it or its worker has died, not since that gave it back. */
export function isRetry({ job: before }: JobRecord, { job: after }: JobRecord): boolean {
  return after.state === "queued" &&
    (isEnded(before) || before.state === "running" && before.attempts === after.attempts);
}

/** When something has to be done with it though nobody asks: it expires, its lease ends, it may be forgotten. */
export function dueAt({ job, leaseUntil }: JobRecord): number | null {
  if (isEnded(job)) return job.finishedAt;
  if (job.state === "running") return leaseUntil;
  const ends = [job.deadline, job.startedAt === null ? job.beginBy : null];
  const least = Math.min(...ends.map((end) => end ?? Infinity));
  return least === Infinity ? null : least;
}

/** What its webhook has to be told of when it has become `after`. */
export function webhookEvents(
  { job: before }: JobRecord,
  { job: after }: JobRecord,
): WebhookEvent[] {
  const had = new Set(before.files.map(({ name }) => name));
  const happened = {
    start: before.startedAt === null && after.startedAt !== null,
    output: after.files.some(({ name }) => !had.has(name)),
    completed: isEnded(after) && !isEnded(before),
  };
  return (["start", "output", "completed"] as const)
    .filter((event) => happened[event] && after.webhook?.events.includes(event));
}

function waiting(record: JobRecord): JobRecord {
  return { ...record, token: null, leaseUntil: null };
}

function withdrawn(record: JobRecord, now: number): JobRecord {
  const { files } = record.job;
  return ended(waiting(record), { state: "canceled", files, error: null, timings: null }, now);
}

function failed(record: JobRecord, error: JobError, now: number): JobRecord {
  const { files } = record.job;
  return ended(waiting(record), { state: "failed", files, error, timings: null }, now);
}
