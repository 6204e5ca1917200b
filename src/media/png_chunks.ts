import { Buffer } from "node:buffer";
import { crc32 } from "node:zlib";
import { MdmError } from "../errors.ts";

/** The first bytes of every PNG. */
export const SIGNATURE = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a);
/** Every chunk has its data's length and its type before the data, and a checksum after it. */
export const LENGTH_AND_TYPE = 8;
/** Bytes. */
export const CHECKSUM = 4;

/** A part of a PNG (PNG specification, 5.3). */
export interface Chunk {
  readonly type: string;
  readonly data: Uint8Array;
}

/**
 * Writes a chunk: its data between length and type, and checksum.
 *
 * @param type four ASCII letters
 */
export function chunk(type: string, data: Uint8Array): Buffer<ArrayBuffer> {
  const bytes = Buffer.alloc(LENGTH_AND_TYPE + data.length + CHECKSUM);
  bytes.writeUInt32BE(data.length);
  bytes.write(type, 4, "latin1");
  bytes.set(data, LENGTH_AND_TYPE);
  bytes.writeUInt32BE(crc32(bytes.subarray(4, -CHECKSUM)), bytes.length - CHECKSUM);
  return bytes;
}

/**
 * Goes through the chunks of a PNG, to its end chunk.
 *
 * @throws {MdmError} when the bytes are not a whole PNG
 */
export function* chunks(png: Uint8Array): Generator<Chunk> {
  checkSignature(png);
  const view = new DataView(png.buffer, png.byteOffset, png.byteLength);
  let at = SIGNATURE.length;
  for (let type = ""; type !== "IEND";) {
    const body = at + LENGTH_AND_TYPE;
    const end = body + (body <= png.length ? view.getUint32(at) : 0);
    if (end + CHECKSUM > png.length) {
      throw new MdmError("Cannot read the PNG: it is cut short. Copy or download it again.");
    }
    if (crc32(png.subarray(at + 4, end)) !== view.getUint32(end)) {
      throw new MdmError("Cannot read the PNG: it is damaged. Copy or download it again.");
    }
    type = Buffer.from(png.subarray(at + 4, body)).toString("latin1");
    yield { type, data: png.subarray(body, end) };
    at = end + CHECKSUM;
  }
}

/** Whether bytes begin as a PNG does. */
export function isPng(bytes: Uint8Array): boolean {
  return SIGNATURE.every((byte, i) => bytes[i] === byte);
}

/** @throws {MdmError} when the bytes do not begin as a PNG does */
export function checkSignature(png: Uint8Array): void {
  if (!isPng(png)) {
    throw new MdmError("Cannot read the picture: it is not a PNG. Give a PNG made by mdm.");
  }
}
