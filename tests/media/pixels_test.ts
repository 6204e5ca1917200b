import assert from "../assert.ts";
import { MdmError } from "../../src/errors.ts";
import { toPicture } from "../../src/media/pixels.ts";

Deno.test("toPicture() maps [-1, 1] to bytes, clamps, and passes over the fourth channel", () => {
  const values = Float32Array.of(-1, 0, 1, NaN, -3, 7, Infinity, NaN);
  const { width, height, data } = toPicture(values, 2, 1);
  assert.deepEqual([width, height], [2, 1]);
  // 0 becomes 127.5, which plus a half is cut to 128.
  assert.deepEqual(data, Uint8Array.of(0, 128, 255, 255, 0, 255, 255, 255));
});

Deno.test("toPicture() rounds as torchvision does, in float32", () => {
  // Recorded from (x * 0.5 + 0.5) * 255 + 0.5, clipped and cast to uint8, in NumPy's float32. In
  // float64 the first five, which lie just below a step, would be one less.
  const values = Float32Array.of(
    -0.99607843,
    0.13333328,
    0.9960784,
    0.015686214,
    0.9568626,
    -0.00394,
    0.5,
    -0.9962,
  );
  const { data } = toPicture(values, 8, 1, 1);
  const grey = data.filter((_, i) => i % 4 === 0);
  assert.deepEqual(grey, Uint8Array.of(1, 145, 255, 130, 250, 127, 191, 0));
});

Deno.test("toPicture() gives back every byte", () => {
  const values = Float32Array.from({ length: 256 }, (_, i) => i / 127.5 - 1);
  const { data } = toPicture(values, 16, 16, 1);
  for (let i = 0; i < 256; i++) assert.deepEqual([...data.slice(4 * i, 4 * i + 4)], [i, i, i, 255]);
});

Deno.test("toPicture() takes three channels a pixel", () => {
  const { data } = toPicture(Float32Array.of(-1, 1, -1, 1, -1, 1), 1, 2, 3);
  assert.deepEqual(data, Uint8Array.of(0, 255, 0, 255, 255, 0, 255, 255));
});

Deno.test("toPicture() refuses what is not a number, and a wrong size", () => {
  assert.throws(() => toPicture(Float32Array.of(0, NaN, 0, 0), 1, 1), MdmError);
  assert.throws(() => toPicture(new Float32Array(5), 1, 1), RangeError);
  assert.throws(() => toPicture(new Float32Array(2), 1, 1, 2), RangeError);
});
