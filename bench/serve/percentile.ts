/**
 * The least of the values that at least a share of them do not exceed: 0.5 gives the median of an odd number of values. Like this it
 * is always one that was measured.
 *
 * @param share More than 0, at most 1.
 */
export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.ceil(share * sorted.length) - 1]!;
}
