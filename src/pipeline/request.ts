import type { DiffusionConfig, ThresholdType } from "../diffusion/config.ts";
import { type SamplingPlan, samplingPlan } from "../diffusion/plan.ts";
import { type SamplerName, SAMPLERS } from "../diffusion/samplers/mod.ts";
import type { GuidanceInterval } from "../diffusion/guidance.ts";
import type { FeatureCache } from "../diffusion/feature_cache.ts";
import type { SessionShape } from "../diffusion/session_graphs.ts";
import { MdmError, UsageError } from "../errors.ts";
import { type ModelConfig, sizeMultiple } from "../model/config.ts";

/** What a person asks for; all but the prompt has a default. */
export interface GenerateRequest {
  /** One prompt or several. */
  readonly prompt: string | readonly string[];
  /** What the pictures should not show. */
  readonly negative?: string;
  /** Pictures of each prompt: 1 unless given. */
  readonly count?: number;
  /** Of the first picture, from 0 to 2^64 - 1; picture k has seed + k. Drawn at random unless given. */
  readonly seed?: number | bigint;
  /** "dpm++" unless given. */
  readonly sampler?: SamplerName;
  readonly steps?: number;
  /** The share of DDPM's noise that "ddim" adds, from 0 to 1. */
  readonly eta?: number;
  /** How much more the text counts than no text; 1: no guidance. 4 unless given. */
  readonly guidance?: number;
  /**
   * Steps outside of it are not guided, which halves their work: the least and the largest share of the diffusion time, from 0
   * (the picture) to 1 (noise). All steps are guided unless given.
   */
  readonly guidanceInterval?: GuidanceInterval;
  /** The model's own unless given. */
  readonly threshold?: ThresholdType;
  /** Width and height in pixels; the model's own unless given. */
  readonly size?: number;
  /**
   * A safetensors file with the prompts' features, instead of encoding them: "lm_outputs" and "lm_mask" with a row a prompt, or
   * twice as many with the rows for no prompt first.
   */
  readonly textFeatures?: string;
  /**
   * Of a nested model: when the UNets inside the outermost one are run; at other steps, what they gave last is used again. It is
   * quicker, and the pictures change a little (docs/caching.md). With `error` pictures are made one at a time.
   */
  readonly cache?: FeatureCache;
  /** Pictures that are denoised together at most; more need more memory. */
  readonly batch?: number;
  /** Stops between two steps. */
  readonly signal?: AbortSignal;
}

/** Sampler of a request that does not say. */
export const DEFAULT_SAMPLER: SamplerName = "dpm++";

/** Guidance of a request that does not say. */
export const DEFAULT_GUIDANCE = 4;

/** Guidance at most. */
export const MOST_GUIDANCE = 1000;

/** Pictures denoised together unless a request says. */
export const DEFAULT_BATCH = 4;

/** Texts get room for a multiple of this many tokens, so that few sizes have to be recorded. */
const TOKEN_STEP = 16;

/** Pictures of one request at most. */
export const MAX_COUNT = 10_000;
const MAX_PIXELS = 1 << 24;

/** So many seeds there are, from 0 on. */
export const SEEDS = 1n << 64n;

/** One picture to be made. */
export interface PictureJob {
  /** Its place among all pictures of the request. */
  readonly index: number;
  /** The place of its prompt among the prompts. */
  readonly promptIndex: number;
  readonly prompt: string;
  readonly negative: string;
  readonly seed: bigint;
}

/** A request with everything decided. */
export interface ResolvedRequest {
  readonly jobs: readonly PictureJob[];
  readonly sampler: SamplerName;
  readonly steps: number;
  readonly eta: number;
  readonly guidance: number;
  readonly guidanceInterval?: GuidanceInterval;
  readonly cache?: FeatureCache;
  readonly threshold: ThresholdType;
  readonly size: number;
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
  const { sampler = DEFAULT_SAMPLER, guidance = DEFAULT_GUIDANCE, negative = "", eta = 0 } =
    request;
  const interval = request.guidanceInterval !== undefined &&
    { guidanceInterval: request.guidanceInterval };
  const prompts = [request.prompt].flat();
  if (prompts.length === 0) throw new UsageError("No prompt was given: give at least one.");
  const count = whole("count", request.count ?? 1, 1, MAX_COUNT);
  const cache = resolveCache(request.cache, config);
  const batch = whole("batch", request.batch ?? DEFAULT_BATCH, 1, 1024);
  if (prompts.length * count > MAX_COUNT) {
    throw new UsageError(
      `Cannot make ${
        prompts.length * count
      } pictures at once: give fewer prompts or a smaller count, for at most ${MAX_COUNT}.`,
    );
  }
  const seed = BigInt(request.seed ?? crypto.getRandomValues(new Uint32Array(1))[0]!);
  if (seed < 0n || seed >= SEEDS) {
    throw new UsageError(`Cannot use seed ${seed}: give a whole number from 0 to 2^64 - 1.`);
  }
  if (!Number.isFinite(guidance) || guidance < 0 || guidance > MOST_GUIDANCE) {
    throw new UsageError(
      `Cannot use guidance ${guidance}: give a number from 0 to ${MOST_GUIDANCE}.`,
    );
  }
  const threshold = request.threshold ?? diffusion.samplerConfig.thresholdFunction;
  const plan = samplingPlan({
    config: { ...diffusion.samplerConfig, thresholdFunction: threshold },
    nestRatio: config.kind === "unet" ? null : config.nestRatio,
    sampler,
    steps: whole("steps", request.steps ?? SAMPLERS[sampler].defaultSteps, 1, 100_000),
    ...request.eta !== undefined && { eta },
    guidance,
    ...interval,
  });
  const jobs = prompts.flatMap((prompt, p) =>
    Array.from({ length: count }, (_, k): PictureJob => {
      const index = p * count + k;
      const job = { index, promptIndex: p, prompt, negative };
      return { ...job, seed: (seed + BigInt(index)) % SEEDS };
    })
  );
  return {
    jobs,
    sampler,
    steps: plan.times.length,
    eta,
    guidance,
    ...interval,
    ...cache !== undefined && { cache },
    threshold,
    size: resolveSize(request.size, config),
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
  const room = Math.ceil(tokens / TOKEN_STEP) * TOKEN_STEP;
  return { ...kind, slots, tokens: room, steps: slots * steps };
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
  if ("every" in cache) return { every: whole("cache", cache.every, 1, 100_000) };
  if (Number.isFinite(cache.error) && cache.error >= 0) return { error: cache.error };
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

function whole(name: string, value: number, min: number, max: number): number {
  if (Number.isInteger(value) && value >= min && value <= max) return value;
  throw new UsageError(`Cannot use ${name} ${value}: give a whole number from ${min} to ${max}.`);
}
