import { LRUCache } from "../deps/lru_cache.ts";
import { MdmError, UsageError } from "../errors.ts";
import type { KernelPolicy } from "../gpu/kernel_policy.ts";
import type { Pipelines } from "../gpu/recording.ts";
import type { ModelConfig } from "../model/config.ts";
import type { RowText } from "../model/text_inputs.ts";
import { quoted } from "../quoted.ts";
import { TextEncoder } from "../text/text_encoder.ts";
import type { TextTokenizer } from "../text/text_tokenizer.ts";
import { MdmTokenizer } from "../text/mdm_tokenizer.ts";
import { Tokenizer } from "../text/tokenizer.ts";
import { checkEncoder } from "./models/check_encoder.ts";
import type { ModelSource, TextFolders } from "./models/model_source.ts";

/** A prompt that was too long, and what was done about it. */
export interface Truncation {
  readonly prompt: string;
  readonly tokens: number;
  readonly limit: number;
  /** Letters that are read, where it was they that were too many. */
  readonly letters?: number;
  /** Whether it is one of what images should not show. */
  readonly negative?: true;
}

/** The warning about a prompt that was cut. */
export function truncationMessage(
  { prompt, tokens, limit, letters, negative }: Truncation,
): string {
  const [has, takes] = letters === undefined
    ? [`${tokens} tokens`, limit]
    : [`${[...prompt].length} letters`, letters];
  return `The ${negative ? "negative " : ""}prompt ${
    quoted(prompt)
  } has ${has}, and the model takes ${takes}: the rest was cut off. Say it in fewer words.`;
}

/** A prompt as a row of the model's text, without padding. */
export interface PromptText extends RowText {
  /** Null: it is there as a whole. */
  readonly truncation: Truncation | null;
}

/** Prompts that are encoded before they are waited for: their features are in memory twice until then. */
const TOGETHER = 16;

/** Prompts whose features are cached: a worker sees ever new ones. */
const CACHED = 256;

/** What gives a model its text. */
export interface TextSource extends Disposable {
  /** Whether there is a text for no prompt, so that a prompt can be made to count more. */
  readonly guides: boolean;
  /** Bytes on the GPU. */
  readonly bytes: number;
  rows(prompts: ReadonlySet<string>): Promise<ReadonlyMap<string, PromptText>>;
  /** Gives back what can be loaded again. */
  release(): void;
}

/** The text of a model: of its encoder, or the numbers of its classes. */
export async function openText(
  source: ModelSource,
  pipelines: Pipelines,
  policy: KernelPolicy,
): Promise<TextSource> {
  if (source.classes) return new Classes(source.config.conditioningFeatureDim);
  if (source.text === null) return new MissingText(source.path);
  return await Prompts.open(source.text, source.config, pipelines, policy);
}

/** Prompts and their features, in a cache: a prompt is encoded once however many images it gets. */
class Prompts implements TextSource {
  readonly guides = true;
  readonly #cache = new LRUCache<string, PromptText>({ max: CACHED });
  #encoder: TextEncoder | null;

  private constructor(
    private readonly folders: TextFolders,
    private readonly tokenizer: TextTokenizer,
    encoder: TextEncoder,
    private readonly pipelines: Pipelines,
    private readonly policy: KernelPolicy,
  ) {
    this.#encoder = encoder;
  }

  /** Opens a model's tokenizer and text encoder, whose weights are read when the first prompt is. */
  static async open(
    folders: TextFolders,
    config: ModelConfig,
    pipelines: Pipelines,
    policy: KernelPolicy,
  ): Promise<Prompts> {
    const { maxCharacters, tokenizerMode } = folders;
    const tokenizer = tokenizerMode === "mdm"
      ? await MdmTokenizer.load(folders.tokenizer, { maxCharacters })
      : await Tokenizer.load(folders.tokenizer);
    const encoder = await TextEncoder.open(folders.encoder, pipelines, policy);
    try {
      checkEncoder(folders.encoder, encoder.model.config, config);
      checkTokenizer(folders, encoder.model.config, tokenizer);
    } catch (error) {
      encoder[Symbol.dispose]();
      throw error;
    }
    return new Prompts(folders, tokenizer, encoder, pipelines, policy);
  }

  get bytes(): number {
    return this.#encoder?.bytes ?? 0;
  }

