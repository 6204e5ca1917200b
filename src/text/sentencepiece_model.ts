import { KIND_BYTES, kindOf, wrongKind } from "../checkpoint/file_kind.ts";
import { MdmError } from "../errors.ts";
import { readFile } from "../files/read_file.ts";
import { Charsmap } from "./charsmap.ts";
import { type ProtobufField, protobufFields } from "./protobuf.ts";

/** What a piece is for. */
export type PieceType = "normal" | "unknown" | "control" | "user defined" | "unused" | "byte";

/** A piece of a sentencepiece model; its id is its place in the list. */
export interface SentencePiece {
  readonly text: string;
  readonly score: number;
  readonly type: PieceType;
}

/** A sentencepiece model (`ModelProto` in sentencepiece_model.proto), as far as it is needed. */
export interface SentencePieceModel {
  readonly pieces: readonly SentencePiece[];
  /** Ids; -1: there is none. */
  readonly padId: number;
  readonly endId: number;
  readonly unknownId: number;
  /** Whether unknown characters become the pieces of their bytes. */
  readonly byteFallback: boolean;
  /** Whether a word ends with its space, instead of beginning with it. */
  readonly spaceAsSuffix: boolean;
  readonly charsmap: Charsmap | null;
  readonly addDummyPrefix: boolean;
  readonly removeExtraSpaces: boolean;
  readonly escapeSpaces: boolean;
}

/** That of mT5, a quarter of a million pieces, has 4 MB. */
const TOKENIZER = { largest: 64 << 20, what: "a tokenizer" } as const;
const MAX_PIECES = 2 ** 20;

const TYPES: ReadonlyMap<number, PieceType> = new Map([
  [1, "normal"],
  [2, "unknown"],
  [3, "control"],
  [4, "user defined"],
  [5, "unused"],
  [6, "byte"],
]);

const ALGORITHMS: ReadonlyMap<number, string> = new Map([[2, "BPE"], [3, "WORD"], [4, "CHAR"]]);
const UNIGRAM = 1;

/**
 * Reads a sentencepiece model, which T5's tokenizers have as `spiece.model`.
 *
 * @throws {MdmError} when it cannot be read, is none, or is not of the Unigram kind
 */
export async function readSentencePieceModel(path: string): Promise<SentencePieceModel> {
  const bytes = await readFile(path, TOKENIZER);
  const kind = kindOf(bytes.subarray(0, KIND_BYTES));
  if (kind !== undefined) throw wrongKind(path, kind, "a sentencepiece model");
  try {
    return parseModel(bytes);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw fail(path, error.message);
  }
}

/** @throws {RangeError} when it is no such model */
export function parseModel(bytes: Uint8Array): SentencePieceModel {
  const pieces: SentencePiece[] = [];
  let trainer = new Map<number, ProtobufField>();
  let normalizer = new Map<number, ProtobufField>();
  for (const { number, bytes: value } of protobufFields(bytes)) {
    if (number === 1) pieces.push(parsePiece(value));
    if (number === 2) trainer = lastFields(value);
    if (number === 3) normalizer = lastFields(value);
    if (pieces.length > MAX_PIECES) throw new RangeError(`it has over ${MAX_PIECES} pieces`);
  }
  if (pieces.length === 0) throw new RangeError("it is not a sentencepiece model");
  const algorithm = integer(trainer, 3, UNIGRAM);
  if (algorithm !== UNIGRAM) {
    const name = ALGORITHMS.get(algorithm) ?? String(algorithm);
    throw new RangeError(`its algorithm is ${name} but must be UNIGRAM, as T5 has it`);
  }
  const rules = normalizer.get(2)?.bytes;
  return {
    pieces,
    padId: idOf(pieces, integer(trainer, 43, -1), "<pad>"),
    endId: idOf(pieces, integer(trainer, 42, 2), "</s>"),
    unknownId: unknownOf(pieces),
    byteFallback: integer(trainer, 35, 0) !== 0,
    spaceAsSuffix: integer(trainer, 24, 0) !== 0,
    charsmap: rules === undefined || rules.length === 0 ? null : new Charsmap(rules),
    addDummyPrefix: integer(normalizer, 3, 1) !== 0,
    removeExtraSpaces: integer(normalizer, 4, 1) !== 0,
    escapeSpaces: integer(normalizer, 5, 1) !== 0,
  };
}

function parsePiece(bytes: Uint8Array): SentencePiece {
  const fields = lastFields(bytes);
  const score = fields.get(2)?.bytes;
  const type = TYPES.get(integer(fields, 3, 1));
  if (type === undefined) throw new RangeError("it has a piece of an unknown type");
  const text = new TextDecoder("utf-8", { ignoreBOM: true })
    .decode(fields.get(1)?.bytes ?? new Uint8Array(0));
  return {
    text,
    score: score?.length === 4
      ? new DataView(score.buffer, score.byteOffset).getFloat32(0, true)
      : 0,
    type,
  };
}

/** The last of each number, as protocol buffers have it. */
function lastFields(message: Uint8Array): Map<number, ProtobufField> {
  return new Map([...protobufFields(message)].map((field) => [field.number, field]));
}

/** Negative numbers are written as of 64 bits, whose upper half says nothing. */
function integer(
  fields: ReadonlyMap<number, ProtobufField>,
  number: number,
  fallback: number,
): number {
  const field = fields.get(number);
  return field === undefined ? fallback : field.integer >= 2 ** 63 ? -1 : field.integer;
}

/** The id that the model names, if that is a mark, or else of the mark of this name; -1: none. */
function idOf(pieces: readonly SentencePiece[], named: number, text: string): number {
  return pieces[named]?.type === "control"
    ? named
    : pieces.findIndex((piece) => piece.text === text && piece.type === "control");
}

function unknownOf(pieces: readonly SentencePiece[]): number {
  const id = pieces.findIndex(({ type }) => type === "unknown");
  if (id < 0) throw new RangeError("it has no piece for what is unknown");
  return id;
}

function fail(path: string, reason: string): MdmError {
  return new MdmError(`Cannot load "${path}": ${reason}. Get the file again.`);
}
