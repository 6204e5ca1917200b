import { median } from "../../median.ts";
import type { Job } from "../job.ts";
import type { JobRecord } from "./job_record.ts";
import { QueueFull } from "./queue.ts";

const HOUR_MS = 3_600_000;

/** Seconds where nothing is known. */
const GUESS = 15;

/** How many of the jobs that succeeded last are looked at. */
export const RECENT = 20;

/** What a full queue knows of how long jobs take. */
export interface Measured {
  /** Those that run. */
  readonly running: readonly Pick<Job, "startedAt" | "progress">[];
  /** The last `RECENT` that succeeded. */
  readonly ended: readonly Pick<Job, "startedAt" | "finishedAt">[];
}

/**
 * Seconds until a full queue should have room, which is when the first of the jobs that run has ended: by its own steps, or else by how
 * long others took within the last hour. Null: nothing was measured.
 *
 * @param now Milliseconds since 1970.
 */
export function retryAfter({ running, ended }: Measured, now: number): number | null {
  const took = ended.flatMap(({ startedAt, finishedAt }) =>
    startedAt === null || finishedAt === null || finishedAt <= now - HOUR_MS
      ? []
      : finishedAt - startedAt
  );
  const usual = took.length === 0 ? null : median(took);
  const left = running.flatMap(({ startedAt, progress: { etaMs } }) =>
    etaMs ?? (usual === null || startedAt === null ? [] : startedAt + usual - now)
  );
  if (left.length > 0) return asSeconds(Math.min(...left));
  return usual === null ? null : asSeconds(usual);
}

/** Whole seconds, at least one and at most an hour. */
export function asSeconds(ms: number): number {
  return Math.ceil(Math.min(HOUR_MS, Math.max(1000, ms)) / 1000);
}

/** What is thrown where as many wait as may. */
export function queueFull(
  limit: number,
  running: readonly JobRecord[],
  ended: readonly JobRecord[],
  now: number,
): QueueFull {
  const jobsOf = (records: readonly JobRecord[]) => records.map(({ job }) => job);
  const seconds = retryAfter({ running: jobsOf(running), ended: jobsOf(ended) }, now);
  return new QueueFull(limit, seconds ?? GUESS, seconds === null);
}
