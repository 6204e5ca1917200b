import { DiffusersFolder } from "../../checkpoint/diffusers/folder.ts";
import { compareTensors, type Differences } from "../../checkpoint/match.ts";
import { openTensorFile } from "../../checkpoint/open_tensor_file.ts";
import type { TensorDescription, TensorFile } from "../../checkpoint/tensor_file.ts";
import { MdmError } from "../../errors.ts";
import type { Parameter } from "../../graph/operation.ts";
import { elements } from "../../graph/shape.ts";
import {
  isNested,
  type ModelConfig,
  parseModelConfig,
  type UNetConfig,
} from "../../model/config.ts";
import { Network } from "../../model/network.ts";
import { t5Model } from "../../text/t5_files.ts";
import { checkModelArguments } from "./check_model.ts";
import { type ModelOptions, openModelFiles } from "./model_source.ts";

/**
 * What is known of a model without reading its weights.
 *
 * @example
 * ```ts
 * function summary({ format, parameters, problem }: Inspection): string {
 *   return problem ?? `${format} of ${parameters} parameters`;
 * }
 * ```
 */
export interface Inspection {
  readonly path: string;
  /** What it is, in words: "safetensors", "a torch checkpoint (zip)". */
  readonly format: string;
  readonly files: readonly string[];
  /** Of all files. */
  readonly bytes: number;
  /** In the file's order, under the reference's names. */
  readonly tensors: readonly TensorDescription[];
  /** Elements of all tensors. */
  readonly parameters: number;
  readonly dtypes: Readonly<Record<string, { tensors: number; parameters: number }>>;
  /** Names of what cannot be read, and why, as the end of a sentence. */
  readonly unreadable: Readonly<Record<string, string>>;
  readonly configuration: InspectedConfiguration | null;
  /** Why there is no configuration; null where there is one. */
  readonly problem: string | null;
  /** How the tensors differ from those that the configuration needs; null without one. */
  readonly differences: Differences | null;
  /** Of a torch checkpoint: how many objects of classes that are not known here are in it. */
  readonly unknownRecords: Readonly<Record<string, number>>;
}

/** What a configuration says in short. */
export interface InspectedConfiguration {
  /** Where it is: a file, or the name of a built-in one. */
  readonly source: string;
  readonly kind: ModelConfig["kind"] | "t5_encoder";
  /** Numbers that a model of this configuration has. */
  readonly parameters: number;
  /** Of each resolution, the outermost first; of a T5 encoder its layers and width. */
  readonly channels: readonly (readonly number[])[];
  readonly imageSize: number | null;
  /** The width of the text features that it takes, of a T5 encoder that it gives. */
  readonly textWidth: number;
}

/**
 * Describes a model's files. No weights are read and nothing is run.
 *
 * @throws {MdmError} When they are not there, or are not whole and valid files.
 *
 * @example
 * ```ts
 * const { parameters, problem } = await inspectModel("weights/shapes32");
 * if (problem !== null) console.error(problem);
 * ```
 */
export async function inspectModel(path: string, options: ModelOptions = {}): Promise<Inspection> {
  checkModelArguments(path, options);
  const { file, configuration } = await openWhatIsThere(path, options);
  try {
    const found = configuration instanceof MdmError ? configuration : describe(configuration, file);
    const known = found instanceof MdmError ? null : found;
    const tensors = [...file.tensors.values()];
    return {
      path,
      format: await formatOf(path, file),
      files: file.files,
      bytes: await totalBytes(file.files),
      tensors,
      parameters: count(tensors),
      dtypes: countDtypes(tensors),
      unreadable: Object.fromEntries(file.unreadable),
      configuration: known?.configuration ?? null,
      problem: found instanceof MdmError ? found.message : null,
      differences: known && differences(file, known),
      unknownRecords: Object.fromEntries(file.unknownRecords ?? []),
    };
  } finally {
    file.close();
  }
}

/** A configuration as it was found. */
interface Found {
  readonly source: string;
  readonly json: unknown;
}

/** Opens a model, or at least its weights; then an error says why there is no configuration. */
async function openWhatIsThere(
  path: string,
  options: ModelOptions,
): Promise<{ file: TensorFile; configuration: Found | MdmError }> {
  try {
    const { file, configuration, source } = await openModelFiles(path, options);
    return { file, configuration: { source, json: configuration.model } };
  } catch (error) {
    const isFile = await Deno.stat(path).then((info) => info.isFile, () => false);
    if (!(error instanceof MdmError) || !isFile) throw error;
    return { file: await openTensorFile(path), configuration: error };
  }
}

/** A model that a configuration describes. */
interface Described {
  readonly configuration: InspectedConfiguration;
  readonly parameters: ReadonlyMap<string, Parameter>;
  /** Whether files may hold more. */
  readonly allowSurplus: boolean;
}

function describe({ source, json }: Found, file: TensorFile): Described | MdmError {
  try {
    const isT5 = (Object(json) as { model_type?: unknown }).model_type === "t5";
    return isT5 ? describeT5(source, json, file) : describeNetwork(source, json);
  } catch (error) {
    if (error instanceof MdmError) return error;
    throw error;
  }
}

function describeNetwork(source: string, json: unknown): Described {
  const config = parseModelConfig(json, source);
  const { parameters } = new Network(config);
  return {
    configuration: {
      source,
      kind: config.kind,
      parameters: count(parameters.values()),
      channels: channelsOf(config.unet),
      imageSize: config.imageSize ?? null,
      textWidth: config.conditioningFeatureDim,
    },
    parameters,
    allowSurplus: false,
  };
}

/** The channels of each resolution of each UNet, the outermost first. */
function channelsOf(unet: UNetConfig): (readonly number[])[] {
  return [unet.resolutionChannels, ...isNested(unet) ? channelsOf(unet.inner) : []];
}

function describeT5(source: string, json: unknown, file: TensorFile): Described {
  const { config, parameters } = t5Model(json, source, file);
  return {
    configuration: {
      source,
      kind: "t5_encoder",
      parameters: count(parameters.values()),
      channels: [new Array(config.numLayers).fill(config.dModel)],
      imageSize: null,
      textWidth: config.dModel,
    },
    parameters,
    allowSurplus: true,
  };
}

function differences(
  { tensors }: TensorFile,
  { parameters, allowSurplus }: Described,
): Differences {
  const found = compareTensors(tensors, parameters);
  return allowSurplus ? { ...found, surplus: [] } : found;
}

async function formatOf(path: string, { format }: TensorFile): Promise<string> {
  if (await DiffusersFolder.isOne(path)) return `folder in diffusers' layout, ${format}`;
  const { isDirectory } = await Deno.stat(path);
  return isDirectory ? `folder, ${format}` : format;
}

function count(tensors: Iterable<{ readonly shape: readonly number[] }>): number {
  return [...tensors].reduce((sum, { shape }) => sum + elements(shape), 0);
}

function countDtypes(tensors: readonly TensorDescription[]): Inspection["dtypes"] {
  const dtypes: Record<string, { tensors: number; parameters: number }> = {};
  for (const { dtype, shape } of tensors) {
    const sum = dtypes[dtype] ??= { tensors: 0, parameters: 0 };
    sum.tensors++;
    sum.parameters += elements(shape);
  }
  return dtypes;
}

async function totalBytes(files: readonly string[]): Promise<number> {
  const sizes = await Promise.all(files.map(async (path) => (await Deno.stat(path)).size));
  return sizes.reduce((sum, size) => sum + size, 0);
}
