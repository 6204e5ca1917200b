/** At which steps of a run guidance is applied. */
import { UsageError } from "../errors.ts";

/** The least and the largest time, as shares of the diffusion time from 0 (the image) to 1 (noise). */
export type GuidanceInterval = readonly [number, number];

/**
 * The guidance of each step: 1, which is none, outside of the interval. Guidance harms where there is nothing but noise yet, and
 * does little where nearly all is decided (Kynkäänniemi et al. 2024, arXiv 2404.07724).
 *
 * @param timesteps Of every step and the end, as a run visits them.
 * @param last The timestep of pure noise.
 * @throws {UsageError} If the interval is none.
 */
export function guidances(
  guidance: number,
  interval: GuidanceInterval,
  timesteps: readonly number[],
  last: number,
): number[] {
  const [low, high] = interval;
  if (!(low >= 0 && low <= high && high <= 1)) {
    throw new UsageError(
      `Cannot guide from ${low} to ${high}: give two numbers from 0 to 1, the smaller one first.`,
    );
  }
  return timesteps.slice(0, -1).map((t) => low <= t / last && t / last <= high ? guidance : 1);
}
