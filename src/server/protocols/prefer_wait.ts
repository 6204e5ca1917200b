/** How long a client wants its answer to wait, as the header `Prefer` says it (RFC 7240). */

/**
 * Milliseconds that a client wants to be held; 0: not at all.
 *
 * @param prefer The header.
 * @param unless What `wait` without a number is, and what silence is.
 */
export function preferredWait(
  prefer: string | undefined,
  unless: { readonly bare: number; readonly silent: number },
): number {
  const wishes = (prefer ?? "").split(/[,;\s]+/);
  const seconds = wishes.map((wish) => /^wait=(\d{1,9})$/.exec(wish)?.[1]).find(Boolean);
  if (seconds !== undefined) return Number(seconds) * 1000;
  if (wishes.includes("wait")) return unless.bare;
  return wishes.includes("respond-async") ? 0 : unless.silent;
}
