import { MdmError } from "../errors.ts";
import { checkLength } from "./normalizers.ts";
import { readSentencePieceModel, type SentencePieceModel } from "./sentencepiece_model.ts";
import { SentencePieceNormalizer } from "./sentencepiece_normalizer.ts";
import {
  checkPrompt,
  cutTokens,
  type EncodedText,
  splitPrompt,
  type TextTokenizer,
} from "./text_tokenizer.ts";
import { Unigram, type UnigramToken } from "./unigram.ts";

/**
 * Prompt text to token ids by a sentencepiece model of the Unigram kind (`spiece.model` of T5): the
 * ids that sentencepiece gives, and the end token after them. As there, marks such as "</s>" in a
 * text are plain characters.
 */
export class SentencePieceTokenizer implements TextTokenizer {
  readonly padId: number;
  readonly vocabSize: number;
  readonly modelMaxLength = undefined;
  readonly #normalizer: SentencePieceNormalizer;
  readonly #unigram: Unigram;
  readonly #unknownId: number;
  readonly #endId: number;
  /** The ids of the pieces for single bytes; null where unknown characters are not read so. */
  readonly #byteIds: readonly number[] | null;

  private constructor(model: SentencePieceModel) {
    if (model.padId < 0) throw new RangeError(`it lacks the padding token "<pad>"`);
    if (model.endId < 0) throw new RangeError(`it lacks the end token "</s>"`);
    this.padId = model.padId;
    this.vocabSize = model.pieces.length;
    this.#normalizer = new SentencePieceNormalizer(model);
    this.#unigram = new Unigram(model.pieces, model.unknownId);
    this.#unknownId = model.unknownId;
    this.#endId = model.endId;
    this.#byteIds = model.byteFallback ? byteIdsOf(model) : null;
  }

  /**
   * Reads a model.
   *
   * @throws {MdmError} when it cannot be read, or is not of the Unigram kind with T5's marks
   */
  static async load(path: string): Promise<SentencePieceTokenizer> {
    const model = await readSentencePieceModel(path);
    try {
      return new SentencePieceTokenizer(model);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      throw new MdmError(`Cannot load "${path}": ${error.message}.`);
    }
  }

  encode(text: string, maxTokens: number): EncodedText {
    const tokens = splitPrompt(
      checkPrompt(text).toWellFormed(),
      (text) => this.#unigram.split(checkLength(this.#normalizer.normalize(text))),
    );
    return cutTokens([...this.#idsOf(tokens), this.#endId], maxTokens);
  }

  /** Unknown characters side by side are one token, or each the tokens of its bytes. */
  #idsOf(tokens: readonly UnigramToken[]): number[] {
    const unknown = this.#unknownId;
    const byteIds = this.#byteIds;
    if (byteIds === null) {
      return tokens.map(({ id }) => id)
        .filter((id, i) => id !== unknown || tokens[i - 1]?.id !== unknown);
    }
    const utf8 = new TextEncoder();
    return tokens.flatMap(({ id, text }) =>
      id === unknown ? Array.from(utf8.encode(text), (byte) => byteIds[byte]!) : id
    );
  }
}

/** @throws {RangeError} when one of them is missing */
function byteIdsOf({ pieces }: SentencePieceModel): number[] {
  const ids = pieces.flatMap(({ type }, id) => type === "byte" ? [id] : []);
  if (ids.length !== 256) throw new RangeError(`it has ${ids.length} pieces for bytes, not 256`);
  return ids;
}
