import { MdmError } from "../errors.ts";
import { JsonFields } from "../json/json_fields.ts";

/** How much of a prompt a model reads. */
export interface TextLimits {
  /** Characters (code points) before tokenizing; null: all. */
  readonly maxCharacters: number | null;
  /** Tokens, with the end token. */
  readonly maxTokens: number;
}

/** What the published models were trained with. */
export const DEFAULT_TEXT_LIMITS: TextLimits = { maxCharacters: 512, maxTokens: 128 };

const MAX_TOKENS = 4096;
const MAX_CHARACTERS = 1_000_000;

/** Ways of reading text that the published models use; text read otherwise would be other tokens. */
const FIXED: readonly (readonly [name: string, value: boolean])[] = [
  ["prepad_caption_with_space", true],
  ["use_tokenizer_scores", true],
  ["prepad_bos", false],
  ["append_eos", true],
];

/**
 * Reads the reference's `reader_config` (`ReaderConfig` in its reader.py), of which only the part
 * about prompts matters here: the rest is about reading data sets.
 *
 * @param json the parsed object, or undefined where a configuration has none
 * @param source the file's name for messages
 * @throws {MdmError} when text is to be read in a way that is not supported
 */
export function parseReaderConfig(json: unknown, source: string): TextLimits {
  if (json === undefined || json === null) return DEFAULT_TEXT_LIMITS;
  const fields = new JsonFields(json, "reader_config", source);
  for (const [name, value] of FIXED) {
    if (fields.boolean(name, value) !== value) fields.fail(name, `${value}`);
  }
  if ((fields.string("padding_token") ?? "<pad>") !== "<pad>") {
    fields.fail("padding_token", `"<pad>"`);
  }
  // The reference writes -1 for "no limit".
  const characters = fields.integer("max_caption_length", { min: -1, max: MAX_CHARACTERS }, -1);
  const tokens = fields.integer("max_token_length", { min: -1, max: MAX_TOKENS }, -1);
  if (characters === 0 || tokens === 0) {
    throw new MdmError(`Cannot load "${source}": "reader_config" leaves no room for text.`);
  }
  return {
    maxCharacters: characters < 0 ? null : characters,
    maxTokens: tokens < 0 ? DEFAULT_TEXT_LIMITS.maxTokens : tokens,
  };
}
