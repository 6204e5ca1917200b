import { Buffer } from "node:buffer";
import type { EventEmitter } from "node:events";
import process from "node:process";
import { MdmError } from "../errors.ts";
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
    return complete(mp4);
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
  const { default: encoder } = await import("h264-mp4-encoder");
  for (const [i, event] of events.entries()) {
    const added = emitter.listeners(event).filter((listener) => !before[i]!.has(listener));
    for (const listener of added) emitter.off(event, listener as () => void);
  }
  return encoder;
}

/** Boxes within each other, down to what describes the pictures (ISO/IEC 14496-12). */
const DESCRIPTION = ["moov", "trak", "mdia", "minf", "stbl", "stsd", "avc1"];
const SIZE_AND_TYPE = 8;
/** In "stsd", version and count come before the boxes. */
const VERSION_AND_COUNT = 8;
/** Boxes with the times of creation and of change, 4 bytes each, after version and flags. */
const TIMED: ReadonlySet<string> = new Set(["mvhd", "tkhd", "mdhd"]);

/** A "colr" box: sRGB's primaries and curve, BT.601's matrix (ITU-T H.273), the limited range. */
const COLOUR = Buffer.from("\0\0\0\x13colrnclx\0\x01\0\x0d\0\x06\0", "latin1");

/**
 * Completes what the encoder wrote: takes the times out, so that the same frames give the same
 * bytes, and adds how colours were stored, which players would guess by the size.
 */
function complete(mp4: Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes = Buffer.from(mp4);
  let [at, end] = [0, bytes.length];
  for (const wanted of DESCRIPTION) {
    let found: number | undefined;
    for (; at < end; at += bytes.readUInt32BE(at)) {
      const type = bytes.toString("latin1", at + 4, at + SIZE_AND_TYPE);
      if (TIMED.has(type)) bytes.fill(0, at + 12, at + 20);
      if (type === wanted) found = at;
    }
    if (found === undefined) throw new Error(`The encoder wrote an MP4 without "${wanted}"`);
    const size = bytes.readUInt32BE(found);
    bytes.writeUInt32BE(size + COLOUR.length, found);
    at = found + SIZE_AND_TYPE + (wanted === "stsd" ? VERSION_AND_COUNT : 0);
    end = found + size;
  }
  // Nothing points behind this place: the pictures' data comes first.
  return new Uint8Array(Buffer.concat([bytes.subarray(0, end), COLOUR, bytes.subarray(end)]));
}
