import { MdmError } from "../errors.ts";
import { PieceLattice } from "./piece_lattice.ts";
import { type Piece, readPieces } from "./piece_vocabulary.ts";
import { checkPrompt, type EncodedText, type TextTokenizer } from "./text_tokenizer.ts";

export interface MdmTokenizerOptions {
  /** Characters (code points) of a text that are read; null: all. */
  readonly maxCharacters?: number | null;
}

/**
 * Prompt text to token ids as the reference does it (`process_text` in its reader.py with the "t5"
 * dictionary of language_models/tokenizer.py), which the published models were trained with. It
 * differs from T5's own tokenizer:
 *
 * - Nothing is normalised: upper case, full-width letters and runs of spaces are what they are.
 * - What the vocabulary does not know is left out (tabs, line ends, "\u2581"), not made "<unk>".
 * - A text begins with one space more, so that an empty one is `[3, 1]` with T5's vocabulary.
 * - A text is cut at 512 characters before anything else.
 *
 * In one thing it is not as the reference: marks such as "</s>" in a text are plain characters.
 */
export class MdmTokenizer implements TextTokenizer {
  readonly padId: number;
  readonly vocabSize: number;
  readonly modelMaxLength = undefined;
  readonly #lattice: PieceLattice;
  readonly #endId: number;
  readonly #maxCharacters: number;

  private constructor(pieces: readonly Piece[], { maxCharacters = 512 }: MdmTokenizerOptions) {
    this.padId = idOf(pieces, "<pad>");
    this.#endId = idOf(pieces, "</s>");
    this.vocabSize = pieces.length;
    this.#maxCharacters = maxCharacters ?? Infinity;
    this.#lattice = new PieceLattice(
      pieces
        .map(({ text, score, special }, id) => ({
          id,
          text: text.replaceAll("\u2581", " "),
          cost: -score,
          special,
        }))
        .filter(({ special }) => !special),
    );
  }

  /**
   * Reads a vocabulary.
   *
   * @param path a folder with a tokenizer.json or a spiece.model, one of these, or a `.vocab` file
   * @throws {MdmError} when it cannot be read or is not a Unigram vocabulary with T5's marks
   */
  static async load(path: string, options: MdmTokenizerOptions = {}): Promise<MdmTokenizer> {
    const pieces = await readPieces(path);
    try {
      return new MdmTokenizer(pieces, options);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      throw new MdmError(`Cannot load the vocabulary "${path}": ${error.message}.`);
    }
  }

  /**
   * The token ids of a text. What is over `maxTokens` is cut off, the end token with it, as the
   * reference does. `total` counts the tokens of the whole text.
   *
   * @throws {UsageError} when the text has over 100,000 characters
   */
  encode(text: string, maxTokens: number): EncodedText {
    const whole = this.#ids(checkPrompt(text));
    const start = firstCharacters(text, this.#maxCharacters);
    const cut = start.length < text.length;
    const ids = cut ? this.#ids(start) : whole;
    return {
      ids: ids.slice(0, maxTokens),
      truncated: cut || ids.length > maxTokens,
      total: whole.length,
    };
  }

  #ids(text: string): number[] {
    return [...this.#lattice.split(` ${text}`), this.#endId];
  }
}

function idOf(pieces: readonly Piece[], name: string): number {
  const id = pieces.findIndex(({ text }) => text === name);
  if (id < 0) throw new RangeError(`it lacks the piece "${name}"`);
  return id;
}

/** Characters are code points, as in Python: a pair of surrogates is not torn. */
function firstCharacters(text: string, count: number): string {
  if (text.length <= count) return text;
  return [...text].slice(0, count).join("");
}
