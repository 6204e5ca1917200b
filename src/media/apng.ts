import { Buffer } from "node:buffer";
import { chunk, chunks, SIGNATURE } from "./png_chunks.ts";
import { withText } from "./png_text.ts";

/**
 * Joins PNGs to an animated one that repeats for ever (PNG specification, third edition, 11.3.4).
 * Their compressed pixels are taken over as they are.
 *
 * @param pngs whole PNGs, at least one, with the same header
 * @param texts stored as by {@linkcode withText}
 * @throws {RangeError} when the headers differ
 */
export function joinPngs(
  pngs: readonly Uint8Array[],
  fps: number,
  texts: Record<string, string> = {},
): Uint8Array<ArrayBuffer> {
  const frames = pngs.map((png) => [...chunks(png)]);
  const header = frames[0]![0]!.data;
  let sequence = 0;
  const frameChunks = frames.flatMap((parts, frame) => {
    if (Buffer.compare(parts[0]!.data, header) !== 0) throw new RangeError("The headers differ");
    const control = chunk("fcTL", frameControl(sequence++, header, fps));
    const pixels = parts.filter(({ type }) => type === "IDAT");
    // The first frame is also the picture for programs that do not know animated PNGs.
    return [
      control,
      ...pixels.map(({ data }) =>
        frame === 0
          ? chunk("IDAT", data)
          : chunk("fdAT", Buffer.concat([uint32s(sequence++), data]))
      ),
    ];
  });
  const forEver = 0;
  const png = Buffer.concat([
    SIGNATURE,
    chunk("IHDR", header),
    chunk("acTL", uint32s(pngs.length, forEver)),
    ...frameChunks,
    chunk("IEND", Buffer.alloc(0)),
  ]);
  return withText(png, texts);
}

/** A frame that covers the whole picture for 1/fps seconds, in place of the one before. */
function frameControl(sequence: number, header: Uint8Array, fps: number): Uint8Array {
  const size = header.subarray(0, 8);
  const offset = uint32s(0, 0);
  const delay = Uint8Array.of(0, 1, 0, fps);
  const disposeNone = 0;
  const blendSource = 0;
  return Buffer.concat([
    uint32s(sequence),
    size,
    offset,
    delay,
    Uint8Array.of(disposeNone, blendSource),
  ]);
}

function uint32s(...values: number[]): Buffer<ArrayBuffer> {
  const bytes = Buffer.alloc(4 * values.length);
  values.forEach((value, i) => bytes.writeUInt32BE(value, 4 * i));
  return bytes;
}
