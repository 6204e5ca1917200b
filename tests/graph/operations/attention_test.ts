import assert from "../../assert.ts";
import { attention } from "../../../src/graph/operations/attention.ts";
import { assertAllclose, sumTolerance } from "../../allclose.ts";
import * as reference from "../../reference.ts";
import { Bench } from "../run.ts";
import { assertRowsIndependent, type Input, numbers } from "./numbers.ts";

interface Case {
  readonly rows: number;
  readonly heads: number;
  readonly headWidth: number;
  readonly queries: number;
  readonly keys: number;
  readonly offsets?: [number, number, number];
  readonly mask?: boolean;
  readonly bias?: boolean;
  /** Keys of a second set. */
  readonly also?: number;
}

const cases: Case[] = [
  { rows: 1, heads: 1, headWidth: 4, queries: 1, keys: 1 },
  { rows: 2, heads: 3, headWidth: 4, queries: 65, keys: 7, mask: true, also: 33 },
  { rows: 3, heads: 3, headWidth: 6, queries: 7, keys: 65, mask: true, bias: true, also: 65 },
  { rows: 2, heads: 1, headWidth: 6, queries: 64, keys: 1, also: 5 },
  { rows: 2, heads: 5, headWidth: 8, queries: 7, keys: 64, bias: true },
  // Offsets that are not whole vectors, though the heads are.
  { rows: 2, heads: 2, headWidth: 8, queries: 5, keys: 7, offsets: [1, 17, 35], mask: true },
  { rows: 2, heads: 2, headWidth: 64, queries: 17, keys: 17, also: 16 },
  { rows: 3, heads: 2, headWidth: 12, queries: 65, keys: 64, mask: true, bias: true },
  { rows: 1, heads: 2, headWidth: 20, queries: 64, keys: 65, offsets: [40, 4, 44], mask: true },
];

/** 0 and 1, at least one 1 a row. */
function maskOf(rows: number, keys: number): Input {
  const { data } = numbers([rows, keys], 11);
  return { shape: [rows, keys], data: data.map((x, i) => x > 0 || i % keys === 3 % keys ? 1 : 0) };
}

async function assertCase(bench: Bench, test: Case): Promise<void> {
  const { rows, heads, headWidth, queries, keys } = test;
  const width = heads * headWidth;
  const [queryOffset, keyOffset, valueOffset] = test.offsets ?? [0, 0, width];
  const pairWidth = Math.max(keyOffset, valueOffset) + width + 1;
  const inputs = {
    q: numbers([rows, queries, queryOffset + width + 3], 1, 2),
    kv: numbers([rows, keys, pairWidth], 2, 2),
    ...test.mask && { mask: maskOf(rows, keys) },
    ...test.bias && { bias: numbers([queries + keys - 1, heads], 3, 2) },
    ...test.also && {
      kv2: numbers([rows, test.also, pairWidth], 4, 2),
      mask2: maskOf(rows, test.also),
    },
  };
  const offsets = { keyOffset, valueOffset };
  const { y } = await bench.run(inputs, (graph, v) => ({
    y: attention(graph, v.q!, {
      ...{ heads, headWidth, queryOffset },
      keys: { kv: v.kv!, ...offsets, ...v.mask && { mask: v.mask } },
      ...v.bias && { bias: v.bias },
      ...v.kv2 && { also: { kv: v.kv2, mask: v.mask2!, ...offsets } },
    }),
  }));
  const options = {
    ...{ heads, headWidth, queryOffset, ...offsets, scale: 1 / Math.sqrt(headWidth) },
    ...inputs.bias && { bias: inputs.bias },
  };
  const first = reference.attention(inputs.q, inputs.kv, {
    ...options,
    ...inputs.mask && { mask: inputs.mask },
  });
  const expected = inputs.kv2 === undefined ? first : reference.add(
    first,
    reference.attention(inputs.q, inputs.kv2, { ...options, mask: inputs.mask2! }),
  );
  // Scores up to 20 have errors of some 1e-6, which the exponential hands on as relative ones.
  assertAllclose(y!, expected.data, sumTolerance(4 + headWidth), JSON.stringify(test));
}

