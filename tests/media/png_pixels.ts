import { inflateSync } from "node:zlib";
import type { Picture } from "../../src/media/picture.ts";

/** Bytes a pixel, by the header's bit depth and colour type: RGB and RGBA. */
const CHANNELS = new Map([[0x0802, 3], [0x0806, 4]]);

/** The pixels of a PNG that is not interlaced, in eight bits RGB or RGBA: what Deno writes. */
export function readPng(png: Uint8Array<ArrayBuffer>): Picture {
  const view = new DataView(png.buffer, png.byteOffset, png.byteLength);
  const [width, height] = [view.getUint32(16), view.getUint32(20)];
  const channels = CHANNELS.get(view.getUint16(24));
  if (!channels || view.getUint8(28) !== 0) throw new Error("Not a PNG of this kind");
  const packed: number[] = [];
  for (let at = 8; at < png.length; at += view.getUint32(at) + 12) {
    const isData = String.fromCharCode(...png.subarray(at + 4, at + 8)) === "IDAT";
    if (isData) packed.push(...png.subarray(at + 8, at + 8 + view.getUint32(at)));
  }
  const values = unfilter(inflateSync(Uint8Array.from(packed)), width, height, channels);
  const data = new Uint8Array(width * height * 4).fill(255);
  values.forEach((value, i) => data[4 * Math.floor(i / channels) + i % channels] = value);
  return { width, height, data };
}

/** Undoes the filter of each row, which its first byte names (PNG specification, section 9). */
function unfilter(rows: Uint8Array, width: number, height: number, channels: number): Uint8Array {
  const stride = width * channels;
  const values = new Uint8Array(stride * height);
  for (let y = 0; y < height; y++) {
    const filter = rows[y * (stride + 1)]!;
    for (let x = 0; x < stride; x++) {
      const at = y * stride + x;
      const left = x < channels ? 0 : values[at - channels]!;
      const above = y === 0 ? 0 : values[at - stride]!;
      const corner = x < channels || y === 0 ? 0 : values[at - stride - channels]!;
      const guesses = [0, left, above, (left + above) >> 1, paeth(left, above, corner)];
      values[at] = rows[y * (stride + 1) + 1 + x]! + guesses[filter]!;
    }
  }
  return values;
}

function paeth(left: number, above: number, corner: number): number {
  const guess = left + above - corner;
  const [a, b, c] = [left, above, corner].map((value) => Math.abs(guess - value));
  return a! <= b! && a! <= c! ? left : b! <= c! ? above : corner;
}
