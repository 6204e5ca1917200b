/** Which timesteps a sampling run visits: from noise down to 0, the image. */
import { UsageError } from "../errors.ts";
import type { SamplerConfig } from "./config.ts";

type Schedule = Pick<SamplerConfig, "numDiffusionSteps">;

/**
 * The reference's spacing (`set_timesteps` in ml_mdm/samplers.py): uniform in t. The first timestep
 * lies below numDiffusionSteps unless every step is taken.
 *
 * @returns steps + 1 integers, strictly decreasing to 0.
 * @throws {UsageError} If steps is no whole number from 1 to numDiffusionSteps.
 */
export function timesteps({ numDiffusionSteps }: Schedule, steps: number): number[] {
  if (!Number.isInteger(steps) || steps < 1 || steps > numDiffusionSteps) {
    throw new UsageError(
      `Cannot sample in ${steps} steps: the model's noise schedule needs a whole number from 1 ` +
        `to ${numDiffusionSteps}.`,
    );
  }
  const spacing = (numDiffusionSteps + 1) / (steps + 1);
  return Array.from({ length: steps + 1 }, (_, i) => roundHalfEven((steps - i) * spacing));
}

/** Every timestep: the reference without `resample_steps`. */
export function fullTimesteps(config: Schedule): number[] {
  return timesteps(config, config.numDiffusionSteps);
}

/** The spacing of DPM-Solver++: strictly decreasing integers that end in 0, like `timesteps`. */
export function dpmTimesteps(config: Schedule, steps: number): number[] {
  return timesteps(config, steps);
}

/** Rounds as numpy does; x is not negative. */
function roundHalfEven(x: number): number {
  const rounded = Math.round(x);
  return x % 1 === 0.5 && rounded % 2 === 1 ? rounded - 1 : rounded;
}
