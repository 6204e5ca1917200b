import { MdmError, UsageError } from "../errors.ts";
import type { Pipelines } from "../gpu/recording.ts";
import type { ModelConfig } from "../model/config.ts";
import type { RowText } from "../model/text_inputs.ts";
import { TextEncoder } from "../text/text_encoder.ts";
import { Tokenizer } from "../text/tokenizer.ts";
import type { TextFolders } from "./model_folder.ts";

/** A prompt that was too long, and what was done about it. */
export interface Truncation {
  readonly prompt: string;
  readonly tokens: number;
  readonly limit: number;
}

/** Features of prompts, kept: a prompt is encoded once however many pictures it gets. */
export class Prompts implements Disposable {
  readonly #features = new Map<string, RowText>();
  /** Prompts that were cut. */
  readonly truncations = new Map<string, Truncation>();

  private constructor(
    private readonly tokenizer: Tokenizer,
    private readonly encoder: TextEncoder,
    private readonly maxTokens: number,
  ) {}

  /** Opens a model's tokenizer and text encoder. */
  static async open(
    folders: TextFolders,
    config: ModelConfig,
    pipelines: Pipelines,
  ): Promise<Prompts> {
    const tokenizer = await Tokenizer.load(folders.tokenizer);
    const encoder = await TextEncoder.open(folders.encoder, pipelines);
    if (
      encoder.width !== config.conditioningFeatureDim ||
      tokenizer.vocabSize > encoder.model.config.vocabSize
    ) {
      encoder[Symbol.dispose]();
      throw new MdmError(
        `Cannot use the text encoder "${folders.encoder}": it gives ${encoder.width} features of ${encoder.model.config.vocabSize} tokens, but the model needs ${config.conditioningFeatureDim} and the tokenizer has ${tokenizer.vocabSize}.`,
      );
    }
    return new Prompts(tokenizer, encoder, folders.maxTokens);
  }

  /** A prompt as a row of the model's text, without padding. */
  async row(prompt: string): Promise<RowText> {
    const known = this.#features.get(prompt);
    if (known !== undefined) return known;
    const { ids, truncated, total } = this.tokenizer.encode(prompt, this.maxTokens);
    if (truncated) this.truncations.set(prompt, { prompt, tokens: total, limit: this.maxTokens });
    const row = {
      features: await this.encoder.encode(ids),
      length: ids.length,
      mask: new Float32Array(ids.length).fill(1),
    };
    this.#features.set(prompt, row);
    return row;
  }

  [Symbol.dispose](): void {
    this.encoder[Symbol.dispose]();
  }
}

/** Where a model reads no words, the prompt is the number of a class (`categorical_conditioning` in the reference). */
export function classRow(prompt: string, classes: number): RowText {
  const index = Number(prompt);
  if (prompt.trim() === "" || !Number.isInteger(index) || index < 0 || index >= classes) {
    throw new UsageError(
      `The model makes pictures of classes: give a class from 0 to ${
        classes - 1
      } instead of "${prompt}".`,
    );
  }
  const features = new Float32Array(classes);
  features[index] = 1;
  return { features, length: 1, mask: null };
}

/** A text with padding up to a length, as it stands beside a longer one in a batch of the reference. */
export function padded(row: RowText, length: number): RowText {
  if (row.length === length || row.mask === null) return row;
  const mask = new Float32Array(length);
  mask.set(Float32Array.from(row.mask));
  return { features: row.features, length, mask };
}
