import assert from "../../assert.ts";
import { rotary } from "../../../src/graph/operations/rotary.ts";
import { assertAllclose } from "../../allclose.ts";
import * as reference from "../../reference.ts";
import { Bench } from "../run.ts";
import { assertRowsIndependent, numbers } from "./numbers.ts";

// A product and a sum of numbers up to 1, and the rounded sine and cosine.
const tolerance = { absolute: 3e-7 };

interface Case {
  /** Rows, frames, pixels, width. */
  readonly shape: [number, number, number, number];
  readonly headWidth: number;
  readonly rotated: number;
  /** Largest frequency, in radians a frame. */
  readonly scale: number;
}

const cases: Case[] = [
  { shape: [1, 1, 1, 4], headWidth: 4, rotated: 4, scale: 1 },
  { shape: [2, 2, 35, 24], headWidth: 8, rotated: 16, scale: 1 },
  { shape: [2, 7, 3, 192], headWidth: 32, rotated: 128, scale: 1 },
  { shape: [1, 16, 6, 96], headWidth: 32, rotated: 64, scale: 3 },
  // The last vector of a position is padding.
  { shape: [3, 5, 7, 14], headWidth: 4, rotated: 12, scale: 1 },
  { shape: [2, 5, 7, 8], headWidth: 4, rotated: 0, scale: 1 },
  // Angles of many turns: a step of an f32 is 0.03 here, so that it counts where they are rounded.
  { shape: [2, 16, 3, 96], headWidth: 32, rotated: 64, scale: 3e4 },
];

Deno.test("rotary equals the reference", async () => {
  await using bench = await Bench.open();
  for (const [i, test] of cases.entries()) {
    const { shape, headWidth, rotated, scale } = test;
    const frequencies = bench.parameter(`frequencies${i}`, [headWidth / 2], scale);
    const x = numbers(shape, 1);
    const { y } = await bench.run({ x }, (graph, v) => ({
      y: rotary(graph, v.x!, { frequencies, headWidth, rotated }),
    }));
    const expected = reference.rotary(x, bench.parameters.get(frequencies.name)!, rotated).data;
    assertAllclose(y!, expected, tolerance, JSON.stringify(test));
    // The first frame is not turned, and what comes after `rotated` in none.
    const [, frames, pixels, width] = shape;
    const still = (numbers: Float32Array) =>
      numbers.filter((_, at) =>
        at % width >= rotated || Math.floor(at / width / pixels) % frames === 0
      );
    assert.deepEqual(still(y!), still(x.data));
  }
});

Deno.test("rotary: a quarter turn a frame", async () => {
  await using bench = await Bench.open();
  const frequencies = bench.parameter("frequencies", [2]);
  bench.parameters.set("frequencies", Float32Array.of(Math.PI / 2, Math.PI));
  const x = { shape: [1, 5, 1, 4], data: new Float32Array(20).map((_, i) => [3, 4, 5, 6][i % 4]!) };
  const { y } = await bench.run({ x }, (graph, v) => ({
    y: rotary(graph, v.x!, { frequencies, headWidth: 4, rotated: 4 }),
  }));
  const turned = [[3, 4, 5, 6], [-4, 3, -5, -6], [-3, -4, 5, 6], [4, -3, -5, -6], [3, 4, 5, 6]];
  // Pi itself is rounded by 1e-7, four times as much in the last frame.
  assertAllclose(y!, turned.flat(), { absolute: 4e-6 });
});

Deno.test("rotary: a video has the same bits in any batch", async () => {
  await using bench = await Bench.open();
  const frequencies = bench.parameter("frequencies", [4]);
  await assertRowsIndependent({ x: numbers([3, 7, 5, 24], 1) }, async (inputs) => {
    const { y } = await bench.run(inputs, (graph, v) => ({
      y: rotary(graph, v.x!, { frequencies, headWidth: 8, rotated: 16 }),
    }));
    return y!;
  });
});
