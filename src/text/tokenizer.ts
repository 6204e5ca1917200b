/**
 * Prompt text to token ids, by a Hugging Face `tokenizer.json` of the Unigram kind (T5, FLAN-T5).
 * The ids are those of the Python library with these differences:
 *
 * - The prompt is never searched for special tokens. `</s>` or `<pad>` typed by a person is plain
 *   text, where the Python library would end or blank the prompt. To that end the special pieces
 *   are taken out of the added tokens and renamed in the Unigram vocabulary, to names that begin
 *   with a lone surrogate, which no well-formed text holds.
 * - A lone surrogate in the prompt is read as U+FFFD.
 */

import { isJsonObject, type JsonObject } from "../json/json_object.ts";
import { Tokenizer as HuggingFaceTokenizer } from "../deps/tokenizers.ts";
import { dirname } from "node:path";
import { isFile } from "../files/read_file.ts";
import { readJson } from "../checkpoint/json.ts";
import { MdmError } from "../errors.ts";
import { Normalizers } from "./normalizers.ts";
import { SentencePieceTokenizer } from "./sentencepiece_tokenizer.ts";
import {
  checkPrompt,
  cutTokens,
  type EncodedText,
  splitPrompt,
  type TextTokenizer,
} from "./text_tokenizer.ts";
import { findTokenizer, isSentencePiece } from "./tokenizer_file.ts";

/** The tokenizer of mT5, a quarter of a million pieces, takes 16 MB. */
const TOKENIZER = { largest: 64 << 20, what: "a tokenizer" } as const;
const MAX_TOKEN_ID = 2 ** 24;
/** What a word boundary becomes before the Unigram model sees it. */
const METASPACE = "\u2581";
/** Begins the name of a piece that no text may match. */
const UNMATCHABLE = "\uD800";

/** The ids that the post-processor puts before and after those of the text. */
interface Frame {
  readonly before: readonly number[];
  readonly after: readonly number[];
}

export class Tokenizer implements TextTokenizer {
  readonly padId: number;
  readonly vocabSize: number;
  /** `model_max_length` of `tokenizer_config.json`, where it sets a limit. */
  readonly modelMaxLength: number | undefined;
  readonly #model: HuggingFaceTokenizer;
  readonly #unknownId: number;
  /** The ids of the pieces for single bytes; null where unknown characters are not read so. */
  readonly #byteIds: readonly number[] | null;
  readonly #frame: Frame;

  private constructor(definition: JsonObject, config: JsonObject) {
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
    const normalizers = readNormalizers(definition.normalizer);
    this.#model = new HuggingFaceTokenizer({
      // In its place comes ours, which the library need not know for the added tokens either.
      normalizer: { type: "Sequence", normalizers: [] },
      pre_tokenizer: splitAtWordBoundaries(definition.pre_tokenizer ?? null),
      model: {
        ...definition.model as JsonObject,
        vocab: vocabulary.map(([piece, score]) => [
          reserved.has(piece) ? UNMATCHABLE + piece : piece,
          score,
        ]),
      },
      post_processor: null,
      decoder: null,
      added_tokens: added
        .filter((token) => !reserved.has(token.content))
        .map((token) =>
          token.normalized ?? !token.special
            ? { ...token, content: normalizers.normalize(token.content) }
            : token
        )
        .filter((token) => token.content !== ""),
    }, {});
    this.#model.normalizer = normalizers;
    // Left to the library, fusing takes time quadratic in the length of the text.
    if (this.#model.model) this.#model.model.fuse_unk = false;
    const { unk_id: unknown, byte_fallback: byteFallback } = definition.model as JsonObject;
    this.#unknownId = unknown as number;
    this.#byteIds = byteFallback === true ? readByteIds(idOf) : null;
  }

  /**
   * Reads `tokenizer.json`, and `tokenizer_config.json` where there is one, from a folder; or a model
   * of sentencepiece, where there is only that.
   *
   * @throws {MdmError} when a file is missing, malformed or of a kind that is not supported
   */
  static async load(folder: string): Promise<TextTokenizer> {
    const path = await findTokenizer(folder);
    if (path === null) {
      throw new MdmError(
        `Cannot load "${folder}/tokenizer.json": there is no such file. Name a folder with a tokenizer.json or a spiece.model.`,
      );
    }
    if (isSentencePiece(path)) return await SentencePieceTokenizer.load(path);
    const definition = await readObject(path);
    const config = await readConfig(`${dirname(path)}/tokenizer_config.json`);
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

  encode(text: string, maxTokens: number): EncodedText {
    const { before, after } = this.#frame;
    const ids = splitPrompt(checkPrompt(text).toWellFormed(), (text) => this.#encodeText(text));
    return cutTokens([...before, ...ids, ...after], maxTokens);
  }

  /** The ids of the text alone; unknown characters side by side in a word are one token. */
  #encodeText(text: string): number[] {
    const { ids, tokens } = this.#model.encode(text);
    const unknown = this.#unknownId;
    const byteIds = this.#byteIds;
    if (byteIds !== null) {
      const utf8 = new TextEncoder();
      return ids.flatMap((id, i) =>
        id === unknown ? Array.from(utf8.encode(tokens[i]), (byte) => byteIds[byte]!) : id
      );
    }
    return ids.filter((id, i) =>
      id !== unknown || ids[i - 1] !== unknown || tokens[i]?.startsWith(METASPACE)
    );
  }
}

