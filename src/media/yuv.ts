import type { Picture } from "./picture.ts";

/**
 * Turns a picture into what video encoders take: brightness, then blue and red difference at half
 * the resolution, in the limited range (ITU-R BT.601, 8 bits). Transparency is left out; a side of
 * an odd length grows by repeating its last row or column.
 *
 * @returns planes Y, Cb and Cr, one after the other: `width * height * 3 / 2` bytes of the even size
 */
export function toYuv420(picture: Picture): Uint8Array {
  const [width, height] = evenSize(picture);
  const pixels = width * height;
  const planes = new Uint8Array(pixels * 3 / 2);
  for (let y = 0, block = pixels; y < height; y += 2) {
    for (let x = 0; x < width; x += 2, block++) {
      let [blue, red] = [0, 0];
      for (const [dx, dy] of BLOCK) {
        const [r, g, b] = pixelAt(picture, x + dx, y + dy);
        planes[(y + dy) * width + x + dx] = Math.round(
          16 + (65.481 * r + 128.553 * g + 24.966 * b) / 255,
        );
        blue += (-37.797 * r - 74.203 * g + 112 * b) / 255;
        red += (112 * r - 93.786 * g - 18.214 * b) / 255;
      }
      planes[block] = Math.round(128 + blue / 4);
      planes[block + pixels / 4] = Math.round(128 + red / 4);
    }
  }
  return planes;
}

/** The size that {@linkcode toYuv420} gives a picture. */
export function evenSize({ width, height }: Picture): [width: number, height: number] {
  return [width + width % 2, height + height % 2];
}

/** The pixels that share one colour. */
const BLOCK = [[0, 0], [1, 0], [0, 1], [1, 1]] as const;

function pixelAt({ width, height, data }: Picture, x: number, y: number) {
  const at = 4 * (Math.min(y, height - 1) * width + Math.min(x, width - 1));
  return [data[at]!, data[at + 1]!, data[at + 2]!] as const;
}
