import assert from "../assert.ts";
import { measureChange, relativeChange } from "../../src/diffusion/relative_change.ts";
import { assertAllclose } from "../allclose.ts";
import { assertRowsIndependent, type Input, numbers, row } from "../graph/operations/numbers.ts";
import { Bench } from "../graph/run.ts";

/** Rows of one vec4, of one chunk, of a chunk and a little, of several; the last dimension padded and not. */
const SHAPES = [[2, 1, 1, 3], [3, 5, 7, 6], [1, 64, 65, 4], [2, 40, 41, 30]];

const run = (bench: Bench, fresh: Input, kept: Input) =>
  bench.run({ fresh, kept }, (graph, v) => ({ sums: measureChange(graph, v.fresh!, v.kept!) }));

Deno.test("measureChange sums up the change, and keeps the new value", async () => {
  await using bench = await Bench.open();
  for (const shape of SHAPES) {
    const [fresh, kept] = [numbers(shape, 1), numbers(shape, 2)];
    const results = await run(bench, fresh, kept);
    assert.deepEqual(results.kept, fresh.data);
    const chunks = results.sums!.length / 2 / shape[0]!;
    for (let r = 0; r < shape[0]!; r++) {
      const [a, b] = [row(fresh, r).data, row(kept, r).data];
      const change = a.reduce((sum, x, i) => sum + (x - b[i]!) ** 2, 0);
      const size = a.reduce((sum, x) => sum + x * x, 0);
      const sums = results.sums!.slice(r * chunks * 2, (r + 1) * chunks * 2);
      const total = (part: number) =>
        sums.filter((_, i) => i % 2 === part).reduce((x, y) => x + y, 0);
      // Sums of up to 256 positive numbers in each of 64 invocations.
      assertAllclose([total(0), total(1)], [change, size], { absolute: 0, relative: 1e-5 });
      const relative = Math.sqrt(change / size);
      assertAllclose([relativeChange(sums, chunks)], [relative], { absolute: 0, relative: 1e-5 });
    }
  }
});

Deno.test("a value that is the same has no change, and rows do not mix", async () => {
  await using bench = await Bench.open();
  const fresh = numbers([3, 40, 41, 30], 1);
  const { sums } = await run(bench, fresh, fresh);
  assert.equal(relativeChange(sums!, sums!.length / 6), 0);
  const inputs = { fresh, kept: numbers([3, 40, 41, 30], 2) };
  await assertRowsIndependent(
    inputs,
    async ({ fresh, kept }) => (await run(bench, fresh!, kept!)).sums!,
  );
});
