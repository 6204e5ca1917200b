/**
 * The resolutions of a model as the sampler sees them. A nested model denoises all of them at the same
 * timestep; either each has its own shifted schedule, or its images are divided by its scale
 * (`NestedSampler` in ml_mdm/samplers.py).
 */
import { MdmError } from "../errors.ts";
import type { SamplerConfig } from "./config.ts";
import { gammas, shiftedGammas } from "./schedule.ts";

/** How one resolution is sampled. */
export interface LevelSchedule {
  /** gamma by timestep: numDiffusionSteps + 1 values, strictly decreasing from 1, all above 0. */
  gammas: Float32Array;
  /** x0 is multiplied by this for the threshold, and divided again. */
  imageScale: number;
  /** Multiplies a final latent (or x0) to give pixels in -1 to 1. */
  outputScale: number;
}

/**
 * The levels of a model, outermost (highest resolution) first.
 *
 * @param nestRatio Side lengths of the outer levels over that of the innermost ([16, 4] for
 * 1024, 256, 64 pixels); null for a single-resolution UNet.
 * @throws {MdmError} If the configuration gives a schedule that cannot be sampled.
 */
export function levelSchedules(
  config: SamplerConfig,
  nestRatio: readonly number[] | null,
): LevelSchedule[] {
  const base = gammas(config);
  const all = nestRatio === null
    ? [level(base, config.rescaleSignal ?? 1)]
    : [...nestRatio, 1].map((scale) =>
      config.scheduleShifted
        ? level(shiftedGammas(base, scale, config.scheduleShiftedPower), 1)
        : level(base, scale)
    );
  all.forEach(checkGammas);
  return all;
}

function level(gammas: Float32Array, scale: number): LevelSchedule {
  return { gammas, imageScale: scale, outputScale: scale };
}

/** Samplers divide by gamma, by 1 - gamma and by steps in log-SNR. */
function checkGammas({ gammas }: LevelSchedule): void {
  for (let t = 1; t < gammas.length; t++) {
    const gamma = gammas[t]!;
    if (gamma > 0 && gamma < gammas[t - 1]!) continue;
    throw new MdmError(
      `Cannot sample with this noise schedule: gamma is ${gammas[t - 1]} at timestep ${
        t - 1
      } and ` +
        `${gamma} at ${t}, but must fall and stay above 0. ` +
        `Correct the schedule fields of "sampler_config".`,
    );
  }
}