  async rows(prompts: ReadonlySet<string>): Promise<ReadonlyMap<string, PromptText>> {
    const rows = new Map<string, PromptText>();
    for (const prompt of prompts) {
      const row = this.#cache.get(prompt);
      if (row !== undefined) rows.set(prompt, row);
    }
    const missing = [...prompts.difference(rows)];
    for (let first = 0; first < missing.length; first += TOGETHER) {
      const group = missing.slice(first, first + TOGETHER);
      const encoded = await this.#encode(group);
      for (const [i, prompt] of group.entries()) {
        rows.set(prompt, encoded[i]!);
        this.#cache.set(prompt, encoded[i]!);
      }
    }
    return rows;
  }

  async #encode(prompts: readonly string[]): Promise<PromptText[]> {
    const tokens = prompts.map((prompt) => this.#tokens(prompt));
    this.#encoder ??= await TextEncoder.open(
      this.folders.encoder,
      this.pipelines,
      this.policy,
    );
    const encoded = await this.#encoder.encode(tokens.map(({ ids }) => ids));
    return encoded.map((features, i) => {
      const { ids: { length }, truncation } = tokens[i]!;
      return { features, length, mask: new Float32Array(length).fill(1), truncation };
    });
  }

  #tokens(prompt: string): { readonly ids: number[]; readonly truncation: Truncation | null } {
    const { maxTokens: limit, maxCharacters } = this.folders;
    const { ids, truncated, total } = this.tokenizer.encode(prompt, limit);
    if (!truncated) return { ids, truncation: null };
    const letters = total <= limit && maxCharacters !== null && { letters: maxCharacters };
    return { ids, truncation: { prompt, tokens: total, limit, ...letters } };
  }

  release(): void {
    this.#encoder?.[Symbol.dispose]();
    this.#encoder = null;
  }

  [Symbol.dispose](): void {
    this.release();
  }
}

/** @throws {MdmError} When a tokenizer has tokens that the encoder does not know. */
function checkTokenizer(
  { tokenizer: path }: TextFolders,
  { vocabSize }: { readonly vocabSize: number },
  tokenizer: TextTokenizer,
): void {
  if (tokenizer.vocabSize <= vocabSize) return;
  throw new MdmError(
    `Cannot use the tokenizer "${path}": it has ${tokenizer.vocabSize} tokens, and the text encoder knows ${vocabSize}. Give the tokenizer that belongs to it.`,
  );
}

/** Where a model reads no words, the prompt is the number of a class (`categorical_conditioning` in the reference). */
class Classes implements TextSource {
  readonly guides = false;
  readonly bytes = 0;

  constructor(private readonly count: number) {}

  rows(prompts: ReadonlySet<string>): Promise<ReadonlyMap<string, PromptText>> {
    return Promise.resolve(
      new Map([...prompts].map((prompt) => [prompt, this.#row(prompt)] as const)),
    );
  }

  #row(prompt: string): PromptText {
    const index = Number(prompt);
    if (prompt.trim() === "" || !Number.isInteger(index) || index < 0 || index >= this.count) {
      throw new UsageError(
        `The model makes images of classes: give a class from 0 to ${
          this.count - 1
        } instead of "${prompt}".`,
      );
    }
    const features = new Float32Array(this.count);
    features[index] = 1;
    return { features, length: 1, mask: null, truncation: null };
  }

  release(): void {}

  [Symbol.dispose](): void {}
}

/** The text of a model that has no text encoder: an error once it is needed. */
class MissingText implements TextSource {
  readonly guides = true;
  readonly bytes = 0;

  constructor(private readonly model: string) {}

  rows(prompts: ReadonlySet<string>): Promise<ReadonlyMap<string, PromptText>> {
    if (prompts.size === 0) return Promise.resolve(new Map());
    throw new MdmError(
      `Cannot read prompts: the model "${this.model}" has no text encoder. Name the folder of its T5 encoder with --text-encoder, or give features with --text-features.`,
    );
  }

  release(): void {}

  [Symbol.dispose](): void {}
}

/** A text with padding up to a length, as the reference has it where another one in the batch is longer. */
export function padded(row: RowText, length: number): RowText {
  if (row.length === length || row.mask === null) return row;
  const mask = new Float32Array(length);
  mask.set(Float32Array.from(row.mask));
  return { features: row.features, length, mask };
}
