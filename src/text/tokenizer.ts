/**
 * Prompt text to token ids, by a Hugging Face `tokenizer.json` of the Unigram kind (T5, FLAN-T5).
 * The ids are those of the Python library with these differences:
 *
 * - The prompt is never searched for special tokens. `</s>` or `<pad>` typed by a person is plain
 *   text, where the Python library would end or blank the prompt. To that end the special pieces
 *   are taken out of the added tokens and renamed in the Unigram vocabulary, to names that begin
 *   with a lone surrogate, which no well-formed text holds.
 * - A lone surrogate in the prompt is read as U+FFFD.
 * - At the ends of a prompt a byte order mark counts as a space and U+0085 does not, as JavaScript
 *   has it; a `Precompiled` normalizer is done as NFKC and a list of spaces.
 */

import { Tokenizer as HuggingFaceTokenizer } from "@huggingface/tokenizers";
import { MdmError, UsageError } from "../errors.ts";

/** The longest text that is read, in UTF-16 code units. */
const MAX_TEXT_LENGTH = 100_000;
/** The tokenizer of mT5, a quarter of a million pieces, takes 16 MB. */
const MAX_FILE_BYTES = 64 * 2 ** 20;
const MAX_TOKEN_ID = 2 ** 24;
/** What a word boundary becomes before the Unigram model sees it. */
const METASPACE = "\u2581";
/** Begins the name of a piece that no text may match. */
const UNMATCHABLE = "\uD800";

type Json = Record<string, unknown>;

/** What {@linkcode Tokenizer.encode} gives. */
export interface EncodedText {
  /** At most `maxTokens` ids, with the end token last where the tokenizer adds one. */
  readonly ids: number[];
  /** Whether tokens were cut off. */
  readonly truncated: boolean;
  /** The number of tokens before the cut. */
  readonly total: number;
}

/** The ids that the post-processor puts before and after those of the text. */
interface Frame {
  readonly before: readonly number[];
  readonly after: readonly number[];
}

export class Tokenizer {
  /** The id that fills up a shorter prompt of a batch. */
  readonly padId: number;
  /** One more than the largest id: the rows that a token embedding needs. */
  readonly vocabSize: number;
  /** `model_max_length` of `tokenizer_config.json`, where it sets a limit. */
  readonly modelMaxLength: number | undefined;
  readonly #model: HuggingFaceTokenizer;
  readonly #unknownId: number;
  readonly #frame: Frame;

