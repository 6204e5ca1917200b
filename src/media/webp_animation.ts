import { Buffer } from "node:buffer";

/** Chunks of a still WebP that an animation's frame takes over: transparency and pixels. */
const FRAME_CHUNKS: ReadonlySet<string> = new Set(["ALPH", "VP8 ", "VP8L"]);
const CHUNK_HEADER = 8;
/** "RIFF", the size of the rest, "WEBP". */
const FILE_HEADER = 12;

const HAS_ANIMATION = 0x02;
const HAS_ALPHA = 0x10;
/** The frame is put in the place of the one before, not over it. */
const NO_BLENDING = 0x02;

/**
 * Joins WebPs to an animated one that repeats for ever (RFC 9649, 2.7). Their compressed pixels are
 * taken over as they are.
 *
 * @param webps whole still WebPs, at least one, all of the size given
 * @param delays milliseconds for each
 */
export function joinWebps(
  webps: readonly Uint8Array[],
  { width, height }: { readonly width: number; readonly height: number },
  delays: readonly number[],
): Uint8Array<ArrayBuffer> {
  const frames = webps.map((webp) => [...frameChunks(webp)]);
  // The flag is a hint: lossless pixels keep their transparency in themselves.
  const hasAlpha = frames.flat().some(({ type }) => type !== "VP8 ");
  const flags = HAS_ANIMATION | (hasAlpha ? HAS_ALPHA : 0);
  const size = Buffer.concat([uint24(width - 1), uint24(height - 1)]);
  const transparentBackground = [0, 0, 0, 0];
  const forEver = [0, 0];
  const body = Buffer.concat([
    Buffer.from("WEBP"),
    chunk("VP8X", Buffer.concat([Uint8Array.of(flags, 0, 0, 0), size])),
    chunk("ANIM", Uint8Array.of(...transparentBackground, ...forEver)),
    ...frames.map((parts, i) =>
      chunk(
        "ANMF",
        Buffer.concat([
          uint24(0),
          uint24(0),
          size,
          uint24(delays[i]!),
          Uint8Array.of(NO_BLENDING),
          ...parts.map(({ bytes }) => bytes),
        ]),
      )
    ),
  ]);
  return new Uint8Array(chunk("RIFF", body));
}

/** The chunks with a frame's pixels, each with its header and padding. */
function* frameChunks(webp: Uint8Array): Generator<{ type: string; bytes: Uint8Array }> {
  const file = Buffer.from(webp.buffer, webp.byteOffset, webp.byteLength);
  for (let at = FILE_HEADER; at < file.length;) {
    const type = file.toString("latin1", at, at + 4);
    const length = file.readUInt32LE(at + 4);
    const end = at + CHUNK_HEADER + length + length % 2;
    if (FRAME_CHUNKS.has(type)) yield { type, bytes: file.subarray(at, end) };
    at = end;
  }
}

/** RIFF chunks have an even length; the size in the header leaves the padding out. */
function chunk(type: string, data: Uint8Array): Buffer<ArrayBuffer> {
  const bytes = Buffer.alloc(CHUNK_HEADER + data.length + data.length % 2);
  bytes.write(type, 0, "latin1");
  bytes.writeUInt32LE(data.length, 4);
  bytes.set(data, CHUNK_HEADER);
  return bytes;
}

function uint24(value: number): Uint8Array {
  return Uint8Array.of(value, value >> 8, value >> 16);
}
