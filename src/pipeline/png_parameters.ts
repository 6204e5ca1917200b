/** The generation parameters in a PNG: with the model they make its image again. */
import project from "../../deno.json" with { type: "json" };
import { basename } from "node:path";
import { readFile } from "../files/read_file.ts";
import { KIND_BYTES, kindOf, wrongKind } from "../checkpoint/file_kind.ts";
import { fingerprint } from "../checkpoint/fingerprint.ts";
import { MdmError } from "../errors.ts";
import { isJsonObject, type JsonObject } from "../json/json_object.ts";
import { isPng } from "../media/png_chunks.ts";
import { readText } from "../media/png_text.ts";
import { isType, isValue } from "./check_request.ts";
import type { ModelSource } from "./models/model_source.ts";
import {
  type GivenParameters,
  OUTPUT,
  type Parameter,
  parseSeed,
  pick,
  type ResolvedSampling,
  SAMPLING,
  type SamplingParameters,
} from "./parameters.ts";
import type { GenerateRequest, PictureJob, ResolvedRequest } from "./request.ts";

/** The keyword of the parameters among the texts of a PNG. */
export const PARAMETERS_KEYWORD = "mdm";

/** More than any image that mdm makes. */
const IMAGE = { largest: 256 << 20, what: "an image" } as const;

/** Which part of an image or video is in a file. */
export interface ImagePart {
  /** Which resolution this is; 0 is the outermost. */
  readonly level: number;
  /** Of a video: frames a second. */
  readonly fps?: number;
  /** Of a single frame of a video: which it is, from 1. */
  readonly frame?: number;
}

/** What a model is. */
export interface ModelIdentity {
  /** The name of its folder, for people. */
  readonly model: string;
  /** The SHA-256 of its files. */
  readonly weights: string;
}

/** All that decides how an image looks, on a given adapter. */
export interface PngParameters
  extends Omit<ResolvedSampling, "eta">, Pick<SamplingParameters, "eta">, ModelIdentity, ImagePart {
  /** The version of mdm. */
  readonly version: string;
  readonly prompt: string;
  /** In decimal digits: JSON's numbers do not hold 64 bits. */
  readonly seed: string;
}

/** Names a model by what its pictures depend on: weights, configuration, text encoder, tokenizer, given features. */
export async function modelIdentity(
  source: ModelSource,
  textFeatures?: string,
): Promise<ModelIdentity> {
  const files = await source.files();
  const weights = await fingerprint(textFeatures === undefined ? files : [...files, textFeatures]);
  return { model: basename(await Deno.realPath(source.path)), weights };
}

/** What a PNG says of how a part of an image or video was made. */
export function pngParameters(
  resolved: ResolvedRequest,
  { prompt, negative, seed }: PictureJob,
  { model, weights }: ModelIdentity,
  part: ImagePart,
): PngParameters {
  return {
    version: project.version,
    model,
    weights,
    prompt,
    negative,
    seed: String(seed),
    ...applied(resolved) as Omit<ResolvedSampling, "negative">,
    ...part,
  };
}

/**
 * The request that makes the image again.
 *
 * @param changes What is to be otherwise.
 */
export function requestOf(
  parameters: PngParameters,
  changes: GivenParameters = {},
): GenerateRequest {
  const changed = pick(SAMPLING, changes);
  return {
    prompt: parameters.prompt,
    seed: changes.seed ?? BigInt(parameters.seed),
    // A parameter of another sampler is left behind.
    ...applied({ ...parameters, ...changed }),
    ...changed,
  };
}

/** The parameters of sampling that change anything beside the sampler. Their order is the table's: equal requests write equal bytes. */
function applied(all: SamplingParameters & Pick<ResolvedSampling, "sampler">): SamplingParameters {
  const table: Readonly<Record<string, Parameter>> = SAMPLING;
  const given = Object.entries(pick(SAMPLING, all));
  return Object.fromEntries(given.filter(([name]) => table[name]!.applies?.(all) ?? true));
}

/**
 * Reads a PNG as mdm writes it.
 *
 * @throws {MdmError} When there is none, or it is too large to be one of mdm's.
 */
export async function readPng(path: string): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = await readFile(path, IMAGE);
  const kind = kindOf(bytes.subarray(0, KIND_BYTES));
  if (kind !== undefined && !isPng(bytes)) throw wrongKind(path, kind, "a PNG that mdm wrote");
  return bytes;
}

/**
 * The parameters in a PNG; null where it has none.
 *
 * @param path The file, for messages.
 * @throws {MdmError} When they are damaged.
 */
export function parametersIn(png: Uint8Array, path: string): PngParameters | null {
  const text = readText(png)[PARAMETERS_KEYWORD];
  return text === undefined ? null : parsePngParameters(text, path);
}

/** What has been in every PNG from the first version on; all else may be absent. */
const ALWAYS = ["negative", "sampler", "steps", "guidance", "threshold", "size"];

/**
 * Reads parameters back. Ranges are left to whoever makes the image.
 *
 * @param source The file they stand in, for the message.
 * @throws {MdmError} When they are none.
 */
export function parsePngParameters(text: string, source: string): PngParameters {
  const parameters = parseObject(text);
  const { seed, level, fps, frame } = parameters;
  const sampling: [string, Parameter][] = Object.entries(SAMPLING);
  if (
    !["version", "model", "weights", "prompt", "seed"].every((name) =>
      typeof parameters[name] === "string"
    ) ||
    parseSeed(seed as string) === null ||
    typeof level !== "number" ||
    fps !== undefined && !isValue(OUTPUT.fps.type, fps) ||
    frame !== undefined && !isValue({ kind: "integer", min: 1, max: Infinity }, frame) ||
    !sampling.every(([name, { type }]) =>
      parameters[name] === undefined ? !ALWAYS.includes(name) : isType(type, parameters[name])
    )
  ) {
    throw new MdmError(
      `Cannot read how "${source}" was made: its settings are damaged. Give the picture as mdm wrote it.`,
    );
  }
  return parameters as unknown as PngParameters;
}

function parseObject(text: string): JsonObject {
  try {
    const json: unknown = JSON.parse(text);
    return isJsonObject(json) ? json : {};
  } catch {
    return {};
  }
}
