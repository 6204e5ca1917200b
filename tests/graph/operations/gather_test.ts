import assert from "../../assert.ts";
import { gather } from "../../../src/graph/operations/gather.ts";
import { Graph, GraphError } from "../../../src/graph/graph.ts";
import * as reference from "../../reference.ts";
import { Bench } from "../run.ts";
import { numbers, numbersOf } from "./numbers.ts";

Deno.test("gather", async (t) => {
  await using bench = await Bench.open();

  await t.step("takes rows of a parameter or of an input, by a constant or an input", async () => {
    for (const width of [1, 4, 33]) {
      const table = bench.parameter(`table${width}`, [11, width]);
      const rows = numbers([13, width], 2);
      const fixed = Uint32Array.of(10, 0, 3, 3, 7);
      const data = Uint32Array.from({ length: 14 }, (_, i) => i * 5 % 11);
      const inputs = { rows, ids: { shape: [2, 7], data } };
      const { a, b, c, d } = await bench.run(inputs, (graph, v) => ({
        a: gather(graph, table, fixed),
        b: gather(graph, table, v.ids!),
        c: gather(graph, v.rows!, fixed),
        d: gather(graph, v.rows!, v.ids!),
      }));
      const values = numbersOf(bench, table);
      assert.deepEqual([...a!], Array.from(reference.gather(values, fixed).data));
      assert.deepEqual([...b!], Array.from(reference.gather(values, data).data));
      assert.deepEqual([...c!], Array.from(reference.gather(rows, fixed).data));
      assert.deepEqual([...d!], Array.from(reference.gather(rows, data).data));
    }
  });

  await t.step("ids over the edge give the last row", async () => {
    const table = bench.parameter("edge", [3, 6]);
    const { y } = await bench.run({}, (graph) => ({
      y: gather(graph, table, Uint32Array.of(3, 2, 0xffffffff)),
    }));
    const last = [...bench.parameters.get("edge")!.slice(12)];
    assert.deepEqual([...y!], [...last, ...last, ...last]);
  });

  await t.step("refuses computed values, which the shader could not read beside its output", () => {
    const graph = new Graph();
    const computed = gather(graph, graph.input("table", [3, 4]), Uint32Array.of(0, 1));
    const message = (shapes: string) =>
      new GraphError(`gather of ${shapes}: the table and the ids have to be inputs of the graph`);
    assert.throws(
      () => gather(graph, computed, Uint32Array.of(0)),
      message("[2, 4]"),
    );
    assert.throws(
      () => gather(graph, { name: "w", shape: [3, 4] }, computed),
      message("[2, 4]"),
    );
  });
});
