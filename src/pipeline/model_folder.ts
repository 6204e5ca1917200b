import { readJson } from "../checkpoint/json.ts";
import { matchTensors } from "../checkpoint/match.ts";
import { Safetensors } from "../checkpoint/safetensors.ts";
import { type DiffusionConfig, parseDiffusionConfig } from "../diffusion/config.ts";
import { MdmError } from "../errors.ts";
import { type ModelConfig, parseModelConfig } from "../model/config.ts";
import { Network } from "../model/network.ts";

/** Where a model's text encoder is, and how long its texts may be. */
export interface TextFolders {
  readonly encoder: string;
  readonly tokenizer: string;
  readonly maxTokens: number;
}

/** A model's folder, opened: configurations read and checked, weights not read yet. */
export class ModelFolder implements Disposable {
  private constructor(
    readonly path: string,
    readonly config: ModelConfig,
    /** Null where config.json has none: such a model can be run but not sampled. */
    readonly diffusion: DiffusionConfig | null,
    readonly text: TextFolders | null,
    readonly network: Network,
    readonly file: Safetensors,
  ) {}

  /**
   * Opens a folder with a config.json and weights.
   *
   * @param weights The file of the weights: "model.safetensors", in recorded cases "weights.safetensors".
   * @throws {MdmError} When it is not a model, or its tensors do not fit its configuration.
   */
  static async open(path: string, weights = "model.safetensors"): Promise<ModelFolder> {
    await requireFolder(path);
    const source = `${path}/config.json`;
    const json = await readJson(source);
    const config = parseModelConfig(json, source);
    const network = new Network(config);
    const { diffusion_config: diffusion, text } = json as Record<string, unknown>;
    const file = await Safetensors.open(`${path}/${weights}`);
    try {
      matchTensors(file.tensors, network.parameters, { source: file.path });
      return new ModelFolder(
        path,
        config,
        diffusion === undefined
          ? null
          : parseDiffusionConfig(diffusion, config.kind === "nested_unet"),
        text === undefined ? null : parseText(text, path),
        network,
        file,
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

  [Symbol.dispose](): void {
    this.file.close();
  }
}

async function requireFolder(path: string): Promise<void> {
  const info = await Deno.stat(path).catch(() => null);
  if (info === null) {
    throw new MdmError(`Cannot load the model "${path}": there is no such folder. Check the path.`);
  }
  const hasConfig = await Deno.stat(`${path}/config.json`).then(() => true, () => false);
  if (!info.isDirectory || !hasConfig) {
    throw new MdmError(
      `Cannot load the model "${path}": it is not a folder with a config.json. Give a model's folder.`,
    );
  }
}

function parseText(json: unknown, path: string): TextFolders {
  const { encoder, tokenizer, max_token_length: maxTokens } = json as Record<string, unknown>;
  // A name with a separator could lead out of the model's folder.
  const isName = (value: unknown): value is string =>
    typeof value === "string" && /^[\w.-]+$/.test(value) && !/^\.+$/.test(value);
  const tokens = Number(maxTokens);
  if (
    !isName(encoder) || !isName(tokenizer) || !Number.isInteger(tokens) || tokens < 1 ||
    tokens > 4096
  ) {
    throw new MdmError(
      `Cannot load "${path}/config.json": "text" needs "encoder" and "tokenizer", names of folders beside it, and a "max_token_length" from 1 to 4096.`,
    );
  }
  return { encoder: `${path}/${encoder}`, tokenizer: `${path}/${tokenizer}`, maxTokens: tokens };
}
