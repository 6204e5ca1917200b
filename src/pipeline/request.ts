import type { DiffusionConfig } from "../diffusion/config.ts";
import { type SamplingPlan, samplingPlan } from "../diffusion/plan.ts";
import { SAMPLERS } from "../diffusion/samplers/mod.ts";
import type { FeatureCache } from "../diffusion/feature_cache.ts";
import type { SessionShape } from "../diffusion/session_graphs.ts";
import { MdmError, UsageError } from "../errors.ts";
import { type ModelConfig, sizeMultiple } from "../model/config.ts";
import { textCapacity } from "../model/text_inputs.ts";
import { checkRequest, checkValue, NO_PROMPT } from "./check_request.ts";
import {
  defaultsOf,
  PARAMETERS,
  pick,
  type ResolvedSampling,
  SAMPLING,
  type SamplingParameters,
  SEEDS,
} from "./parameters.ts";

/**
 * What a person asks for; all but the prompt has a default. Of {@linkcode SamplingParameters} `SAMPLING` has a description each.
 *
 * @example
 * ```ts
 * const request: GenerateRequest = {
 *   prompt: ["a green star", "a white ring"],
 *   count: 4,
 *   seed: 7,
 *   sampler: "ddim",
 *   steps: 100,
 *   signal: AbortSignal.timeout(60_000),
 * };
 * ```
 */
export interface GenerateRequest extends SamplingParameters {
  /** One prompt or several. */
  readonly prompt: string | readonly string[];
  /** Images of each prompt: 1 unless given. */
  readonly count?: number;
  /** Of the first image, from 0 to 2^64 - 1; image k has seed + k. Drawn at random unless given. */
  readonly seed?: number | bigint;
  /**
   * A safetensors file with the prompts' features, instead of encoding them: "lm_outputs" and "lm_mask" with a row a prompt, or
   * twice as many with the rows for no prompt first.
   */
  readonly textFeatures?: string;
  /** Images that are denoised together at most; more need more memory. */
  readonly batch?: number;
  /** Stops between two steps. */
  readonly signal?: AbortSignal;
}

const MAX_PIXELS = 1 << 24;

/**
 * One picture to be made.
 *
 * @example
 * ```ts
 * function nameOf({ prompt, seed }: PictureJob): string {
 *   return `${prompt.replaceAll(/\W+/g, "-")}-${seed}.png`;
 * }
 * ```
 */
export interface PictureJob {
  /** Its place among all pictures of the request. */
  readonly index: number;
  /** The place of its prompt among the prompts. */
  readonly promptIndex: number;
  readonly prompt: string;
  readonly negative: string;
  readonly seed: bigint;
}

/**
 * A request with everything decided.
 *
 * @example
 * ```ts
 * function summary({ jobs, steps, sampler }: ResolvedRequest): string {
 *   return `${jobs.length} images in ${steps} steps of ${sampler}`;
 * }
 * ```
 */
export interface ResolvedRequest extends ResolvedSampling {
  readonly jobs: readonly PictureJob[];
  readonly batch: number;
  readonly plan: SamplingPlan;
}

/**
 * Checks a request against a model and fills in what it leaves open.
 *
 * @throws {UsageError} When something asked for cannot be.
 */
export function resolveRequest(
  request: GenerateRequest,
  config: ModelConfig,
  diffusion: DiffusionConfig | null,
): ResolvedRequest {
  if (diffusion === null) {
    throw new MdmError(`The model cannot be sampled: its config.json has no "diffusion_config".`);
  }
  checkRequest(request);
  const sampling = { ...defaultsOf(SAMPLING), ...pick(SAMPLING, request) };
  const { sampler, guidance, guidanceInterval, negative = "", eta = 0 } = sampling;
  const prompts = [request.prompt].flat();
  if (prompts.length === 0) throw new UsageError(NO_PROMPT);
  const { count = PARAMETERS.count.default, batch = PARAMETERS.batch.default } = request;
  const cache = resolveCache(sampling.cache, config);
  const most = PARAMETERS.count.type.max;
  if (prompts.length * count > most) {
    throw new UsageError(
      `Cannot make ${
        prompts.length * count
      } pictures at once: give fewer prompts or a smaller count, for at most ${most}.`,
    );
  }
  const seed = BigInt(request.seed ?? crypto.getRandomValues(new Uint32Array(1))[0]!);
  const threshold = sampling.threshold ?? diffusion.samplerConfig.thresholdFunction;
  const plan = samplingPlan({
    config: { ...diffusion.samplerConfig, thresholdFunction: threshold },
    nestRatio: config.kind === "unet" ? null : config.nestRatio,
    sampler,
    steps: sampling.steps ?? SAMPLERS[sampler].defaultSteps,
    ...sampling.eta !== undefined && { eta },
    guidance,
    ...guidanceInterval !== undefined && { guidanceInterval },
  });
  const jobs = prompts.flatMap((prompt, p) =>
    Array.from({ length: count }, (_, k): PictureJob => {
      const index = p * count + k;
      const job = { index, promptIndex: p, prompt, negative };
      return { ...job, seed: (seed + BigInt(index)) % SEEDS };
    })
  );
  return {
    ...sampling,
    jobs,
    negative,
    steps: plan.times.length,
    eta,
    threshold,
    size: resolveSize(sampling.size, config),
    // How much changes is measured of one picture.
    batch: cache !== undefined && "error" in cache ? 1 : batch,
    plan,
  };
}

