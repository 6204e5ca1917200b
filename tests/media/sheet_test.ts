import assert from "node:assert/strict";
import type { Picture } from "../../src/media/picture.ts";
import { contactSheet } from "../../src/media/sheet.ts";

function plain(grey: number, width = 1, height = 1): Picture {
  return { width, height, data: new Uint8Array(width * height * 4).fill(grey) };
}

function greys({ width, data }: Picture): number[][] {
  const grey = [...data.filter((_, i) => i % 4 === 0)];
  return Array.from(
    { length: grey.length / width },
    (_, y) => grey.slice(y * width, (y + 1) * width),
  );
}

Deno.test("contactSheet() lays pictures out in rows on white", () => {
  const sheet = contactSheet([plain(1), plain(2), plain(3)], 2);
  assert.deepEqual([sheet.width, sheet.height], [4, 4]);
  assert.deepEqual(greys(sheet), [
    [1, 255, 255, 2],
    [255, 255, 255, 255],
    [255, 255, 255, 255],
    [3, 255, 255, 255],
  ]);
});

Deno.test("contactSheet() keeps rows together and is no wider than its pictures", () => {
  const sheet = contactSheet([plain(1, 2, 2), plain(2, 2, 2)], 9);
  assert.deepEqual(greys(sheet), [[1, 1, 255, 255, 2, 2], [1, 1, 255, 255, 2, 2]]);
});

Deno.test("contactSheet() refuses no pictures, no columns and mixed sizes", () => {
  assert.throws(() => contactSheet([], 1), RangeError);
  assert.throws(() => contactSheet([plain(1)], 0), RangeError);
  assert.throws(() => contactSheet([plain(1), plain(1, 2)], 2), RangeError);
});
