/** How long is waited before something outside is tried again. */
export interface Backoff {
  /** Milliseconds after the first failure. */
  readonly firstMs: number;
  /** Milliseconds at most. */
  readonly longestMs?: number;
  /** How many times as long after each further failure; 2 unless given. */
  readonly factor?: number;
  /** The wait is drawn between these shares of it, so that clients do not come back all at once; absent: it is all of it. */
  readonly jitter?: readonly [least: number, most: number];
}

/**
 * Exponential backoff: milliseconds until the next try.
 *
 * @param failures How many there were, from 1.
 */
export function backoffMs(
  failures: number,
  { firstMs, longestMs = Infinity, factor = 2, jitter: [least, most] = [1, 1] }: Backoff,
): number {
  const share = least + (most - least) * Math.random();
  return Math.min(firstMs * factor ** (failures - 1) * share, longestMs);
}
