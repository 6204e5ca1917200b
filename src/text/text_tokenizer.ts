import { UsageError } from "../errors.ts";

/** The longest text that is read, in UTF-16 code units. */
const MAX_TEXT_LENGTH = 100_000;

/** What {@linkcode TextTokenizer.encode} gives. */
export interface EncodedText {
  /** At most `maxTokens` ids, with the end token last where the tokenizer adds one. */
  readonly ids: number[];
  /** Whether tokens were cut off. */
  readonly truncated: boolean;
  /** The number of tokens before the cut. */
  readonly total: number;
}

/** Prompt text to token ids. */
export interface TextTokenizer {
  /** The id that fills up a shorter prompt of a batch. */
  readonly padId: number;
  /** One more than the largest id: the rows that a token embedding needs. */
  readonly vocabSize: number;
  /** The most tokens that its files allow, where they set a limit. */
  readonly modelMaxLength: number | undefined;
  /**
   * The token ids of a text, of which `maxTokens` are kept.
   *
   * @throws {UsageError} when the text has over 100,000 characters
   */
  encode(text: string, maxTokens: number): EncodedText;
}

/** @throws {UsageError} when the text has over 100,000 characters */
export function checkPrompt(text: string): string {
  if (text.length <= MAX_TEXT_LENGTH) return text;
  throw new UsageError(
    `Cannot read a prompt of ${text.length} characters: shorten it to ${MAX_TEXT_LENGTH}.`,
  );
}

/**
 * Splits a text; its normalization may make it too long for that.
 *
 * @throws {UsageError} when it does
 */
export function splitPrompt<T>(text: string, split: (text: string) => T): T {
  try {
    return split(text);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new UsageError(
      `Cannot read a prompt of ${text.length} characters: ${error.message}. Shorten it.`,
    );
  }
}

/**
 * What is over `maxTokens` is cut off, the end token with it, as the reference does (`process_text`
 * in reader.py; Hugging Face would keep the end token).
 */
export function cutTokens(all: readonly number[], maxTokens: number): EncodedText {
  return { ids: all.slice(0, maxTokens), truncated: all.length > maxTokens, total: all.length };
}
