import project from "../../deno.json" with { type: "json" };
import { basename } from "node:path";
import { fingerprint } from "../checkpoint/fingerprint.ts";
import type { ThresholdType } from "../diffusion/config.ts";
import type { GuidanceInterval } from "../diffusion/guidance.ts";
import type { FeatureCache } from "../diffusion/feature_cache.ts";
import { isSamplerName, type SamplerName, SAMPLERS } from "../diffusion/samplers/mod.ts";
import { THRESHOLDS } from "../diffusion/thresholds.ts";
import { MdmError } from "../errors.ts";
import { FASTEST } from "../media/animation.ts";
import type { ModelSource } from "./models/model_source.ts";
import type { GenerateRequest, PictureJob, ResolvedRequest } from "./request.ts";

/** The keyword of a recipe among the texts of a PNG. */
export const RECIPE_KEYWORD = "mdm";

/** All that decides how a picture looks, on a given adapter: it is kept in the picture's file. */
export interface Recipe {
  /** The version of mdm. */
  readonly version: string;
  /** The name of the model's folder, for people. */
  readonly model: string;
  /** The SHA-256 of the model's files: {@linkcode modelFingerprint}. */
  readonly weights: string;
  readonly prompt: string;
  readonly negative: string;
  /** In decimal digits: JSON's numbers do not hold 64 bits. */
  readonly seed: string;
  readonly sampler: SamplerName;
  readonly steps: number;
  /** For samplers that have it. */
  readonly eta?: number;
  readonly guidance: number;
  /** Where it is applied, if not at every step. */
  readonly guidanceInterval?: GuidanceInterval;
  readonly cache?: FeatureCache;
  readonly threshold: ThresholdType;
  /** Width and height of the outermost picture. */
  readonly size: number;
  /** Which resolution this is; 0 is the outermost. */
  readonly level: number;
  /** Of a video: frames a second. */
  readonly fps?: number;
  /** Of a single frame of a video: which it is, from 1. */
  readonly frame?: number;
}

/** What of a picture or video is in a file. */
export type RecipePart = Pick<Recipe, "level" | "fps" | "frame">;

/** What a model is: its folder's name and the hash of its files. */
export type ModelIdentity = Pick<Recipe, "model" | "weights">;

/** Names a model by what its pictures depend on: weights, configuration, text encoder, tokenizer, given features. */
export async function modelIdentity(
  source: ModelSource,
  textFeatures?: string,
): Promise<ModelIdentity> {
  const files = await source.files();
  const weights = await fingerprint(textFeatures === undefined ? files : [...files, textFeatures]);
  return { model: basename(await Deno.realPath(source.path)), weights };
}

/** How a part of a picture or video is made. */
export function recipeOf(
  { sampler, steps, eta, guidance, guidanceInterval, cache, threshold, size }: ResolvedRequest,
  { prompt, negative, seed }: PictureJob,
  { model, weights }: ModelIdentity,
  part: RecipePart,
): Recipe {
  return {
    version: project.version,
    model,
    weights,
    prompt,
    negative,
    seed: String(seed),
    sampler,
    steps,
    ...SAMPLERS[sampler].drawsNoise === "eta" && { eta },
    guidance,
    ...guidanceInterval !== undefined && { guidanceInterval },
    ...cache !== undefined && { cache },
    threshold,
    size,
    ...part,
  };
}

/** The request that makes the picture of a recipe again. */
export function requestOf(recipe: Recipe): GenerateRequest {
  const { prompt, negative, seed, sampler, steps, eta, threshold, size } = recipe;
  const { guidance, guidanceInterval, cache } = recipe;
  return {
    prompt,
    negative,
    seed: BigInt(seed),
    sampler,
    steps,
    ...eta !== undefined && { eta },
    guidance,
    ...guidanceInterval !== undefined && { guidanceInterval },
    ...cache !== undefined && { cache },
    threshold,
    size,
  };
}

/**
 * Reads a recipe back. Ranges are left to whoever carries it out.
 *
 * @param source The file it stands in, for the message.
 * @throws {MdmError} When it is not one.
 */
export function parseRecipe(text: string, source: string): Recipe {
  const recipe = parseObject(text);
  const texts = ["version", "model", "weights", "prompt", "negative", "seed", "sampler"];
  const numbers = ["steps", "guidance", "size", "level"];
  if (
    !texts.every((name) => typeof recipe[name] === "string") ||
    !numbers.every((name) => typeof recipe[name] === "number") ||
    !["undefined", "number"].includes(typeof recipe.eta) ||
    !isInterval(recipe.guidanceInterval) ||
    !isCache(recipe.cache) ||
    !isCount(recipe.fps, FASTEST) ||
    !isCount(recipe.frame, Infinity) ||
    !/^\d{1,20}$/.test(recipe.seed as string) ||
    !isSamplerName(recipe.sampler as string) ||
    !Object.hasOwn(THRESHOLDS, recipe.threshold as string)
  ) {
    throw new MdmError(
      `Cannot read how "${source}" was made: its settings are damaged. Give the picture as mdm wrote it.`,
    );
  }
  return recipe as unknown as Recipe;
}

/** Whether a field that may be left out is two numbers. */
function isInterval(value: unknown): boolean {
  return value === undefined ||
    Array.isArray(value) && value.length === 2 && value.every((end) => typeof end === "number");
}

/** Whether a field that may be left out says when inner UNets are run. */
function isCache(value: unknown): boolean {
  if (value === undefined) return true;
  if (typeof value !== "object" || value === null) return false;
  const [entry, ...more] = Object.entries(value);
  return entry !== undefined && more.length === 0 && ["every", "error"].includes(entry[0]) &&
    typeof entry[1] === "number";
}

/** Whether a field that may be left out is a whole number from 1. */
function isCount(value: unknown, most: number): boolean {
  return value === undefined ||
    typeof value === "number" && Number.isInteger(value) && value >= 1 && value <= most;
}

function parseObject(text: string): Record<string, unknown> {
  try {
    const json = JSON.parse(text);
    return typeof json === "object" && json !== null ? json : {};
  } catch {
    return {};
  }
}
