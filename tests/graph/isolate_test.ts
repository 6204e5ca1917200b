import assert from "../assert.ts";
import { Graph } from "../../src/graph/graph.ts";
import { isolate } from "../../src/graph/isolate.ts";
import { add } from "../../src/graph/operations/add.ts";
import { concat } from "../../src/graph/operations/concat.ts";
import { linear } from "../../src/graph/operations/conv2d.ts";

Deno.test("a node by itself reads inputs, and the concatenation that it reads as one", () => {
  const graph = new Graph();
  const x = graph.input("x", [3, 8]);
  const doubled = add(graph, x, x);
  const weight = { name: "weight", shape: [5, 16] };
  const y = linear(graph, concat(graph, doubled, x), { weight, activation: "silu" });
  const alone = isolate(y.node!);
  assert.deepEqual([...alone.inputs].map(([name, { shape }]) => [name, shape]), [
    ["0", [3, 8]],
    ["1", [3, 8]],
  ]);
  assert.deepEqual(alone.nodes.map(({ operation }) => operation.name), ["concat", "conv2d"]);
  assert.deepEqual(alone.outputs.get("output")!.shape, [3, 5]);
  assert.equal(alone.nodes.at(-1)!.attributes, y.node!.attributes);
});
