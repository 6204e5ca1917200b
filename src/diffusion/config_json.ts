import type { DiffusionConfig } from "./config.ts";

/**
 * A configuration's `diffusion_config`, under the reference's field names. `parseDiffusionConfig`
 * reads the same configuration back.
 */
export function diffusionJson(
  { samplerConfig: sampler, modelOutputScale }: DiffusionConfig,
): Record<string, unknown> {
  return {
    sampler_config: {
      num_diffusion_steps: sampler.numDiffusionSteps,
      schedule_type: sampler.scheduleType,
      // The reference's name for "predicts the noise".
      prediction_type: sampler.predictionType === "EPSILON" ? "DDPM" : sampler.predictionType,
      beta_start: sampler.betaStart,
      beta_end: sampler.betaEnd,
      threshold_function: sampler.thresholdFunction,
      rescale_schedule: sampler.rescaleSchedule,
      rescale_signal: sampler.rescaleSignal,
      schedule_shifted: sampler.scheduleShifted,
      schedule_shifted_power: sampler.scheduleShiftedPower,
    },
    model_output_scale: modelOutputScale,
    no_use_residual: true,
  };
}
