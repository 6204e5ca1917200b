import assert from "../../assert.ts";
import { Graph, GraphError } from "../../../src/graph/graph.ts";
import { add } from "../../../src/graph/operations/add.ts";
import { concat } from "../../../src/graph/operations/concat.ts";
import { linear } from "../../../src/graph/operations/conv2d.ts";
import { reshape } from "../../../src/graph/operations/reshape.ts";
import { plan } from "../../../src/graph/plan.ts";
import { Bench } from "../run.ts";
import { numbers } from "./numbers.ts";

const target = {
  policy: { deviceClass: "software", subgroupSize: 8 },
  isHalf: () => false,
} as const;

Deno.test("reshape shows the same numbers, also those that are no whole vectors", async () => {
  await using bench = await Bench.open();
  const x = numbers([6, 5, 7], 1);
  const { y, twice, input } = await bench.run({ x }, (graph, v) => {
    const sum = add(graph, v.x!, v.x!);
    const doubled = reshape(graph, sum, [2, 15, 7]);
    const both = reshape(graph, reshape(graph, sum, [30, 7]), [3, 10, 7]);
    const seen = reshape(graph, v.x!, [30, 7]);
    return {
      // One value, read in two shapes.
      y: add(graph, doubled, doubled),
      twice: add(graph, both, both),
      input: add(graph, seen, seen),
    };
  });
  assert.deepEqual(y, x.data.map((n) => 4 * n));
  assert.deepEqual(twice, x.data.map((n) => 4 * n));
  assert.deepEqual(input, x.data.map((n) => 2 * n));
});

Deno.test("reshape: an output may be reshaped, and is read on", async () => {
  await using bench = await Bench.open();
  const x = numbers([2, 12, 5], 1);
  const { y, z } = await bench.run({ x }, (graph, v) => {
    const sum = add(graph, v.x!, v.x!);
    const y = reshape(graph, sum, [4, 6, 5]);
    return { y, z: add(graph, sum, v.x!) };
  });
  assert.deepEqual(y, x.data.map((n) => 2 * n));
  assert.deepEqual(z, x.data.map((n) => 3 * n));
});

Deno.test("reshape takes no memory and no call", () => {
  const graph = new Graph();
  const x = graph.input("x", [6, 8]);
  const sum = add(graph, reshape(graph, x, [2, 3, 8]), reshape(graph, x, [2, 3, 8]));
  const flat = reshape(graph, sum, [6, 8]);
  const other = reshape(graph, flat, [3, 2, 8]);
  graph.output("y", reshape(graph, add(graph, flat, x), [2, 24 / 8, 8]));
  graph.output("z", add(graph, other, other));
  const made = plan(graph, target);
  assert.deepEqual(made.calls.map(({ kernel }) => kernel.name), ["add", "add", "add"]);
  const places = made.calls.map(({ buffers }) =>
    Object.values(buffers).map((memory) => made.locations.get(memory)!)
  );
  const [a, b, sumPlace] = places[0]!;
  assert.deepEqual([a, b], [{ kind: "tensor", name: "x" }, { kind: "tensor", name: "x" }]);
  assert.deepEqual(places[1], [sumPlace, a, { kind: "tensor", name: "y" }]);
  assert.deepEqual(places[2], [sumPlace, sumPlace, { kind: "tensor", name: "z" }]);
  assert.equal(made.unsharedBytes, 6 * 8 * 4);
});

Deno.test("reshape: what is read late in another shape keeps its memory until then", async () => {
  await using bench = await Bench.open();
  const x = numbers([4, 6, 8], 1);
  const weight = bench.parameter("weight", [8, 8]);
  const { y } = await bench.run({ x }, (graph, v) => {
    const early = add(graph, v.x!, v.x!);
    const late = reshape(graph, early, [24, 8]);
    let value = v.x!;
    // Each of these could take the place of `early`, had it been given up.
    for (let i = 0; i < 5; i++) value = linear(graph, value, { weight });
    return { y: add(graph, late, reshape(graph, linear(graph, value, { weight }), [24, 8])) };
  });
  const { rest } = await bench.run({ x }, (graph, v) => {
    let value = v.x!;
    for (let i = 0; i < 6; i++) value = linear(graph, value, { weight });
    return { rest: value };
  });
  assert.deepEqual(y, x.data.map((n, i) => Math.fround(2 * n + rest![i]!)));
});

Deno.test("reshape: an output is no other output or input in another shape", () => {
  const graph = new Graph();
  const x = graph.input("x", [6, 8]);
  const sum = add(graph, x, x);
  graph.output("y", sum);
  const mistakes: [() => unknown, string][] = [
    [() => graph.output("z", reshape(graph, sum, [2, 3, 8])), 'The output "z" is the output "y"'],
    [() => graph.output("z", reshape(graph, x, [2, 3, 8])), 'The output "z" is an input'],
    [
      () => graph.output("z", reshape(graph, concat(graph, x, sum), [2, 3, 16])),
      'The output "z" is a concatenation',
    ],
  ];
  for (const [build, message] of mistakes) assert.throws(build, new GraphError(message));
});

Deno.test("reshape: a concatenation in another shape cannot be read", () => {
  const graph = new Graph();
  const x = graph.input("x", [6, 8]);
  const both = graph.module("up_blocks.0", () => concat(graph, x, x));
  const weight = { name: "weight", shape: [4, 16] };
  graph.output("y", linear(graph, reshape(graph, both, [2, 3, 16]), { weight }));
  assert.throws(
    () => plan(graph, target),
    new Error('The concatenation made in "up_blocks.0" can be read by conv2d and groupNorm only'),
  );
});
