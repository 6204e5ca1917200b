import assert from "../../assert.ts";
import { Gpu } from "../../../src/gpu/device.ts";
import { Graph } from "../../../src/graph/graph.ts";
import { concat } from "../../../src/graph/operations/concat.ts";
import { conv2d, linear } from "../../../src/graph/operations/conv2d.ts";
import { convGroups, tune } from "../../../src/pipeline/planning/tune.ts";

/** Two convolutions of one shape, and a linear layer over a concatenation. */
function example(): { graph: Graph; readFloat32(name: string): Promise<Float32Array> } {
  const graph = new Graph();
  const weight = { name: "weight", shape: [36, 36, 3, 3] };
  const bias = { name: "bias", shape: [36] };
  const flat = { name: "flat", shape: [5, 72] };
  const x = graph.input("x", [2, 4, 4, 36]);
  const once = conv2d(graph, x, { weight, bias, activation: "silu" });
  const twice = conv2d(graph, once, { weight, bias, residual: x });
  graph.output("y", linear(graph, concat(graph, once, twice), { weight: flat }));
  const sizes: Record<string, number> = { weight: 36 * 36 * 9, bias: 36, flat: 360 };
  return { graph, readFloat32: (name) => Promise.resolve(new Float32Array(sizes[name]!).fill(1)) };
}

Deno.test("convolutions are measured once a shape, and the fastest is no slower than the usual", async () => {
  const { graph, ...file } = example();
  const groups = convGroups(graph, file);
  assert.deepEqual(groups.map(({ shape, nodes }) => [shape.depth, shape.sources, nodes.length]), [
    [81, 1, 2],
    [18, 2, 1],
  ]);
  using gpu = await Gpu.open();
  const measured = await Array.fromAsync(tune(gpu, gpu.info, groups, file));
  assert.deepEqual(measured.map(({ count }) => count), [2, 1]);
  for (const { usualMs, bestMs, choice } of measured) {
    assert.ok(usualMs > 0 && bestMs > 0 && bestMs <= usualMs);
    assert.equal(choice === null, bestMs === usualMs);
  }
});

Deno.test("weights that a file has in 16 bits are another shape", () => {
  const { graph, ...file } = example();
  const tensors = new Map([["weight", { dtype: "F16" }]]);
  const halves = convGroups(graph, { ...file, tensors }).map(({ shape }) => shape.half);
  assert.deepEqual(halves, [true, false]);
});
