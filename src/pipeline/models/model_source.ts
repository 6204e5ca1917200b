import { isFile, isThere } from "../../files/read_file.ts";
import { dirname } from "node:path";
import { quote } from "../../checkpoint/header.ts";
import { matchTensors } from "../../checkpoint/match.ts";
import { DiffusersFolder } from "../../checkpoint/diffusers/folder.ts";
import { findWeights, openWeights } from "../../checkpoint/weights_file.ts";
import { openTensorFile } from "../../checkpoint/open_tensor_file.ts";
import type { TensorFile } from "../../checkpoint/tensor_file.ts";
import { type DiffusionConfig, parseDiffusionConfig } from "../../diffusion/config.ts";
import { MdmError } from "../../errors.ts";
import { type ModelConfig, parseModelConfig } from "../../model/config.ts";
import { Network } from "../../model/network.ts";
import { PRESET_NAMES } from "../../model/presets.ts";
import { findTokenizer } from "../../text/tokenizer_file.ts";
import { DEFAULT_TEXT_LIMITS } from "../../model/reader_config.ts";
import {
  type ModelConfiguration,
  ofReference,
  parseConfiguration,
  readConfiguration,
  type TextReading,
} from "./configuration.ts";

/** Where a model's text encoder is, and how it reads prompts. */
export interface TextFolders extends TextReading {
  readonly encoder: string;
  readonly tokenizer: string;
}

/**
 * What a model's own files may leave open.
 *
 * @example
 * ```ts
 * const options: ModelOptions = { config: "cc12m_64x64", textEncoder: "models/flan-t5-xl" };
 * ```
 */
export interface ModelOptions {
  /** A built-in configuration's name, a YAML file of the reference or a config.json. */
  readonly config?: string;
  /** The weights in a folder, where they have another name than usual. */
  readonly weights?: string;
  /** Of a folder in diffusers' layout: which nesting level. */
  readonly level?: number;
  /** A folder with a T5 encoder, in Hugging Face's layout. */
  readonly textEncoder?: string;
  /** A folder with a tokenizer.json or a spiece.model; the text encoder's own unless given. */
  readonly tokenizer?: string;
}

/**
 * A model's files, opened: configurations read and checked, weights not read yet.
 *
 * @example
 * ```ts
 * using model = await ModelSource.open("weights/shapes32");
 * console.log(model.config.kind, model.config.imageSize);
 * ```
 */
export class ModelSource implements Disposable {
  private constructor(
    readonly path: string,
    readonly config: ModelConfig,
    /** Null where there is none: such a model can be run but not sampled. */
    readonly diffusion: DiffusionConfig | null,
    /** Null where there is no text encoder. */
    readonly text: TextFolders | null,
    /** How prompts are read, wherever the text encoder is. */
    readonly reading: TextReading,
    /** Whether prompts are the numbers of classes. */
    readonly classes: boolean,
    readonly network: Network,
    readonly file: TensorFile,
    /** The file that the configuration is in; null for a built-in one. */
    private readonly configPath: string | null,
  ) {}

  /**
   * Opens a model: a folder with a config.json and weights; a folder in diffusers' layout; or a file of weights that knows its
   * configuration, stands beside a config.json, or is given one.
   *
   * @throws {MdmError} When it is not a model, or its tensors do not fit its configuration.
   */
  static async open(path: string, options: ModelOptions = {}): Promise<ModelSource> {
    const { file, folder, configuration, source } = await openModelFiles(path, options);
    try {
      const config = parseModelConfig(configuration.model, source);
      const network = new Network(config);
      matchTensors(file, network.parameters);
      const text = await textFolders(configuration.text, folder, options);
      return new ModelSource(
        path,
        config,
        configuration.diffusion === undefined
          ? null
          : parseDiffusionConfig(configuration.diffusion, config.kind === "nested_unet"),
        text,
        configuration.text,
        configuration.classes && text === null,
        network,
        file,
        await isFile(source) ? source : null,
      );
    } catch (error) {
      file.close();
      throw error;
    }
  }

  /** Numbers that the model learned. */
  get parameterCount(): number {
    return [...this.network.parameters.values()]
      .reduce((sum, { shape }) => sum + shape.reduce((product, size) => product * size, 1), 0);
  }

  /** Tokens that a row's text may have. */
  get maxTokens(): number {
    return this.classes ? 1 : this.reading.maxTokens;
  }

  /** Every file that decides how the model's pictures look. */
  async files(): Promise<string[]> {
    const { files } = this.file;
    const config = this.configPath === null || files.includes(this.configPath)
      ? []
      : [this.configPath];
    return [...config, ...files, ...this.text === null ? [] : await textFiles(this.text)];
  }

  [Symbol.dispose](): void {
    this.file.close();
  }
}

async function textFiles({ encoder, tokenizer }: TextFolders): Promise<string[]> {
  using weights = await openWeights(encoder, "model");
  const pieces = await findTokenizer(tokenizer) ?? `${tokenizer}/tokenizer.json`;
  return [`${encoder}/config.json`, ...weights.files, pieces];
}

/** A model's file of weights and its configuration, wherever that is; neither is checked against the other. */
export interface ModelFiles {
  readonly file: TensorFile;
  /** The folder in which its other parts are looked for. */
  readonly folder: string;
  readonly configuration: ModelConfiguration;
  /** Where the configuration is, for messages. */
  readonly source: string;
}