  private constructor(definition: Json, config: Json) {
    const vocabulary = readVocabulary(definition);
    const added = readAddedTokens(definition);
    const idOf = new Map(vocabulary.map(([piece], id) => [piece, id]));
    for (const token of added) idOf.set(token.content, token.id);

    const reserved = new Set(added.filter((token) => token.special).map((token) => token.content));
    for (const key of ["pad_token", "eos_token", "unk_token"]) {
      const name = tokenName(config[key]);
      if (name === undefined) continue;
      if (!idOf.has(name)) throw new Malformed(`it lacks the ${key} ${JSON.stringify(name)}`);
      reserved.add(name);
    }

    const pad = tokenName(config.pad_token) ?? "<pad>";
    const padId = idOf.get(pad);
    if (padId === undefined) throw new Malformed(`it lacks the padding token "${pad}"`);
    this.padId = padId;
    this.vocabSize = added.reduce((size, { id }) => Math.max(size, id + 1), vocabulary.length);
    this.modelMaxLength = readMaxLength(config.model_max_length);
    this.#frame = readFrame(definition.post_processor);
    this.#model = new HuggingFaceTokenizer({
      normalizer: definition.normalizer ?? null,
      pre_tokenizer: splitAtWordBoundaries(definition.pre_tokenizer ?? null),
      model: {
        ...definition.model as Json,
        vocab: vocabulary.map(([piece, score]) => [
          reserved.has(piece) ? UNMATCHABLE + piece : piece,
          score,
        ]),
      },
      post_processor: null,
      decoder: null,
      added_tokens: added.filter((token) => !reserved.has(token.content)),
    }, {});
    // Left to the library, fusing takes time quadratic in the length of the text.
    if (this.#model.model) this.#model.model.fuse_unk = false;
    this.#unknownId = (definition.model as Json).unk_id as number;
  }

  /**
   * Reads `tokenizer.json`, and `tokenizer_config.json` where there is one, from a folder.
   *
   * @throws {MdmError} when a file is missing, malformed or of a kind that is not supported
   */
  static async load(folder: string): Promise<Tokenizer> {
    const path = `${folder}/tokenizer.json`;
    const definition = await readJson(path);
    if (definition === undefined) {
      throw new MdmError(
        `Cannot load "${path}": there is no such file. Name a folder with a Hugging Face tokenizer.`,
      );
    }
    const config = await readJson(`${folder}/tokenizer_config.json`) ?? {};
    try {
      return new Tokenizer(definition, config);
    } catch (error) {
      // The library says what it cannot read by whatever it stumbles over.
      const reason = error instanceof Malformed
        ? error.message
        : `the tokenizer library cannot read it (${(error as Error).message})`;
      throw new MdmError(`Cannot load "${path}": ${reason}.`);
    }
  }

  /**
   * The token ids of a text. What is over `maxTokens` is cut off, the end token with it, as the reference does
   * (`process_text` in reader.py; Hugging Face would keep the end token).
   *
   * @throws {UsageError} when the text has over 100,000 characters
   */
  encode(text: string, maxTokens: number): EncodedText {
    if (text.length > MAX_TEXT_LENGTH) {
      throw new UsageError(
        `Cannot read a prompt of ${text.length} characters: shorten it to ${MAX_TEXT_LENGTH}.`,
      );
    }
    const { before, after } = this.#frame;
    const all = [...before, ...this.#encodeText(text.toWellFormed()), ...after];
    return { ids: all.slice(0, maxTokens), truncated: all.length > maxTokens, total: all.length };
  }

  /** The ids of the text alone; unknown characters side by side in a word are one token. */
  #encodeText(text: string): number[] {
    const { ids, tokens } = this.#model.encode(text);
    const unknown = this.#unknownId;
    return ids.filter((id, i) =>
      id !== unknown || ids[i - 1] !== unknown || tokens[i]?.startsWith(METASPACE)
    );
  }
}

/** Says what is wrong with the files; `load` adds where. */
class Malformed extends Error {}

async function readJson(path: string): Promise<Json | undefined> {
  let text: string;
  try {
    const { size } = await Deno.stat(path);
    if (size > MAX_FILE_BYTES) {
      throw new MdmError(
        `Cannot load "${path}": it has ${size} bytes but at most ${MAX_FILE_BYTES} are read.`,
      );
    }
    text = await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    if (error instanceof MdmError) throw error;
    throw new MdmError(`Cannot load "${path}": ${(error as Error).message}.`);
  }
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new MdmError(`Cannot load "${path}": it is not JSON (${(error as Error).message}).`);
  }
  if (!isObject(json)) throw new MdmError(`Cannot load "${path}": it must hold a JSON object.`);
  return json;
}

function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function readVocabulary(definition: Json): [piece: string, score: number][] {
  const model = isObject(definition.model) ? definition.model : {};
  if (model.type !== "Unigram") {
    throw new Malformed(
      `its model is ${JSON.stringify(model.type)} but must be "Unigram", as T5 has it`,
    );
  }
  if (model.byte_fallback === true) throw new Malformed("byte fallback is not supported");
  const { vocab, unk_id: unknown } = model;
  const valid = Array.isArray(vocab) && vocab.length > 0 &&
    vocab.every((entry) =>
      Array.isArray(entry) && typeof entry[0] === "string" && entry[0] !== "" &&
      Number.isFinite(entry[1])
    );
  if (!valid) throw new Malformed("its vocabulary must be a list of [piece, score]");
  if (!isTokenId(unknown) || unknown >= vocab.length) {
    throw new Malformed(`its "unk_id" must be the index of a piece`);
  }
  return vocab as [string, number][];
}

