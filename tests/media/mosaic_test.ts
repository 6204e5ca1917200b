import assert from "../assert.ts";
import { framesOf } from "../../src/media/mosaic.ts";

Deno.test("framesOf() cuts row by row", () => {
  // 6x4 pixels, each with its number in red: 2x2 frames of 3x2.
  const data = new Uint8Array(6 * 4 * 4);
  for (let i = 0; i < 24; i++) data.set([i, 100, 200, 255], 4 * i);
  const frames = framesOf({ width: 6, height: 4, data }, 2);
  assert.deepEqual(frames.map(({ width, height }) => [width, height]), Array(4).fill([3, 2]));
  const reds = frames.map((frame) => [...frame.data].filter((_, i) => i % 4 === 0));
  assert.deepEqual(reds, [
    [0, 1, 2, 6, 7, 8],
    [3, 4, 5, 9, 10, 11],
    [12, 13, 14, 18, 19, 20],
    [15, 16, 17, 21, 22, 23],
  ]);
  assert.deepEqual([...frames[3]!.data.subarray(0, 4)], [15, 100, 200, 255]);
});

Deno.test("framesOf() leaves a picture as it is, and cuts no frame in two", () => {
  const picture = { width: 3, height: 4, data: new Uint8Array(48) };
  assert.equal(framesOf(picture, 1)[0], picture);
  assert.throws(() => framesOf(picture, 2), new RangeError("3x4 are not 2x2 frames"));
});
