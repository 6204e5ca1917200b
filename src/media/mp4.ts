import { Buffer } from "node:buffer";
import type { EventEmitter } from "node:events";
import process from "node:process";
import { MdmError } from "../errors.ts";
import { findBox } from "./mp4_boxes.ts";
import type { Picture } from "./picture.ts";
import { evenSize, toYuv420 } from "./yuv.ts";

/** Players, above all those in hardware, take no more. */
const LARGEST_SIDE = 4096;

/** Of 10 (best) to 51: about 50 dB, at the size of GIF or less. */
const QUANTIZER = 14;

/** The file is encoded into memory, under this name. */
const FILE = "video.mp4";

/**
 * Encodes H.264 (Baseline) in an MP4.
 *
 * A side of an odd length grows by a pixel: {@linkcode toYuv420}.
 *
 * @param frames at least one, all of one size
 * @param fps a whole number: the encoder cuts others
 * @throws {MdmError} when the frames are larger than players can take
 */
export async function encodeMp4(
  frames: readonly Picture[],
  fps: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const [width, height] = evenSize(frames[0]!);
  if (Math.max(width, height) > LARGEST_SIDE) {
    throw new MdmError(
      `Cannot write an MP4 of ${width}x${height} pixels: ` +
        `its sides end at ${LARGEST_SIDE}. Write a .webp or .png.`,
    );
  }
  const { createH264MP4Encoder } = await loadEncoder();
  const encoder = await createH264MP4Encoder();
  try {
    encoder.outputFilename = FILE;
    encoder.width = width;
    encoder.height = height;
    encoder.frameRate = fps;
    encoder.quantizationParameter = QUANTIZER;
    encoder.initialize();
    for (const frame of frames) encoder.addFrameYuv(toYuv420(frame));
    encoder.finalize();
    const mp4 = encoder.FS.readFile(FILE);
    encoder.FS.unlink(FILE);
    const bytes = Buffer.from(mp4);
    clearTimes(bytes);
    return new Uint8Array(indexFirst(describeColour(bytes)));
  } finally {
    encoder.delete();
  }
}

/**
 * Loads the encoder, and takes back the handlers by which its module would turn every error that
 * the process does not handle into its own.
 */
async function loadEncoder() {
  const emitter: EventEmitter = process;
  const events = ["uncaughtException", "unhandledRejection"];
  const before = events.map((event) => new Set(emitter.listeners(event)));
  const { default: encoder } = await import("../deps/h264_mp4_encoder.ts");
  for (const [i, event] of events.entries()) {
    const added = emitter.listeners(event).filter((listener) => !before[i]!.has(listener));
    for (const listener of added) emitter.off(event, listener as () => void);
  }
  return encoder;
}

/** Boxes with the times of creation and of change, 4 bytes each. */
const TIMED = ["moov/mvhd", "moov/trak/tkhd", "moov/trak/mdia/mdhd"];

/** What describes the pictures, and the boxes around it. */
const DESCRIPTION = ["moov", "trak", "mdia", "minf", "stbl", "stsd", "avc1"];

/** Where in the file pieces of the pictures' data are: their count, then 4 bytes each. */
const PLACES = "moov/trak/mdia/minf/stbl/stco";

/** Size, type, version and flags. */
const FULL_HEADER = 12;

/** A "colr" box: sRGB's primaries and curve, BT.601's matrix (ITU-T H.273), the limited range. */
const COLOUR = Buffer.from("\0\0\0\x13colrnclx\0\x01\0\x0d\0\x06\0", "latin1");

/** Takes the times out, so that the same frames give the same bytes. */
function clearTimes(mp4: Buffer): void {
  for (const path of TIMED) {
    const { start } = findBox(mp4, path);
    mp4.fill(0, start + FULL_HEADER, start + FULL_HEADER + 8);
  }
}

/** Adds how colours were stored, which players would guess by the size. */
function describeColour(mp4: Buffer): Buffer {
  const around = DESCRIPTION.map((_, depth) =>
    findBox(mp4, DESCRIPTION.slice(0, depth + 1).join("/"))
  );
  for (const { start } of around) {
    mp4.writeUInt32BE(mp4.readUInt32BE(start) + COLOUR.length, start);
  }
  // Nothing points behind this place: the pictures' data comes first.
  const { end } = around.at(-1)!;
  return Buffer.concat([mp4.subarray(0, end), COLOUR, mp4.subarray(end)]);
}

/**
 * Puts the index before the pictures' data, so that players can begin before they have all of it,
 * and leaves out the room that the encoder kept free.
 */
function indexFirst(mp4: Buffer): Buffer {
  const data = findBox(mp4, "mdat");
  const parts = [findBox(mp4, "ftyp"), findBox(mp4, "moov"), data];
  const before = parts.slice(0, 2).reduce((sum, { start, end }) => sum + end - start, 0);
  let at = findBox(mp4, PLACES).start + FULL_HEADER;
  for (let left = mp4.readUInt32BE(at); left > 0; left--) {
    at += 4;
    mp4.writeUInt32BE(mp4.readUInt32BE(at) + before - data.start, at);
  }
  return Buffer.concat(parts.map(({ start, end }) => mp4.subarray(start, end)));
}