// Software broadcasts within subgroups; elsewhere each invocation loads for itself.
/** A test of each by itself, so that a fault shows soon: each compiles only the pipelines that it needs. */
function test(name: string, run: (bench: Bench) => Promise<void>): void {
  for (const deviceClass of ["software", "gpu"] as const) {
    Deno.test(`attention: ${name} (kernels for: ${deviceClass})`, async () => {
      await using bench = await Bench.open({ deviceClass });
      await run(bench);
    });
  }
}

test("equals the reference", async (bench) => {
  for (const test of cases) await assertCase(bench, test);
});

test("over an image: one projection holds queries, keys and values", async (bench) => {
  const x = numbers([2, 5, 7, 3 * 24], 5);
  const options = { heads: 3, headWidth: 8, queryOffset: 0, scale: 0.7 };
  const offsets = { keyOffset: 24, valueOffset: 48 };
  const { y } = await bench.run({ x }, (graph, v) => ({
    y: attention(graph, v.x!, { ...options, keys: { kv: v.x!, ...offsets } }),
  }));
  const expected = reference.attention(x, x, { ...options, ...offsets });
  assert.deepEqual(expected.shape, [2, 5, 7, 24]);
  assertAllclose(y!, expected.data, sumTolerance(8));
});

test("over time: frames attend to frames, each pixel for itself", async (bench) => {
  for (
    const [rows, frames, pixels, headWidth] of [
      [1, 1, 1, 4],
      [2, 1, 35, 8],
      [3, 2, 7, 32],
      [2, 7, 6, 6],
      [1, 16, 65, 32],
      [2, 16, 4, 32],
    ] as const
  ) {
    const width = 2 * headWidth;
    const x = numbers([rows, frames, pixels, 3 * width], 5, 2);
    const options = { heads: 2, headWidth, scale: 1 / Math.sqrt(headWidth), queryOffset: 0 };
    const offsets = { keyOffset: width, valueOffset: 2 * width };
    const { y, both } = await bench.run({ x }, (graph, v) => {
      const keys = { kv: v.x!, ...offsets };
      const other = { kv: v.x!, keyOffset: 0, valueOffset: width };
      return {
        y: attention(graph, v.x!, { ...options, temporal: true, keys }),
        both: attention(graph, v.x!, { ...options, temporal: true, keys, also: other }),
      };
    });
    const name = `${rows} videos of ${frames} frames of ${pixels} pixels`;
    const tolerance = sumTolerance(4 + headWidth);
    const first = reference.attentionOverTime(x, x, { ...options, ...offsets });
    assertAllclose(y!, first.data, tolerance, name);
    const second = reference.attentionOverTime(x, x, {
      ...options,
      ...{ keyOffset: 0, valueOffset: width },
    });
    assertAllclose(both!, reference.add(first, second).data, tolerance, `${name}, both`);
  }
});

test("over time: with mask and bias, and more keys than queries", async (bench) => {
  const options = { heads: 2, headWidth: 8, queryOffset: 3, scale: 0.5 };
  const offsets = { keyOffset: 0, valueOffset: 16 };
  const inputs = {
    q: numbers([2, 3, 5, 20], 1, 2),
    kv: numbers([2, 7, 5, 32], 2, 2),
    mask: maskOf(10, 7),
    bias: numbers([9, 2], 3, 2),
  };
  const { y } = await bench.run(inputs, (graph, v) => ({
    y: attention(graph, v.q!, {
      ...options,
      temporal: true,
      keys: { kv: v.kv!, mask: v.mask!, ...offsets },
      bias: v.bias!,
    }),
  }));
  const { q, kv, mask, bias } = inputs;
  const expected = reference.attentionOverTime(q, kv, { ...options, ...offsets, mask, bias });
  assertAllclose(y!, expected.data, sumTolerance(12));
});

test("over time: a video has the same bits in any batch", async (bench) => {
  await assertRowsIndependent({ x: numbers([3, 5, 14, 48], 1) }, async (inputs) => {
    const { y } = await bench.run(inputs, (graph, v) => ({
      y: attention(graph, v.x!, {
        ...{ heads: 2, headWidth: 8, queryOffset: 0, temporal: true },
        keys: { kv: v.x!, keyOffset: 16, valueOffset: 32 },
      }),
    }));
    return y!;
  });
});