/** Says what is wrong with the files; `load` adds where. */
class Malformed extends Error {}

async function readConfig(path: string): Promise<JsonObject> {
  return await isFile(path) ? await readObject(path) : {};
}

async function readObject(path: string): Promise<JsonObject> {
  const json = await readJson(path, TOKENIZER);
  if (!isJsonObject(json)) throw new MdmError(`Cannot load "${path}": it must hold a JSON object.`);
  return json;
}

/** Says what is wrong with the rules that it has. */
function readNormalizers(definition: unknown): Normalizers {
  try {
    return new Normalizers(definition);
  } catch (error) {
    throw error instanceof RangeError ? new Malformed(error.message) : error;
  }
}

function readVocabulary(definition: JsonObject): [piece: string, score: number][] {
  const model = isJsonObject(definition.model) ? definition.model : {};
  if (model.type !== "Unigram") {
    throw new Malformed(
      `its model is ${JSON.stringify(model.type)} but must be "Unigram", as T5 has it`,
    );
  }
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

/** The ids of the pieces "<0x00>" to "<0xFF>"; null where one of them is not there. */
function readByteIds(idOf: ReadonlyMap<string, number>): number[] | null {
  const ids = Array.from(
    { length: 256 },
    (_, byte) => idOf.get(`<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`),
  );
  return ids.every((id) => id !== undefined) ? ids : null;
}

interface AddedToken {
  readonly id: number;
  readonly content: string;
  readonly special: boolean;
  /** Whether it is looked for in normalized text; undefined: if it is not special. */
  readonly normalized?: boolean;
}

function readAddedTokens(definition: JsonObject): AddedToken[] {
  const added = definition.added_tokens ?? [];
  const valid = Array.isArray(added) &&
    added.every((token) =>
      isJsonObject(token) && isTokenId(token.id) && typeof token.content === "string" &&
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
  const name = isJsonObject(token) ? token.content : token;
  return typeof name === "string" ? name : undefined;
}

/** Hugging Face writes 1e30 for "no limit". */
function readMaxLength(length: unknown): number | undefined {
  return Number.isSafeInteger(length) && (length as number) > 0 ? length as number : undefined;
}

function readFrame(processor: unknown): Frame {
  if (processor === undefined || processor === null) return { before: [], after: [] };
  if (!isJsonObject(processor) || processor.type !== "TemplateProcessing") {
    throw new Malformed(`its post-processor must be "TemplateProcessing", as T5 has it`);
  }
  const template = Array.isArray(processor.single) ? processor.single : [];
  const special = isJsonObject(processor.special_tokens) ? processor.special_tokens : {};
  const position = template.findIndex((item) => isJsonObject(item) && isJsonObject(item.Sequence));
  if (position < 0) throw new Malformed("its post-processor leaves the text out");
  const idsOf = (items: unknown[]) => items.flatMap((item) => specialIds(item, special));
  return {
    before: idsOf(template.slice(0, position)),
    after: idsOf(template.slice(position + 1)),
  };
}

function specialIds(item: unknown, special: JsonObject): number[] {
  const token = isJsonObject(item) && isJsonObject(item.SpecialToken) ? item.SpecialToken : {};
  const entry = Object.hasOwn(special, String(token.id)) ? special[String(token.id)] : undefined;
  const ids = isJsonObject(entry) ? entry.ids : undefined;
  if (!Array.isArray(ids) || !ids.every(isTokenId)) {
    throw new Malformed("its post-processor names a special token without ids");
  }
  return ids;
}

/**
 * The library leaves the text of a `Metaspace` pre-tokenizer whole, where Hugging Face splits it
 * before each word: without this step a piece with a space inside could match. And it splits at what
 * JavaScript takes for white space, which differs from Unicode's in U+0085 and U+FEFF.
 */
function splitAtWordBoundaries(preTokenizer: unknown): unknown {
  if (!isJsonObject(preTokenizer)) return preTokenizer;
  if (preTokenizer.type === "WhitespaceSplit") {
    return { type: "Split", pattern: { Regex: "\\s+" }, behavior: "Removed", invert: false };
  }
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
