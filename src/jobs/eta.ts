/** What was measured of a job that runs. Times are milliseconds. */
export interface JobPace {
  /** When its first image got a slot; null: none has one yet. */
  readonly beganAt: number | null;
  /** Steps of all its images that were made here, and those that are left. */
  readonly done: number;
  readonly left: number;
  /** When the first of them were made, and how many those were: they take longer, for kernels are compiled in them. Null: none was. */
  readonly first: { readonly at: number; readonly done: number } | null;
  /** Images of it that are being made. */
  readonly together: number;
  /** What a step took of late, of whichever job; null: none was made. */
  readonly stepMs: number | null;
}

/** Milliseconds that a job takes from now on; null: nothing was measured yet. */
export function etaMs(
  { beganAt, done, left, first, together, stepMs }: JobPace,
  now: number,
): number | null {
  if (beganAt === null) return null;
  if (first !== null && done > first.done) {
    return Math.round((now - first.at) / (done - first.done) * left);
  }
  if (stepMs !== null) return Math.round(stepMs * left / Math.max(1, together));
  return done === 0 ? null : Math.round((now - beganAt) / done * left);
}