/**
 * Finds a model's weights and configuration; opens the weights' file.
 *
 * @throws {MdmError} When one of them is not there or cannot be read.
 */
export async function openModelFiles(path: string, options: ModelOptions): Promise<ModelFiles> {
  if (await DiffusersFolder.isOne(path)) {
    const { model, diffusion, file } = await DiffusersFolder.open(path, options.level);
    const published = ofReference({ model, diffusion, text: DEFAULT_TEXT_LIMITS });
    // That pipeline reads prompts with T5's own tokenizer.
    const text = { ...published.text, tokenizerMode: "sentencepiece" as const };
    return { file, folder: path, source: path, configuration: { ...published, text } };
  }
  const place = await locate(path, options);
  const file = await openTensorFile(place.weights);
  try {
    return { file, folder: place.folder, ...await configurationOf(place, file, options) };
  } catch (error) {
    file.close();
    throw error;
  }
}

/** Where a model's parts are. */
interface ModelPlace {
  /** The file of weights. */
  readonly weights: string;
  /** The folder it is in. */
  readonly folder: string;
}

async function locate(path: string, options: ModelOptions): Promise<ModelPlace> {
  const info = await Deno.stat(path).catch(() => null);
  if (info === null) {
    throw new MdmError(
      `Cannot load the model "${path}": there is no such file or folder. Check the path.`,
    );
  }
  if (!info.isDirectory) return { weights: path, folder: dirname(path) };
  if (options.weights !== undefined) {
    return { weights: `${path}/${options.weights}`, folder: path };
  }
  const weights = await findWeights(path, "model") ?? await findWeights(path, "weights") ??
    await onlyCheckpoint(path);
  const hasConfig = options.config !== undefined || await isThere(`${path}/config.json`) ||
    (weights !== null && TORCH.test(weights));
  if (weights === null || !hasConfig) {
    throw new MdmError(
      `Cannot load the model "${path}": it is not a folder with a config.json and a model.safetensors. Give a model's folder.`,
    );
  }
  return { weights, folder: path };
}

/** Names of torch's checkpoints, which may hold a configuration. */
const TORCH = /\.(?:pth|pt|bin|ckpt)$/;

/** What training leaves beside a model under such names. */
const NO_MODEL = /^(?:optimizer|scheduler|scaler|training_args|rng_state|random_states)/;

/** The endings of files of weights with a name of their own, in the order in which they are preferred. */
const ENDINGS = [".pth", ".safetensors", ".pt", ".ckpt", ".bin"];

/** The file of weights of a folder that has one and no other of its ending. */
async function onlyCheckpoint(folder: string): Promise<string | null> {
  const names = await Array.fromAsync(Deno.readDir(folder), ({ name }) => name);
  for (const ending of ENDINGS) {
    const found = names.filter((name) => name.endsWith(ending) && !NO_MODEL.test(name)).sort();
    if (found.length === 1) return `${folder}/${found[0]!}`;
    if (found.length > 1) {
      throw new MdmError(
        `Cannot load the model "${folder}": it has several files of weights (${
          found.slice(0, 10).map(quote).join(", ")
        }). Name one with --weights.`,
      );
    }
  }
  return null;
}

/** The configuration that was named, or stands beside the weights, or is in their file. */
async function configurationOf(
  { folder, weights }: ModelPlace,
  file: TensorFile,
  { config }: ModelOptions,
): Promise<{ configuration: ModelConfiguration; source: string }> {
  if (config !== undefined) {
    return { configuration: await readConfiguration(config), source: config };
  }
  const beside = `${folder}/config.json`;
  if (await isThere(beside)) {
    return { configuration: await readConfiguration(beside), source: beside };
  }
  const inside = file.configuration?.();
  if (inside !== undefined) {
    const { diffusion_config: diffusion, reader_config: _, ...model } = inside;
    const published = parseConfiguration({ ...model, diffusion_config: diffusion }, weights);
    return { configuration: { ...published, classes: false }, source: weights };
  }
  throw new MdmError(
    `Cannot load the model "${weights}": it holds no configuration. Name one with --config: ${
      PRESET_NAMES.join(", ")
    }, or a YAML or JSON file.`,
  );
}

async function textFolders(
  { folders, ...reading }: ModelConfiguration["text"],
  folder: string,
  options: ModelOptions,
): Promise<TextFolders | null> {
  const beside = async (name: string) =>
    await isThere(`${folder}/${name}/config.json`) ||
      await findTokenizer(`${folder}/${name}`) !== null
      ? `${folder}/${name}`
      : null;
  const named = folders &&
    { encoder: `${folder}/${folders.encoder}`, tokenizer: `${folder}/${folders.tokenizer}` };
  const encoder = options.textEncoder ?? named?.encoder ?? await beside("text_encoder");
  if (encoder === null) return null;
  const own = await findTokenizer(encoder) === null ? null : encoder;
  const tokenizer = options.tokenizer ?? named?.tokenizer ?? own ?? await beside("tokenizer");
  if (tokenizer === null) {
    throw new MdmError(
      `Cannot find the tokenizer of "${encoder}": put its tokenizer.json or spiece.model there, or name its folder with --tokenizer.`,
    );
  }
  return { ...reading, encoder, tokenizer };
}
