import { Buffer } from "node:buffer";
import { inflateSync } from "node:zlib";
import { wrongArgument } from "../check_arguments.ts";
import { MAX_DEFLATE_RATIO } from "../deflate.ts";
import { MdmError } from "../errors.ts";
import {
  checkSignature,
  CHECKSUM,
  chunk,
  chunks,
  LENGTH_AND_TYPE,
  SIGNATURE,
} from "./png_chunks.ts";

/** IHDR is always first and always 13 bytes long. */
const AFTER_HEADER = SIGNATURE.length + LENGTH_AND_TYPE + 13 + CHECKSUM;
/** Bytes of text that are decoded from one file: a thousand times what a prompt needs. */
const MAX_TEXT_BYTES = 4 * 1024 * 1024;

/**
 * Adds texts to a PNG as uncompressed iTXt chunks, which hold any language (PNG specification,
 * 11.3.3.4).
 *
 * @param png a whole PNG
 * @param texts each text by its keyword, of 1 to 79 printable ASCII characters
 * @throws {MdmError} when the bytes are not a PNG
 * @throws {UsageError} when a keyword is not allowed
 */
export function withText(png: Uint8Array, texts: Record<string, string>): Uint8Array<ArrayBuffer> {
  checkSignature(png);
  const added = Object.entries(texts).map(([keyword, text]) => textChunk(keyword, text));
  return new Uint8Array(
    Buffer.concat([png.subarray(0, AFTER_HEADER), ...added, png.subarray(AFTER_HEADER)]),
  );
}

/**
 * Reads the texts in a PNG by their keywords, from tEXt, zTXt and iTXt chunks. Mdm compresses none,
 * but other programs do when they write a picture again. What is not as the format has it is left
 * out.
 *
 * @throws {MdmError} when the bytes are not a whole PNG, or texts are too long
 */
export function readText(png: Uint8Array): Record<string, string> {
  const texts = new Map<string, string>();
  let room = MAX_TEXT_BYTES;
  for (const { type, data } of chunks(png)) {
    const text = PARSERS.get(type)?.(data);
    if (text === undefined) continue;
    const bytes = text.compressed ? inflate(text.bytes, room) : text.bytes;
    // Also what is damaged took its time: as if it had become all that it could.
    room -= text.keyword.length + (bytes?.length ?? text.bytes.length * MAX_DEFLATE_RATIO);
    if (room < 0) throw tooLong();
    if (bytes !== null) texts.set(text.keyword, Buffer.from(bytes).toString(text.encoding));
  }
  // Unlike assignment, this also keeps the keyword "__proto__".
  return Object.fromEntries(texts);
}

function tooLong(): MdmError {
  return new MdmError("Cannot read the PNG's text: there is too much. Give a picture by mdm.");
}

/**
 * Null: it is damaged.
 *
 * @throws {MdmError} when it becomes longer than `limit`
 */
function inflate(bytes: Uint8Array, limit: number): Uint8Array | null {
  try {
    return inflateSync(bytes, { maxOutputLength: Math.max(1, limit) });
  } catch (error) {
    if ((error as { code?: unknown }).code === "ERR_BUFFER_TOO_LARGE") throw tooLong();
    return null;
  }
}

function textChunk(keyword: string, text: string): Uint8Array {
  if (!/^(?! )[ -~]{1,79}(?<! )$/.test(keyword)) {
    throw wrongArgument("the keyword", keyword, "1 to 79 letters, digits and signs of ASCII");
  }
  // After the keyword's end: not compressed, method 0, no language tag, no translated keyword.
  return chunk("iTXt", Buffer.from(`${keyword}\0\0\0\0\0${text}`));
}

/** A text as it is stored. */
interface StoredText {
  readonly keyword: string;
  readonly bytes: Uint8Array;
  readonly compressed: boolean;
  readonly encoding: "latin1" | "utf8";
}

/** Undefined: the chunk is not as the format has it. */
type Parser = (data: Uint8Array) => StoredText | undefined;

/** By the type of chunk (PNG specification, 11.3.3). */
const PARSERS: ReadonlyMap<string, Parser> = new Map<string, Parser>([
  ["tEXt", parsePlain],
  ["zTXt", parseCompressed],
  ["iTXt", parseInternational],
]);

/** Keyword, zero, text. */
function parsePlain(data: Uint8Array): StoredText | undefined {
  const end = data.indexOf(0);
  if (end < 0) return undefined;
  const bytes = data.subarray(end + 1);
  return { keyword: keywordOf(data, end), bytes, compressed: false, encoding: "latin1" };
}

/** Keyword, zero, method (0 is the only one), text. */
function parseCompressed(data: Uint8Array): StoredText | undefined {
  const end = data.indexOf(0);
  if (end < 0 || data[end + 1] !== 0) return undefined;
  const bytes = data.subarray(end + 2);
  return { keyword: keywordOf(data, end), bytes, compressed: true, encoding: "latin1" };
}

/** Keyword, zero, whether it is compressed, method, language, zero, translated keyword, zero, text. */
function parseInternational(data: Uint8Array): StoredText | undefined {
  const end = data.indexOf(0);
  const languageEnd = data.indexOf(0, end + 3);
  const translatedEnd = data.indexOf(0, languageEnd + 1);
  if (end < 0 || languageEnd < 0 || translatedEnd < 0) return undefined;
  const compressed = data[end + 1] !== 0;
  if (compressed && data[end + 2] !== 0) return undefined;
  const bytes = data.subarray(translatedEnd + 1);
  return { keyword: keywordOf(data, end), bytes, compressed, encoding: "utf8" };
}

/** Not by TextDecoder, whose "latin1" is Windows-1252. */
function keywordOf(data: Uint8Array, end: number): string {
  return Buffer.from(data.subarray(0, end)).toString("latin1");
}
