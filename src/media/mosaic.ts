import type { Picture } from "./picture.ts";

/**
 * Cuts a mosaic of `grid` x `grid` frames, row by row, into the frames. A picture is a mosaic of one.
 *
 * @throws {RangeError} when the sides of the picture are no multiples of `grid`
 */
export function framesOf(picture: Picture, grid: number): Picture[] {
  if (grid === 1) return [picture];
  const [width, height] = [picture.width / grid, picture.height / grid];
  if (!Number.isInteger(width) || !Number.isInteger(height)) {
    throw new RangeError(`${picture.width}x${picture.height} are not ${grid}x${grid} frames`);
  }
  return Array.from({ length: grid * grid }, (_, frame) => {
    const left = (frame % grid) * width;
    const top = Math.floor(frame / grid) * height;
    const data = new Uint8Array(width * height * 4);
    for (let y = 0; y < height; y++) {
      const from = ((top + y) * picture.width + left) * 4;
      data.set(picture.data.subarray(from, from + width * 4), y * width * 4);
    }
    return { width, height, data };
  });
}
