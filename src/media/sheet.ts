import type { Picture } from "./picture.ts";

/** White pixels between neighbours. */
const GAP = 2;

/**
 * Lays pictures of one size out in rows, left to right, on white.
 *
 * @throws {RangeError} when there is no picture, or their sizes differ
 */
export function contactSheet(pictures: readonly Picture[], columns: number): Picture {
  const [first] = pictures;
  if (!first || !(columns >= 1)) throw new RangeError("A sheet needs a picture and a column");
  if (pictures.some((p) => p.width !== first.width || p.height !== first.height)) {
    throw new RangeError("The pictures of a sheet must have one size");
  }
  const across = Math.min(columns, pictures.length);
  const down = Math.ceil(pictures.length / across);
  const width = across * (first.width + GAP) - GAP;
  const height = down * (first.height + GAP) - GAP;
  const data = new Uint8Array(width * height * 4).fill(255);
  pictures.forEach((picture, i) => {
    const left = (i % across) * (first.width + GAP);
    const top = Math.floor(i / across) * (first.height + GAP);
    for (let y = 0; y < first.height; y++) {
      const row = picture.data.subarray(y * first.width * 4, (y + 1) * first.width * 4);
      data.set(row, ((top + y) * width + left) * 4);
    }
  });
  return { width, height, data };
}
