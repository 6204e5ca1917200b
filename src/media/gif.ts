import { MdmError } from "../errors.ts";
import type { Picture } from "./picture.ts";

/** The format stores a side in 16 bits. */
const LARGEST_SIDE = 65535;
const COLOURS = 256;

/** Time grows with their square: 0.1 seconds for so many. */
const MOST_BINS = 4096;

/** How finely colours are told apart before they are clustered: bits of red, green and blue. */
type Bins = "rgb565" | "rgb444";
type Palette = readonly (readonly number[])[];

/** What is used of gifenc, which has no types. */
interface Gifenc {
  /** Clusters the colours of RGBA pixels to at most so many. */
  quantize(rgba: Uint8Array, colours: number, options: { format: Bins }): Palette;
  /** The nearest colour for each pixel, decided for all pixels that agree in their upper bits. */
  applyPalette(rgba: Uint8Array, palette: Palette): Uint8Array;
  GIFEncoder(): {
    /** @param options `delay` in milliseconds */
    writeFrame(
      indices: Uint8Array,
      width: number,
      height: number,
      options: { palette: Palette; delay: number },
    ): void;
    finish(): void;
    bytes(): Uint8Array<ArrayBuffer>;
  };
}

/**
 * Encodes a GIF that repeats for ever; every frame has its own 256 colours, and no transparency.
 *
 * @param frames at least one, all of one size
 * @param delays hundredths of a second for each
 * @throws {MdmError} when the frames are larger than the format can be
 */
export async function encodeGif(
  frames: readonly Picture[],
  delays: readonly number[],
): Promise<Uint8Array<ArrayBuffer>> {
  const { default: gifenc }: { default: Gifenc } = await import("../deps/gifenc.ts");
  const encoder = gifenc.GIFEncoder();
  for (const [i, { width, height, data }] of frames.entries()) {
    if (Math.max(width, height) > LARGEST_SIDE) {
      throw new MdmError(
        `Cannot write a GIF of ${width}x${height} pixels: ` +
          `its sides end at ${LARGEST_SIDE}. Write a .png.`,
      );
    }
    // A copy, for gifenc reads the whole buffer under a view.
    const rgba = new Uint8Array(data);
    const palette = gifenc.quantize(rgba, COLOURS, { format: binsOf(rgba) });
    const indices = gifenc.applyPalette(rgba, palette);
    encoder.writeFrame(indices, width, height, { palette, delay: delays[i]! * 10 });
  }
  encoder.finish();
  return encoder.bytes();
}

/** The finer bins, unless so many are in use that nothing is gained and seconds a frame are lost. */
function binsOf(rgba: Uint8Array): Bins {
  const used = new Set<number>();
  for (let i = 0; i < rgba.length; i += 4) {
    used.add(rgba[i]! >> 3 << 11 | rgba[i + 1]! >> 2 << 5 | rgba[i + 2]! >> 3);
  }
  return used.size <= MOST_BINS ? "rgb565" : "rgb444";
}
