/** Which timesteps a sampling run visits: from noise down to 0, the image. */
import { UsageError } from "../errors.ts";
import type { SamplerConfig } from "./config.ts";
import { gammas } from "./schedule.ts";

type Schedule = Pick<SamplerConfig, "numDiffusionSteps">;

/**
 * The reference's spacing (`set_timesteps` in ml_mdm/samplers.py): uniform in t. The first timestep
 * lies below numDiffusionSteps unless every step is taken.
 *
 * @returns steps + 1 integers, strictly decreasing to 0.
 * @throws {UsageError} If steps is no whole number from 1 to numDiffusionSteps.
 */
export function timesteps(config: Schedule, steps: number): number[] {
  checkSteps(config, steps);
  const spacing = (config.numDiffusionSteps + 1) / (steps + 1);
  return Array.from({ length: steps + 1 }, (_, i) => roundHalfEven((steps - i) * spacing));
}

/**
 * The spacing of DPM-Solver++: from pure noise (t = numDiffusionSteps), half-way between uniform in t and uniform in log-SNR.
 *
 * Measured on shapes32 (docs/samplers.md): the reference's spacing begins a step below pure noise, which at few steps changes
 * what some images show; uniform in log-SNR alone wastes steps where the image is still noise.
 *
 * @returns steps + 1 integers, strictly decreasing to 0.
 * @throws {UsageError} If steps is no whole number from 1 to numDiffusionSteps.
 */
export function dpmTimesteps(config: SamplerConfig, steps: number): number[] {
  checkSteps(config, steps);
  const { numDiffusionSteps: last } = config;
  const logSnr = Array.from(gammas(config), (gamma) => Math.log(gamma / (1 - gamma)));
  const [from, to] = [logSnr[last]!, logSnr[1]!];
  const result: number[] = [last];
  for (let i = 1; i < steps; i++) {
    const even = last * (1 - i / steps);
    const wanted = from + (to - from) * i / (steps - 1);
    const t = Math.round((even + nearest(logSnr, wanted)) / 2);
    // Strictly decreasing, with a timestep left for each step to come.
    result.push(Math.max(steps - i, Math.min(t, result[i - 1]! - 1)));
  }
  return [...result, 0];
}

/** The timestep from 1 on whose log-SNR (they fall with t) is nearest. */
function nearest(logSnr: readonly number[], wanted: number): number {
  let [low, high] = [1, logSnr.length - 1];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (logSnr[middle]! > wanted) low = middle;
    else high = middle;
  }
  return Math.abs(logSnr[low]! - wanted) <= Math.abs(logSnr[high]! - wanted) ? low : high;
}

function checkSteps({ numDiffusionSteps }: Schedule, steps: number): void {
  if (Number.isInteger(steps) && steps >= 1 && steps <= numDiffusionSteps) return;
  throw new UsageError(
    `Cannot sample in ${steps} steps: the model's noise schedule needs a whole number from 1 ` +
      `to ${numDiffusionSteps}.`,
  );
}

/** Rounds as numpy does; x is not negative. */
function roundHalfEven(x: number): number {
  const rounded = Math.round(x);
  return x % 1 === 0.5 && rounded % 2 === 1 ? rounded - 1 : rounded;
}
