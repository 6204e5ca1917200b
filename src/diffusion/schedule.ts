/**
 * Noise schedules. gamma(t) is the share of signal in the variance of a latent at timestep t:
 * x_t = sqrt(gamma) x0 + sqrt(1 - gamma) eps, with gamma(0) = 1.
 *
 * The families are computed in float64 and rounded once to float32; shifts are computed in float32
 * operation by operation. Both are as in the reference (`get_noise_schedule`,
 * `get_schedule_shifted` in ml_mdm/samplers.py), so that gammas agree with it bit for bit.
 */
import type { SamplerConfig, ScheduleType } from "./config.ts";

const { fround } = Math;

/**
 * The schedule of a configuration, with its `rescale_schedule` applied.
 *
 * @returns gamma by timestep: length numDiffusionSteps + 1, index 0 is 1.
 */
export function gammas(config: SamplerConfig): Float32Array {
  const schedule = Float32Array.from(SCHEDULES[config.scheduleType](config));
  return shiftedGammas(schedule, config.rescaleSchedule, config.scheduleShiftedPower);
}

/**
 * Divides every signal-to-noise ratio gamma / (1 - gamma) by scale^power: a constant offset in
 * log-SNR. As in the reference, a scale of 1 or less changes nothing.
 */
export function shiftedGammas(gammas: Float32Array, scale: number, power: number): Float32Array {
  if (scale <= 1) return gammas;
  const divisor = fround(scale ** power);
  return gammas.map((gamma) => {
    const snr = fround(gamma / fround(1 - gamma));
    const shifted = fround(snr / divisor);
    return 1 / fround(1 + fround(1 / shifted));
  });
}

const SCHEDULES: Record<ScheduleType, (config: SamplerConfig) => number[]> = {
  COSINE: (config) => cosine(config.numDiffusionSteps),
  DDPM: (config) => fromBetas(linspace(config.betaStart, config.betaEnd, config.numDiffusionSteps)),
  DEEPFLOYD: (config) => fromBetas(squaredCosineBetas(config.numDiffusionSteps)),
};

/** log-SNR from 5 down to -5 along the cosine schedule (arXiv 2202.00512). */
function cosine(steps: number): number[] {
  const b = Math.atan(Math.exp(-0.5 * 5));
  const a = Math.atan(Math.exp(0.5 * 5)) - b;
  const logSnrs = linspace(0, 1, steps).map((t) => -2 * Math.log(Math.tan(a * t + b)));
  return [1, ...logSnrs.map((logSnr) => 1 / (1 + Math.exp(-logSnr)))];
}

/** The betas of the squared cosine with its cap (arXiv 2102.09672, as DeepFloyd IF uses it). */
function squaredCosineBetas(steps: number): number[] {
  const alphaBar = (t: number) => Math.cos((t + 0.008) / 1.008 * Math.PI / 2) ** 2;
  return Array.from(
    { length: steps },
    (_, i) => Math.min(1 - alphaBar((i + 1) / steps) / alphaBar(i / steps), 0.999),
  );
}

/** gamma(t) = prod_(i <= t) (1 - beta_i) (arXiv 2006.11239), summed as logarithms. */
function fromBetas(betas: number[]): number[] {
  let logGamma = 0;
  return [1, ...betas.map((beta) => Math.exp(logGamma += Math.log(1 - beta)))];
}

/** `count` evenly spaced numbers, the last exactly `stop`, rounded as numpy's linspace. */
function linspace(start: number, stop: number, count: number): number[] {
  const step = (stop - start) / (count - 1);
  return Array.from({ length: count }, (_, i) => {
    if (i === 0) return start;
    return i === count - 1 ? stop : i * step + start;
  });
}