const options = { heads: 2, headWidth: 8, queryOffset: 0 };
const offsets = { keyOffset: 0, valueOffset: 16 };
const run = async (
  bench: Bench,
  inputs: Record<string, Input>,
  scale?: number,
): Promise<Float32Array> => {
  const { y } = await bench.run(inputs, (graph, v) => ({
    y: attention(graph, v.q!, {
      ...options,
      ...scale !== undefined && { scale },
      keys: { kv: v.kv!, ...offsets, ...v.mask && { mask: v.mask } },
      ...v.bias && { bias: v.bias },
      ...v.kv2 && { also: { kv: v.kv2, ...offsets } },
    }),
  }));
  return y!;
};

test("a row without keys gives zero, or what a second set of keys gives", async (bench) => {
  const q = numbers([2, 7, 16], 1);
  const kv = numbers([2, 5, 32], 2);
  const mask = { shape: [2, 5], data: Float32Array.of(0, 0, 0, 0, 0, 0, 1, 0, 0, 0) };
  const kv2 = numbers([2, 5, 32], 3);
  const half = 7 * 16;
  assert.deepEqual((await run(bench, { q, kv, mask })).slice(0, half), new Float32Array(half));
  assert.deepEqual(
    (await run(bench, { q, kv, mask, kv2 })).slice(0, half),
    (await run(bench, { q, kv: kv2 })).slice(0, half),
  );
});

test("a single key gives its value, whatever the score", async (bench) => {
  const q = numbers([1, 7, 16], 1, 1e4);
  const kv = numbers([1, 1, 32], 2);
  const y = await run(bench, { q, kv });
  for (let query = 0; query < 7; query++) {
    assert.deepEqual(y.slice(query * 16, (query + 1) * 16), kv.data.slice(16));
  }
});

test("scores of 1e4 of both signs neither overflow nor mix values", async (bench) => {
  // Whole numbers: scores are exact, and the highest wins by at least 1 or ties.
  const whole = (input: Input, factor: number): Input => ({
    ...input,
    data: input.data.map((x) => Math.round(x * factor)),
  });
  const q = whole(numbers([2, 9, 16], 1), 60);
  const kv = whole(numbers([2, 33, 32], 2), 60);
  const expected = reference.attention(q, kv, { ...options, ...offsets, scale: 1 });
  const y = await run(bench, { q, kv }, 1);
  assertAllclose(y, expected.data, { absolute: 1e-5, relative: 1e-5 });
});

test("a shift of all scores changes nothing", async (bench) => {
  const inputs = { q: numbers([2, 7, 16], 1), kv: numbers([2, 33, 32], 2) };
  const shifted = async (by: number) =>
    await run(bench, {
      ...inputs,
      bias: { shape: [39, 2], data: new Float32Array(78).fill(by) },
    });
  const plain = await shifted(0);
  assert.deepEqual(plain, await run(bench, inputs));
  for (const by of [50, -50, 1000, -1000]) {
    // A score around 1000 has a step of 6e-5, and values reach 1.
    assertAllclose(await shifted(by), plain, { absolute: 1e-4 }, `shifted by ${by}`);
  }
});

test("a row has the same bits in any batch", async (bench) => {
  await assertRowsIndependent({
    q: numbers([3, 65, 16], 1),
    kv: numbers([3, 7, 32], 2),
    mask: maskOf(3, 7),
  }, (inputs) => run(bench, inputs));
});

test("a row has the same bits with room for more keys, which are masked", async (bench) => {
  const q = numbers([2, 9, 16], 1);
  const kv = numbers([2, 7, 32], 2);
  const room = numbers([2, 70, 32], 3, 1e4);
  const mask = { shape: [2, 70], data: new Float32Array(140) };
  for (const row of [0, 1]) {
    room.data.set(kv.data.subarray(row * 7 * 32, (row + 1) * 7 * 32), row * 70 * 32);
    mask.data.fill(1, row * 70, row * 70 + 7);
  }
  assert.deepEqual(await run(bench, { q, kv: room, mask }), await run(bench, { q, kv }));
});
