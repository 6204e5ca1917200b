const HOUR = 3600;
/** Where nothing is known. */
const MINUTE = 60;

/** How many of the jobs that ended last are looked at. */
export const RECENT = 20;

/**
 * Seconds until a full queue should have room, by how fast jobs ended within the last hour.
 *
 * @param ends When the last `RECENT` jobs ended, in milliseconds since 1970.
 */
export function retryAfter(ends: readonly number[], now: number): number {
  const recent = ends.filter((end) => end > now - HOUR * 1000);
  if (recent.length === 0) return MINUTE;
  const seconds = (now - Math.min(...recent)) / recent.length / 1000;
  return Math.min(HOUR, Math.max(1, Math.ceil(seconds)));
}
