import { averagePool } from "../../../src/graph/operations/average_pool.ts";
import { assertAllclose } from "../../allclose.ts";
import * as reference from "../../reference.ts";
import { Bench } from "../run.ts";
import { assertRowsIndependent, numbers } from "./numbers.ts";

Deno.test("averagePool equals the reference", async () => {
  await using bench = await Bench.open();
  for (
    const [ratio, shape] of [
      [1, [1, 1, 1, 3]],
      [2, [3, 10, 14, 3]],
      [3, [2, 3, 51, 33]],
      [4, [2, 28, 20, 70]],
      [8, [1, 8, 8, 4]],
    ] as const
  ) {
    const x = numbers([...shape], 1);
    const { y } = await bench.run({ x }, (graph, v) => ({ y: averagePool(graph, v.x!, ratio) }));
    // The mean of at most 64 numbers below 1.
    assertAllclose(y!, reference.averagePool(x, ratio).data, { absolute: 3e-7 }, `[${shape}]`);
  }
  await assertRowsIndependent({ x: numbers([3, 10, 14, 3], 2) }, async (inputs) => {
    const { y } = await bench.run(inputs, (graph, v) => ({ y: averagePool(graph, v.x!, 2) }));
    return y!;
  });
});
