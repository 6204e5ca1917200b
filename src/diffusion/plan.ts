/**
 * All numbers of a sampling run, known before it starts: nothing but these, the latents, the
 * predictions and the noise goes into the step kernel.
 */
import { UsageError } from "../errors.ts";
import type { SamplerConfig } from "./config.ts";
import { type GuidanceInterval, guidances } from "./guidance.ts";
import { levelSchedules } from "./levels.ts";
import { type PredictionCoefficients, predictionCoefficients } from "./prediction.ts";
import { type SamplerName, SAMPLERS, type UpdateCoefficients } from "./samplers/mod.ts";
import { type Threshold, THRESHOLDS } from "./thresholds.ts";

/**
 * One step at one level, with p the prediction after guidance:
 *
 *     x0  = threshold(imageScale (x0FromLatent x_t + x0FromPrediction p)) / imageScale
 *     x_s = latent x_t + x0 x0 + previousX0 x0(step before) + noise eps
 *
 * The last step has latent = previousX0 = noise = 0 and x0 = 1, exactly.
 */
export interface StepCoefficients extends PredictionCoefficients, UpdateCoefficients {}

/** What to sample. */
export interface SamplingRequest {
  config: SamplerConfig;
  /** As `levels` takes it: null for a single-resolution UNet. */
  nestRatio: readonly number[] | null;
  sampler: SamplerName;
  steps: number;
  /** From 0 to 1, for "ddim" only; 0 if left out. */
  eta?: number;
  /** 1, which is none, if left out. */
  guidance?: number;
  /** Where guidance is applied; everywhere if left out. */
  guidanceInterval?: GuidanceInterval;
}

/** The numbers of one level. */
export interface LevelPlan {
  imageScale: number;
  /** Multiplies the last latent (or any x0, for a preview); then clip to -1..1. */
  outputScale: number;
  /** One per step. */
  coefficients: StepCoefficients[];
}

/** The numbers of a run. */
export interface SamplingPlan {
  /** steps + 1 integers, strictly decreasing to 0; step i goes from timesteps[i] to [i + 1]. */
  timesteps: number[];
  /** The model's time input at each step: t - 1, as the model was trained. */
  times: number[];
  /** Of each step; 1: it is not guided. */
  guidances: number[];
  threshold: Threshold;
  /** Outermost first. */
  levels: LevelPlan[];
  /** Whether any step adds noise. */
  usesNoise: boolean;
}

/**
 * Plans a sampling run.
 *
 * @throws {UsageError} If steps, eta or the interval is out of range, or the sampler has no eta.
 * @throws {MdmError} If the configuration gives a schedule that cannot be sampled.
 */
export function samplingPlan(request: SamplingRequest): SamplingPlan {
  const { config, nestRatio, steps, guidance = 1, guidanceInterval = [0, 1] } = request;
  const { sampler, timesteps: spacing } = SAMPLERS[request.sampler];
  const eta = checkedEta(request);
  const timesteps = spacing(config, steps);
  const planned = levelSchedules(config, nestRatio).map((level): LevelPlan => ({
    imageScale: level.imageScale,
    outputScale: level.outputScale,
    coefficients: sampler(level, timesteps, { eta }).map((update, i) => ({
      ...predictionCoefficients(config.predictionType, level.gammas[timesteps[i]!]!),
      ...update,
    })),
  }));
  return {
    timesteps,
    times: timesteps.slice(0, -1).map((t) => t - 1),
    guidances: guidances(guidance, guidanceInterval, timesteps, config.numDiffusionSteps),
    threshold: THRESHOLDS[config.thresholdFunction],
    levels: planned,
    usesNoise: planned.some(({ coefficients }) => coefficients.some(({ noise }) => noise > 0)),
  };
}

function checkedEta({ sampler, eta }: SamplingRequest): number {
  if (eta === undefined) return 0;
  if (SAMPLERS[sampler].drawsNoise !== "eta") {
    throw new UsageError(`Sampler "${sampler}" has no eta: leave eta out or use sampler "ddim".`);
  }
  if (!(eta >= 0 && eta <= 1)) {
    throw new UsageError(`Cannot sample with eta ${eta}: give a number from 0 to 1.`);
  }
  return eta;
}