interface AddedToken {
  readonly id: number;
  readonly content: string;
  readonly special: boolean;
}

function readAddedTokens(definition: Json): AddedToken[] {
  const added = definition.added_tokens ?? [];
  const valid = Array.isArray(added) &&
    added.every((token) =>
      isObject(token) && isTokenId(token.id) && typeof token.content === "string" &&
      token.content !== ""
    );
  if (!valid) throw new Malformed(`its "added_tokens" must be a list of {id, content}`);
  return added.map((token) => ({ ...token, special: token.special === true })) as AddedToken[];
}

function isTokenId(id: unknown): id is number {
  return Number.isInteger(id) && (id as number) >= 0 && (id as number) < MAX_TOKEN_ID;
}

/** A token of `tokenizer_config.json`: its text, or an object that holds it. */
function tokenName(token: unknown): string | undefined {
  const name = isObject(token) ? token.content : token;
  return typeof name === "string" ? name : undefined;
}

/** Hugging Face writes 1e30 for "no limit". */
function readMaxLength(length: unknown): number | undefined {
  return Number.isSafeInteger(length) && (length as number) > 0 ? length as number : undefined;
}

function readFrame(processor: unknown): Frame {
  if (processor === undefined || processor === null) return { before: [], after: [] };
  if (!isObject(processor) || processor.type !== "TemplateProcessing") {
    throw new Malformed(`its post-processor must be "TemplateProcessing", as T5 has it`);
  }
  const template = Array.isArray(processor.single) ? processor.single : [];
  const special = isObject(processor.special_tokens) ? processor.special_tokens : {};
  const position = template.findIndex((item) => isObject(item) && isObject(item.Sequence));
  if (position < 0) throw new Malformed("its post-processor leaves the text out");
  const idsOf = (items: unknown[]) => items.flatMap((item) => specialIds(item, special));
  return {
    before: idsOf(template.slice(0, position)),
    after: idsOf(template.slice(position + 1)),
  };
}

function specialIds(item: unknown, special: Json): number[] {
  const token = isObject(item) && isObject(item.SpecialToken) ? item.SpecialToken : {};
  const entry = Object.hasOwn(special, String(token.id)) ? special[String(token.id)] : undefined;
  const ids = isObject(entry) ? entry.ids : undefined;
  if (!Array.isArray(ids) || !ids.every(isTokenId)) {
    throw new Malformed("its post-processor names a special token without ids");
  }
  return ids;
}

/**
 * The library leaves the text of a `Metaspace` pre-tokenizer whole, where Hugging Face splits it
 * before each word: without this step a piece with a space inside could match.
 */
function splitAtWordBoundaries(preTokenizer: unknown): unknown {
  if (!isObject(preTokenizer)) return preTokenizer;
  if (preTokenizer.type === "Sequence" && Array.isArray(preTokenizer.pretokenizers)) {
    return {
      ...preTokenizer,
      pretokenizers: preTokenizer.pretokenizers.map(splitAtWordBoundaries),
    };
  }
  if (preTokenizer.type !== "Metaspace" || preTokenizer.split === false) return preTokenizer;
  if ((preTokenizer.replacement ?? METASPACE) !== METASPACE) {
    throw new Malformed(`its pre-tokenizer must mark words with "${METASPACE}"`);
  }
  const split = {
    type: "Split",
    pattern: { Regex: `${METASPACE}[^${METASPACE}]*` },
    behavior: "Isolated",
    invert: false,
  };
  return { type: "Sequence", pretokenizers: [preTokenizer, split] };
}