/** What decides how pictures are computed: those that agree in it can be denoised together. */
export type BatchKind = Omit<SessionShape, "slots" | "tokens" | "steps">;

/** Whether pictures of both can be denoised together. */
export function isSameKind(a: BatchKind, b: BatchKind): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

/** The kind of batch that a request's pictures need. */
export function batchKind(
  { cache, plan, size }: ResolvedRequest,
  { config, diffusion }: { config: ModelConfig; diffusion: DiffusionConfig | null },
): BatchKind {
  return {
    guided: guidedSteps(plan),
    inner: cache === undefined ? "always" : "every" in cache ? "sometimes" : "measured",
    size,
    threshold: plan.threshold,
    imageScales: plan.levels.map(({ imageScale }) => imageScale),
    outputScale: config.kind === "unet" ? diffusion!.modelOutputScale : 0,
    noise: plan.usesNoise ? "seeded" : "none",
  };
}

/**
 * What a session has to be made for to run a batch: so many pictures at a time, with texts of so many tokens, each with a table of
 * so many steps.
 */
export function batchShape(
  kind: BatchKind,
  { slots, tokens, steps }: { slots: number; tokens: number; steps: number },
): SessionShape {
  return { ...kind, slots, tokens: textCapacity(tokens), steps: slots * steps };
}

/** What a session has to be made for to run a request: so many pictures at a time, with texts of so many tokens. */
export function sessionShape(
  resolved: ResolvedRequest,
  model: { config: ModelConfig; diffusion: DiffusionConfig | null },
  sizes: { slots: number; tokens: number },
): SessionShape {
  const steps = resolved.plan.times.length;
  return batchShape(batchKind(resolved, model), { ...sizes, steps });
}

/** @throws {UsageError} When there is nothing to cache, or that not as asked for. */
function resolveCache(
  cache: FeatureCache | undefined,
  config: ModelConfig,
): FeatureCache | undefined {
  if (cache === undefined) return undefined;
  if (config.nestRatio.length === 0) {
    throw new UsageError(
      "The model is a single UNet with none inside to cache: leave out the cache.",
    );
  }
  if ("every" in cache) {
    checkValue("cache", SAMPLING.steps.type, cache.every);
    return cache;
  }
  if (Number.isFinite(cache.error) && cache.error >= 0) return cache;
  throw new UsageError(`Cannot use cache error ${cache.error}: give a number of at least 0.`);
}

/** At which steps a run is guided. */
export function guidedSteps({ guidances }: SamplingPlan): SessionShape["guided"] {
  const guided = guidances.filter((guidance) => guidance !== 1).length;
  return guided === 0 ? "never" : guided === guidances.length ? "always" : "sometimes";
}

/** The size of a request's pictures, or of the model's. */
export function resolveSize(size: number | undefined, config: ModelConfig): number {
  const scale = config.unet.microConditioning.find(({ name }) => name === "scale")?.default;
  const own = size ?? config.imageSize ?? scale;
  if (own === undefined) {
    throw new UsageError("The model does not say what size its pictures have: give a size.");
  }
  const multiple = sizeMultiple(config.unet);
  if (!Number.isInteger(own) || own < multiple || own % multiple !== 0 || own * own > MAX_PIXELS) {
    throw new UsageError(
      `The model cannot make pictures of size ${own}: give a multiple of ${multiple} up to ${
        Math.floor(Math.sqrt(MAX_PIXELS) / multiple) * multiple
      }.`,
    );
  }
  return own;
}
