/**
 * The diffusion part of a model's configuration, under the reference's field names and defaults
 * (`SamplerConfig` in ml_mdm/samplers.py; `DiffusionConfig`, `NestedDiffusionConfig` in
 * ml_mdm/diffusion.py). Configurations come from strangers: every field is checked, none is guessed.
 */
import { JsonFields } from "../json/json_fields.ts";

/** The family of the noise schedule. */
export type ScheduleType = "COSINE" | "DDPM" | "DEEPFLOYD";

/** What the network predicts: the noise, or v = sqrt(gamma) eps - sqrt(1 - gamma) x0. */
export type PredictionType = "EPSILON" | "V_PREDICTION";

/** How an estimate of x0 is brought back into the range of pixels. */
export type ThresholdType = "NONE" | "CLIP" | "DYNAMIC" | "DYNAMIC_IF";

/** The fields of the reference's `SamplerConfig` that have an effect on sampling. */
export interface SamplerConfig {
  /** Length of the noise schedule; timesteps run from 0 (the image) to this (noise). */
  numDiffusionSteps: number;
  scheduleType: ScheduleType;
  predictionType: PredictionType;
  /** The first beta of the DDPM schedule. */
  betaStart: number;
  /** The last beta of the DDPM schedule. */
  betaEnd: number;
  thresholdFunction: ThresholdType;
  /** Above 1: divides the signal-to-noise ratio of the whole schedule (before its power). */
  rescaleSchedule: number;
  /** A single-resolution model sees images divided by this (arXiv 2301.10972); null: by 1. */
  rescaleSignal: number | null;
  /** A nested model shifts the schedule by resolution instead of dividing the images. */
  scheduleShifted: boolean;
  /** Signal-to-noise ratios are divided by the scale to this power. */
  scheduleShiftedPower: number;
}

/** The reference's `DiffusionConfig`, without what concerns training only. */
export interface DiffusionConfig {
  samplerConfig: SamplerConfig;
  /**
   * If not 0, predictions p of a single-resolution UNet become s tanh(p / s) before guidance.
   * The reference's nested model takes no notice of it.
   */
  modelOutputScale: number;
}

const SCHEDULES: Record<string, ScheduleType> = {
  COSINE: "COSINE",
  DDPM: "DDPM",
  DEEPFLOYD: "DEEPFLOYD",
};

// The reference's names for "predicts the noise": which sampler it runs is not decided here.
const PREDICTIONS: Record<string, PredictionType> = {
  DDPM: "EPSILON",
  DDIM: "EPSILON",
  V_PREDICTION: "V_PREDICTION",
};

const THRESHOLDS: Record<string, ThresholdType> = {
  NONE: "NONE",
  CLIP: "CLIP",
  DYNAMIC: "DYNAMIC",
  DYNAMIC_IF: "DYNAMIC_IF",
};

const WITHOUT_EFFECT_ON_SAMPLING = ["reproject_signal", "loss_target_type"];

const TRAINING_ONLY = [
  "use_vdm_loss_weights",
  "use_double_loss",
  "multi_res_weights",
  "use_random_interp",
  "mixed_ratio",
  "random_downsample",
  "average_downsample",
  "mid_downsample",
];

/** A schedule is an array of this many numbers: a bound keeps a hostile file from filling memory. */
const MAX_DIFFUSION_STEPS = 100_000;

/**
 * Reads the reference's `diffusion_config` object.
 *
 * @param json The parsed JSON.
 * @param nested Whether the model is a NestedUNet.
 * @throws {MdmError} If a field is unknown, of a wrong type or out of range.
 */
export function parseDiffusionConfig(json: unknown, nested: boolean): DiffusionConfig {
  const fields = jsonFields(json, "diffusion_config");
  fields.ignore(...TRAINING_ONLY);
  const noUseResidual = fields.boolean("no_use_residual", true);
  if (nested && !noUseResidual) {
    // An absent field is false in the reference, yet no model can have been trained that way: the
    // code behind it uses a name that is not defined.
    fields.fail("no_use_residual", "true (the reference implementation cannot run a residual)");
  }
  const config = {
    samplerConfig: parseSamplerConfig(fields.raw("sampler_config", {})),
    modelOutputScale: fields.numberThat(
      "model_output_scale",
      0,
      "a number of at least 0",
      (x) => x >= 0,
    ),
  };
  fields.rejectUnknown();
  return config;
}

/**
 * Reads the reference's `sampler_config` object.
 *
 * @throws {MdmError} If a field is unknown, of a wrong type or out of range.
 */
export function parseSamplerConfig(json: unknown): SamplerConfig {
  const fields = jsonFields(json, "sampler_config");
  fields.ignore(...WITHOUT_EFFECT_ON_SAMPLING);
  const config: SamplerConfig = {
    numDiffusionSteps: fields.numberThat(
      "num_diffusion_steps",
      32,
      `a whole number from 1 to ${MAX_DIFFUSION_STEPS}`,
      (x) => Number.isInteger(x) && x >= 1 && x <= MAX_DIFFUSION_STEPS,
    ),
    scheduleType: fields.oneOf("schedule_type", "DDPM", SCHEDULES),
    predictionType: fields.oneOf("prediction_type", "EPSILON", PREDICTIONS),
    betaStart: fields.numberThat("beta_start", 0.0001, "a number between 0 and 1", isBetween0And1),
    betaEnd: fields.numberThat("beta_end", 0.02, "a number between 0 and 1", isBetween0And1),
    thresholdFunction: fields.oneOf("threshold_function", "CLIP", THRESHOLDS),
    rescaleSchedule: fields.numberThat("rescale_schedule", 1, "a number above 0", isPositive),
    rescaleSignal: !fields.has("rescale_signal")
      ? null
      : fields.numberThat("rescale_signal", 1, "a number above 0, or null", isPositive),
    scheduleShifted: fields.boolean("schedule_shifted", false),
    scheduleShiftedPower: fields.numberThat("schedule_shifted_power", 1, "a number", () => true),
  };
  fields.rejectUnknown();
  return config;
}

const isPositive = (x: number) => x > 0;
const isBetween0And1 = (x: number) => x > 0 && x < 1;

function jsonFields(json: unknown, path: string): JsonFields {
  return new JsonFields(json, path, "", "Cannot read the diffusion configuration");
}
