import { MdmError } from "../errors.ts";
import type { Picture } from "./picture.ts";

/** The format stores a side in 16 bits. */
const LARGEST_SIDE = 65535;
const COLOURS = 256;

type Palette = readonly (readonly number[])[];

/** What is used of gifenc, which has no types. */
interface Gifenc {
  /** Clusters the colours of RGBA pixels to at most so many. */
  quantize(rgba: Uint8Array, colours: number, options: { format: "rgb444" }): Palette;
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
  const { default: gifenc }: { default: Gifenc } = await import("gifenc");
  const encoder = gifenc.GIFEncoder();
  for (const [i, { width, height, data }] of frames.entries()) {
    if (Math.max(width, height) > LARGEST_SIDE) {
      throw new MdmError(
        `Cannot write a GIF of ${width}x${height} pixels: ` +
          `its sides end at ${LARGEST_SIDE}. Write a .png.`,
      );
    }
    // A copy, for gifenc reads the whole buffer under a view.
    const rgba = data.slice();
    // 4 bits a channel to begin with: as near as 5 or 6 where colours are many, in a fiftieth of the
    // time, which for noise of 256x256 pixels is 10 seconds a frame.
    const palette = gifenc.quantize(rgba, COLOURS, { format: "rgb444" });
    const indices = gifenc.applyPalette(rgba, palette);
    encoder.writeFrame(indices, width, height, { palette, delay: delays[i]! * 10 });
  }
  encoder.finish();
  return encoder.bytes();
}
