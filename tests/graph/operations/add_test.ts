import assert from "../../assert.ts";
import { ACTIVATIONS } from "../../../src/gpu/activation.ts";
import { add } from "../../../src/graph/operations/add.ts";
import { assertAllclose } from "../../allclose.ts";
import * as reference from "../../reference.ts";
import { Bench } from "../run.ts";
import { numbers } from "./numbers.ts";

const activations = Object.keys(ACTIVATIONS) as reference.ActivationName[];

Deno.test("add equals the reference", async () => {
  await using bench = await Bench.open();
  for (const shape of [[1, 1], [3, 5, 7, 3], [2, 13, 17, 33], [65]]) {
    const [a, b] = [numbers(shape, 1, 3), numbers(shape, 2, 3)];
    const results = await bench.run(
      { a, b },
      (graph, v) =>
        Object.fromEntries(activations.map((name) => [name, add(graph, v.a!, v.b!, name)])),
    );
    for (const name of activations) {
      // One rounding each of the sum, exp and the quotient, of numbers below 6.
      const expected = reference.add(a, b, name).data;
      assertAllclose(results[name]!, expected, { absolute: 1e-6, relative: 1e-6 }, name);
    }
  }
});

Deno.test("what is added to every position of its row", async () => {
  await using bench = await Bench.open();
  for (const [shape, once] of [[[3, 5, 7], [3, 7]], [[2, 3, 5, 8], [2, 8]]] as const) {
    const [a, b] = [numbers([...shape], 1), numbers([...once], 2)];
    const { y } = await bench.run({ a, b }, (graph, v) => ({ y: add(graph, v.a!, v.b!) }));
    const width = shape.at(-1)!;
    const positions = a.data.length / width / shape[0];
    const expected = a.data.map((x, i) =>
      x + b.data[Math.floor(i / (positions * width)) * width + i % width]!
    );
    assert.deepEqual(y, expected);
  }
});

Deno.test("activations follow the reference over all magnitudes, and are never NaN", async () => {
  await using bench = await Bench.open();
  const magnitudes = [
    0,
    1e-30,
    1e-4,
    0.5,
    1,
    2,
    3,
    4,
    5,
    5.4,
    6,
    8,
    10,
    20,
    80,
    100,
    1e4,
    1e12,
    1e30,
  ];
  const data = Float32Array.from(magnitudes.flatMap((x) => [x, -x]));
  const a = { shape: [data.length], data };
  const b = { shape: [data.length], data: new Float32Array(data.length) };
  const results = await bench.run(
    { a, b },
    (graph, v) =>
      Object.fromEntries(activations.map((name) => [name, add(graph, v.a!, v.b!, name)])),
  );
  for (const name of activations) {
    const expected = reference.add(a, b, name).data;
    // erf is within 2e-7, and multiplied with at most 6 where it matters.
    assertAllclose(results[name]!, expected, { absolute: 2e-6, relative: 1e-6 }, name);
    assert.ok(results[name]!.every(Number.isFinite), name);
  }
});

Deno.test("adding is exact, in place of both operands too", async () => {
  await using bench = await Bench.open();
  const a = numbers([3, 7], 1);
  const { y } = await bench.run({ a }, (graph, v) => ({ y: add(graph, v.a!, v.a!) }));
  assert.deepEqual(y, a.data.map((x) => x + x));
});
