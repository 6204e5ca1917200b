/**
 * The diffusion part of a model's configuration, under the reference's field names and defaults
 * (`SamplerConfig` in ml_mdm/samplers.py; `DiffusionConfig`, `NestedDiffusionConfig` in
 * ml_mdm/diffusion.py). Configurations come from strangers: every field is checked, none is guessed.
 */
import { MdmError } from "../errors.ts";

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
  const fields = new Fields(json, "diffusion_config");
  fields.ignore(...TRAINING_ONLY);
  const noUseResidual = fields.boolean("no_use_residual", true);
  if (nested && !noUseResidual) {
    // An absent field is false in the reference, yet no model can have been trained that way: the
    // code behind it uses a name that is not defined.
    fields.reject("no_use_residual", "true (the reference implementation cannot run a residual)");
  }
  const config = {
    samplerConfig: parseSamplerConfig(fields.value("sampler_config", {})),
    modelOutputScale: fields.number(
      "model_output_scale",
      0,
      "a number of at least 0",
      (x) => x >= 0,
    ),
  };
  fields.rejectOthers();
  return config;
}

/**
 * Reads the reference's `sampler_config` object.
 *
 * @throws {MdmError} If a field is unknown, of a wrong type or out of range.
 */
export function parseSamplerConfig(json: unknown): SamplerConfig {
  const fields = new Fields(json, "sampler_config");
  fields.ignore(...WITHOUT_EFFECT_ON_SAMPLING);
  const config: SamplerConfig = {
    numDiffusionSteps: fields.number(
      "num_diffusion_steps",
      32,
      `a whole number from 1 to ${MAX_DIFFUSION_STEPS}`,
      (x) => Number.isInteger(x) && x >= 1 && x <= MAX_DIFFUSION_STEPS,
    ),
    scheduleType: fields.oneOf("schedule_type", "DDPM", SCHEDULES),
    predictionType: fields.oneOf("prediction_type", "EPSILON", PREDICTIONS),
    betaStart: fields.number("beta_start", 0.0001, "a number between 0 and 1", isBetween0And1),
    betaEnd: fields.number("beta_end", 0.02, "a number between 0 and 1", isBetween0And1),
    thresholdFunction: fields.oneOf("threshold_function", "CLIP", THRESHOLDS),
    rescaleSchedule: fields.number("rescale_schedule", 1, "a number above 0", isPositive),
    rescaleSignal: fields.value("rescale_signal", null) === null
      ? null
      : fields.number("rescale_signal", 1, "a number above 0, or null", isPositive),
    scheduleShifted: fields.boolean("schedule_shifted", false),
    scheduleShiftedPower: fields.number("schedule_shifted_power", 1, "a number", () => true),
  };
  fields.rejectOthers();
  return config;
}

const isPositive = (x: number) => x > 0;
const isBetween0And1 = (x: number) => x > 0 && x < 1;

/** Reads the fields of one JSON object and knows, at the end, which nobody asked for. */
class Fields {
  readonly #object: Record<string, unknown>;
  readonly #path: string;
  readonly #known = new Set<string>();

  constructor(json: unknown, path: string) {
    if (typeof json !== "object" || json === null || Array.isArray(json)) {
      throw new MdmError(
        `Cannot read the diffusion configuration: "${path}" is ${
          shown(json)
        } but must be an object.`,
      );
    }
    this.#object = json as Record<string, unknown>;
    this.#path = path;
  }

  value(name: string, fallback: unknown): unknown {
    this.#known.add(name);
    return Object.hasOwn(this.#object, name) ? this.#object[name] : fallback;
  }

  number(name: string, fallback: number, wanted: string, accepts: (x: number) => boolean): number {
    const value = this.value(name, fallback);
    if (typeof value === "number" && Number.isFinite(value) && accepts(value)) return value;
    return this.reject(name, wanted);
  }

  boolean(name: string, fallback: boolean): boolean {
    const value = this.value(name, fallback);
    return typeof value === "boolean" ? value : this.reject(name, "true or false");
  }

  /** Enum names are case-insensitive, as in the reference. */
  oneOf<T extends string>(name: string, fallback: T, values: Record<string, T>): T {
    const value = this.value(name, undefined);
    if (value === undefined) return fallback;
    const key = typeof value === "string" ? value.toUpperCase() : "";
    if (Object.hasOwn(values, key)) return values[key]!;
    return this.reject(name, `one of ${Object.keys(values).map((v) => `"${v}"`).join(", ")}`);
  }

  ignore(...names: string[]): void {
    for (const name of names) this.#known.add(name);
  }

  reject(name: string, wanted: string): never {
    throw new MdmError(
      `Cannot read the diffusion configuration: "${this.#path}.${name}" is ` +
        `${shown(this.#object[name])} but must be ${wanted}.`,
    );
  }

  rejectOthers(): void {
    const unknown = Object.keys(this.#object).find((name) => !this.#known.has(name));
    if (unknown === undefined) return;
    throw new MdmError(
      `Cannot read the diffusion configuration: "${this.#path}" has the unknown field ` +
        `${shown(unknown)}: remove it or correct its name.`,
    );
  }
}

/** A value as it can stand in a message: short, whatever the file holds. */
function shown(value: unknown): string {
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object" && value !== null) return "an object";
  if (value === undefined) return "missing";
  return JSON.stringify(typeof value === "string" ? value.slice(0, 60) : value);
}
