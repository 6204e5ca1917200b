import type { Picture } from "../../src/media/picture.ts";

/** A small video that no format finds easy: a red disc wanders over blue that grows greener. */
export function wanderingDisc(width: number, height: number, count: number): Picture[] {
  return Array.from({ length: count }, (_, frame) => {
    const data = new Uint8Array(width * height * 4);
    for (let i = 0; i < width * height; i++) {
      const [x, y] = [i % width / width, Math.floor(i / width) / height];
      const isDisc = (x - 0.3 - 0.02 * frame) ** 2 + (y - 0.5) ** 2 < 0.07;
      data.set(isDisc ? [220, 40, 30, 255] : [30, 60 + 80 * y, 200 - 80 * y, 255], 4 * i);
    }
    return { width, height, data };
  });
}

/** A picture of one colour. */
export function plain(width: number, height: number, colour: readonly number[]): Picture {
  const data = new Uint8Array(width * height * 4);
  for (let i = 0; i < width * height; i++) data.set([...colour, 255].slice(0, 4), 4 * i);
  return { width, height, data };
}

/** The difference of two pictures in decibels: 40 is hardly seen. */
export function psnr(a: Picture, b: Picture): number {
  const squares = a.data.reduce((sum, value, i) => sum + (value - b.data[i]!) ** 2, 0);
  // Transparency, the same in both, is not counted.
  return 10 * Math.log10(255 ** 2 * a.width * a.height * 3 / squares);
}
