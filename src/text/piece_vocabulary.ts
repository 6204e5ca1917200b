import { isJsonObject } from "../json/json_object.ts";
import { readJson } from "../checkpoint/json.ts";
import { readTextFile } from "../checkpoint/text_file.ts";
import { MdmError } from "../errors.ts";
import { readSentencePieceModel, type SentencePieceModel } from "./sentencepiece_model.ts";
import { findTokenizer, isSentencePiece } from "./tokenizer_file.ts";

/** A piece of text that is one token; its id is its place in the list. */
export interface Piece {
  /** With "\u2581" where a word begins, as files write it. */
  readonly text: string;
  /** Logarithm of its probability: 0 or less. */
  readonly score: number;
  /** Whether it is a mark of the model's ("</s>") and not text. */
  readonly special: boolean;
}

const MAX_PIECES = 2 ** 20;
/** In UTF-16 code units. The longest piece of T5 has 16; the time to tokenize grows with it. */
const MAX_PIECE_LENGTH = 256;
const VOCABULARY = { largest: 64 << 20, what: "a vocabulary" } as const;

/** Marks of T5 that a list without flags can have. */
const SPECIAL = /^<(?:pad|s|\/s|unk|extra_id_\d+)>$/;

/**
 * Reads the pieces of a Unigram vocabulary from a `.vocab` file (a piece, a tab and its score on
 * each line, as sentencepiece writes it), from a model of sentencepiece (`spiece.model`), or from the
 * `tokenizer.json` of Hugging Face.
 *
 * @param path the file, or a folder with a tokenizer.json or a spiece.model
 * @throws {MdmError} when the file cannot be read or is not such a vocabulary
 */
export async function readPieces(path: string): Promise<Piece[]> {
  const file = await findTokenizer(path) ?? `${path}/tokenizer.json`;
  const pieces = await parsePieces(file);
  if (pieces.length === 0 || pieces.length > MAX_PIECES) {
    throw fail(file, `it has ${pieces.length} pieces but must have 1 to ${MAX_PIECES}`);
  }
  const long = pieces.findIndex(({ text }) => text.length > MAX_PIECE_LENGTH);
  if (long >= 0) throw fail(file, `piece ${long} is longer than ${MAX_PIECE_LENGTH} characters`);
  const bad = pieces.findIndex(({ text, score }) => text === "" || !(score <= 0));
  if (bad >= 0) throw fail(file, `piece ${bad} must be text with a score of 0 or less`);
  return pieces;
}

async function parsePieces(path: string): Promise<Piece[]> {
  if (isSentencePiece(path)) return piecesOf(await readSentencePieceModel(path));
  return path.endsWith(".vocab")
    ? parseVocab(await readTextFile(path, VOCABULARY), path)
    : parseJson(await readJson(path, VOCABULARY), path);
}

function piecesOf({ pieces }: SentencePieceModel): Piece[] {
  return pieces.map(({ text, score, type }) => ({
    text,
    score: roundScore(score),
    special: type !== "normal" && type !== "user defined",
  }));
}

/** A .vocab file has five decimals, and sums of scores decide between ways to split a text. */
function roundScore(score: number): number {
  return Number(score.toFixed(5));
}

function parseVocab(text: string, path: string): Piece[] {
  return text.replace(/\n$/, "").split("\n").map((line, i) => {
    const [piece = "", score = "", ...more] = line.trimEnd().split("\t");
    if (score === "" || more.length > 0) {
      throw fail(path, `line ${i + 1} is not a piece, a tab and a score`);
    }
    return { text: piece, score: Number(score), special: SPECIAL.test(piece) };
  });
}

function parseJson(json: unknown, path: string): Piece[] {
  const { model, added_tokens: added } = isJsonObject(json) ? json : {};
  const vocab = isJsonObject(model) && model.type === "Unigram" ? model.vocab : undefined;
  if (!Array.isArray(vocab)) throw fail(path, `its model is not a "Unigram" vocabulary`);
  const special = new Set(
    (Array.isArray(added) ? added : [])
      .filter((token) => isJsonObject(token) && token.special === true)
      .map(({ content }) => content),
  );
  return vocab.map((entry, i) => {
    const [text, score] = Array.isArray(entry) ? entry : [];
    if (typeof text !== "string" || typeof score !== "number") {
      throw fail(path, `piece ${i} is not a list of a text and a score`);
    }
    return {
      text,
      score: roundScore(score),
      special: special.has(text) || SPECIAL.test(text),
    };
  });
}

function fail(path: string, reason: string): MdmError {
  return new MdmError(`Cannot load "${path}": ${reason}. Get the file again.`);
}
