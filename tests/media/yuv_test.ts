import assert from "../assert.ts";
import { evenSize, toYuv420 } from "../../src/media/yuv.ts";
import { plain } from "./frames.ts";

Deno.test("toYuv420() gives the colour bars' values of BT.601", () => {
  const bars: [number[], number[]][] = [
    [[0, 0, 0], [16, 128, 128]],
    [[255, 255, 255], [235, 128, 128]],
    [[255, 0, 0], [81, 90, 240]],
    [[0, 255, 0], [145, 54, 34]],
    [[0, 0, 255], [41, 240, 110]],
    [[128, 128, 128], [126, 128, 128]],
  ];
  for (const [rgb, [y, blue, red]] of bars) {
    const expected = [...Array(8).fill(y), blue, blue, red, red];
    assert.deepEqual([...toYuv420(plain(4, 2, rgb))], expected, String(rgb));
  }
});

Deno.test("toYuv420() averages the colour of four pixels and keeps the brightness of each", () => {
  const data = Uint8Array.of(
    ...[255, 0, 0, 255],
    ...[0, 0, 255, 255],
    ...[0, 0, 255, 255],
    ...[0, 0, 255, 255],
  );
  const blueMean = Math.round((90.203 + 3 * 240) / 4);
  const redMean = Math.round((240 + 3 * 109.786) / 4);
  assert.deepEqual(
    [...toYuv420({ width: 2, height: 2, data })],
    [81, 41, 41, 41, blueMean, redMean],
  );
});

Deno.test("toYuv420() repeats the last row and column where a side is odd", () => {
  const grey = (value: number) => [value, value, value, 255];
  const data = Uint8Array.of(
    ...[...grey(0), ...grey(51), ...grey(102)],
    ...[...grey(153), ...grey(204), ...grey(255)],
    ...[...grey(255), ...grey(102), ...grey(0)],
  );
  const picture = { width: 3, height: 3, data };
  assert.deepEqual(evenSize(picture), [4, 4]);
  const luma = [
    ...[16, 60, 104, 104],
    ...[147, 191, 235, 235],
    ...[235, 104, 16, 16],
    ...[235, 104, 16, 16],
  ];
  assert.deepEqual([...toYuv420(picture)], [...luma, ...Array(8).fill(128)]);
  assert.deepEqual(evenSize(plain(6, 2, [0, 0, 0])), [6, 2]);
});
