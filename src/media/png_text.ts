import { Buffer } from "node:buffer";
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
 * @throws {RangeError} when a keyword is not allowed
 */
export function withText(png: Uint8Array, texts: Record<string, string>): Uint8Array<ArrayBuffer> {
  checkSignature(png);
  const added = Object.entries(texts).map(([keyword, text]) => textChunk(keyword, text));
  return new Uint8Array(
    Buffer.concat([png.subarray(0, AFTER_HEADER), ...added, png.subarray(AFTER_HEADER)]),
  );
}

/**
 * Reads the texts in a PNG by their keywords, from tEXt and iTXt chunks. Compressed texts are
 * passed over: mdm writes none, and a small one may expand to any size.
 *
 * @throws {MdmError} when the bytes are not a whole PNG
 */
export function readText(png: Uint8Array): Record<string, string> {
  const texts = new Map<string, string>();
  let bytes = 0;
  for (const { type, data } of chunks(png)) {
    if (type !== "tEXt" && type !== "iTXt") continue;
    bytes += data.length;
    if (bytes > MAX_TEXT_BYTES) {
      throw new MdmError("Cannot read the PNG's text: there is too much. Give a picture by mdm.");
    }
    const entry = type === "tEXt" ? parseLatin(data) : parseInternational(data);
    if (entry) texts.set(...entry);
  }
  // Unlike assignment, this also keeps the keyword "__proto__".
  return Object.fromEntries(texts);
}

function textChunk(keyword: string, text: string): Uint8Array {
  if (!/^(?! )[ -~]{1,79}(?<! )$/.test(keyword)) {
    throw new RangeError(`A PNG cannot hold text under the keyword ${JSON.stringify(keyword)}`);
  }
  // After the keyword's end: not compressed, method 0, no language tag, no translated keyword.
  return chunk("iTXt", Buffer.from(`${keyword}\0\0\0\0\0${text}`));
}

function parseLatin(data: Uint8Array): [string, string] | undefined {
  const end = data.indexOf(0);
  return end < 0 ? undefined : [latin(data.subarray(0, end)), latin(data.subarray(end + 1))];
}

function parseInternational(data: Uint8Array): [string, string] | undefined {
  const keywordEnd = data.indexOf(0);
  const languageEnd = data.indexOf(0, keywordEnd + 3);
  const translatedEnd = data.indexOf(0, languageEnd + 1);
  const whole = keywordEnd >= 0 && languageEnd >= 0 && translatedEnd >= 0;
  const compressed = data[keywordEnd + 1] !== 0;
  if (!whole || compressed) return undefined;
  const text = Buffer.from(data.subarray(translatedEnd + 1)).toString("utf8");
  return [latin(data.subarray(0, keywordEnd)), text];
}

/** Not TextDecoder: its "latin1" is Windows-1252. */
function latin(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("latin1");
}
