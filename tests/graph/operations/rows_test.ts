import { deviation, repeatRows, weightedSum } from "../../../src/graph/operations/rows.ts";
import { assertAllclose, sumTolerance } from "../../allclose.ts";
import assert from "../../assert.ts";
import * as reference from "../../reference.ts";
import { Bench } from "../run.ts";
import { assertRowsIndependent, numbers } from "./numbers.ts";

Deno.test("deviation equals the reference, with any mean", async () => {
  await using bench = await Bench.open();
  for (const shape of [[1, 1, 2], [3, 5, 7, 3], [2, 13, 17, 33], [3, 70], [2, 1, 65, 4]]) {
    for (const mean of [0, -1000]) {
      const x = numbers(shape, 1);
      for (let i = 0; i < x.data.length; i++) x.data[i]! += mean;
      const { y } = await bench.run({ x }, (graph, v) => ({ y: deviation(graph, v.x!) }));
      // A mean around 1000 is rounded to 6e-5, which counts squared only; the squares are well conditioned.
      assertAllclose(
        y!,
        reference.deviation(x).data,
        { absolute: 1e-6, relative: 1e-6 },
        `[${shape}]`,
      );
    }
  }
  await assertRowsIndependent({ x: numbers([3, 5, 7, 3], 2) }, async (inputs) => {
    const { y } = await bench.run(inputs, (graph, v) => ({ y: deviation(graph, v.x!) }));
    return y!;
  });
});

Deno.test("repeatRows repeats the batch, divided where there is a divisor", async () => {
  await using bench = await Bench.open();
  for (const shape of [[1, 1], [3, 5, 7, 3], [2, 13, 17, 33]]) {
    const x = numbers(shape, 1);
    const divisor = {
      shape: [shape[0]!, 1],
      data: Float32Array.from([3, -0.5, 7]).slice(0, shape[0]),
    };
    const { plain, divided } = await bench.run({ x, divisor }, (graph, v) => ({
      plain: repeatRows(graph, v.x!, 3),
      divided: repeatRows(graph, v.x!, 2, v.divisor!),
    }));
    assert.deepEqual([...plain!], Array.from(reference.repeatRows(x, 3).data));
    // A quotient may be off by 2.5 ulp in WGSL.
    const expected = reference.repeatRows(x, 2, divisor).data;
    assertAllclose(divided!, expected, { absolute: 0, relative: 3e-7 });
  }
});

Deno.test("weightedSum equals the reference", async () => {
  await using bench = await Bench.open();
  for (const shape of [[1, 1, 1], [3, 7, 33], [2, 65, 70], [65, 3, 4]]) {
    const x = numbers(shape, 1);
    const weights = numbers(shape.slice(0, 2), 2);
    const { y } = await bench.run({ x, weights }, (graph, v) => ({
      y: weightedSum(graph, v.x!, v.weights!),
    }));
    assertAllclose(
      y!,
      reference.weightedSum(x, weights).data,
      sumTolerance(shape[1]!),
      `[${shape}]`,
    );
  }
  await assertRowsIndependent(
    { x: numbers([3, 7, 33], 1), w: numbers([3, 7], 2) },
    async (inputs) => {
      const { y } = await bench.run(inputs, (graph, v) => ({ y: weightedSum(graph, v.x!, v.w!) }));
      return y!;
    },
  );
});
