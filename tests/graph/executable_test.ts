import assert from "../assert.ts";
import { Tensor } from "../../src/gpu/tensor.ts";
import { Weights } from "../../src/gpu/weights.ts";
import { Executable } from "../../src/graph/executable.ts";
import { Graph } from "../../src/graph/graph.ts";
import { add } from "../../src/graph/operations/add.ts";
import { attention } from "../../src/graph/operations/attention.ts";
import { linear } from "../../src/graph/operations/conv2d.ts";
import { noise } from "../../src/diffusion/operations.ts";
import { Bench, random } from "./run.ts";

const noParameters = { readFloat32: (name: string) => Promise.reject(new Error(name)) };

Deno.test("a replay computes anew from what the inputs hold then", async () => {
  await using bench = await Bench.open();
  const { gpu, pipelines } = bench;
  const graph = new Graph();
  const x = graph.input("x", [5, 7]);
  graph.output("y", add(graph, add(graph, x, x), x, "relu"));
  using input = new Tensor(gpu, "x", [5, 7]);
  using output = new Tensor(gpu, "y", [5, 7]);
  using weights = new Weights(gpu, noParameters);
  const tensors = new Map([["x", input], ["y", output]]);
  using executable = await Executable.make(graph, { pipelines, weights, tensors });
  assert.equal(pipelines.count, 1);
  for (const seed of [1, 2]) {
    const data = random(35, seed);
    input.write(data);
    executable.submit();
    assert.deepEqual(await output.read(), data.map((x) => Math.max(0, Math.fround(x + x) + x)));
  }
});

Deno.test("graphs that run one after the other share the arena of the largest", async () => {
  await using bench = await Bench.open();
  const { gpu, pipelines } = bench;
  using x = new Tensor(gpu, "x", [9, 64]);
  using y = new Tensor(gpu, "y", [9, 64]);
  using weights = new Weights(gpu, noParameters);
  // y = x 2^doublings, by way of the arena.
  const graphs = [5, 2].map((doublings) => {
    const graph = new Graph();
    let value = graph.input("x", [9, 64]);
    for (let i = 0; i < doublings; i++) value = add(graph, value, value);
    graph.output("y", value);
    return graph;
  });
  const buffers: string[] = [];
  const allocate = gpu.buffer.bind(gpu);
  gpu.buffer = (bytes, label) => {
    buffers.push(`${label}, ${bytes}`);
    return allocate(bytes, label);
  };
  const tensors = new Map([["x", x], ["y", y]]);
  const executables = await Executable.makeAll(graphs, { pipelines, weights, tensors });
  const arenas = executables.map(({ plan }) => plan.arenaBytes);
  assert.deepEqual(arenas, [2 * 9 * 64 * 4, 9 * 64 * 4]);
  assert.deepEqual(buffers.filter((label) => label.startsWith("activations")), [
    `activations, ${arenas[0]}`,
  ]);
  const data = random(9 * 64, 1);
  x.write(data);
  for (const [i, doublings] of [[0, 5], [1, 2], [0, 5]] as const) {
    executables[i]!.submit();
    assert.deepEqual(await y.read(), data.map((number) => number * 2 ** doublings));
  }
  for (const executable of executables) executable[Symbol.dispose]();
});

Deno.test("a tensor that is missing is named", async () => {
  await using bench = await Bench.open();
  const { gpu, pipelines } = bench;
  const graph = new Graph();
  const x = graph.input("x", [1, 4]);
  graph.output("y", add(graph, x, x));
  using tensor = new Tensor(gpu, "x", [1, 4]);
  using weights = new Weights(gpu, noParameters);
  await assert.rejects(
    Executable.make(graph, { pipelines, weights, tensors: new Map([["x", tensor]]) }),
    new Error('The graph needs a tensor "y"'),
  );
});

// Memory is shared between values, and heads of width 6 leave padding that some other value once filled.
Deno.test("a row of NaN reaches no other row through shared memory", async () => {
  await using bench = await Bench.open();
  const weight = bench.parameter("weight", [64, 6]);
  const narrow = bench.parameter("narrow", [18, 64]);
  const out = bench.parameter("out", [8, 6]);
  const run = async (x: Float32Array) => {
    const { y } = await bench.run({ x: { shape: [2, 9, 6], data: x } }, (graph, v) => {
      const wide = linear(graph, v.x!, { weight });
      const attended = linear(graph, add(graph, wide, wide), { weight: narrow });
      const result = attention(graph, attended, {
        ...{ heads: 1, headWidth: 6, queryOffset: 0 },
        keys: { kv: attended, keyOffset: 6, valueOffset: 12 },
      });
      return { y: linear(graph, result, { weight: out }) };
    });
    return y!.slice(9 * 8);
  };
  const x = random(108, 1);
  assert.deepEqual(await run(x.slice().fill(NaN, 0, 54)), await run(x));
});

Deno.test("an activation that no kernel can be bound to is refused before anything is loaded", async () => {
  await using bench = await Bench.open();
  using weights = new Weights(bench.gpu, noParameters);
  const limit = bench.gpu.limits.maxStorageBufferBindingSize;
  const side = Math.ceil(Math.sqrt(limit / 16)) + 1;
  const graph = new Graph();
  const x = noise(graph, graph.input("slots", [1, 8]), [1, side, side, 4], 0);
  graph.output("y", add(graph, x, x));
  const environment = { pipelines: bench.pipelines, weights, tensors: new Map() };
  await assert.rejects(Executable.make(graph, environment), {
    name: "MdmError",
    message: /^The GPU cannot hold an image this large: a kernel needs .* and the limit is /,
  });
});

Deno.test("weights that are missing leave nothing that the next try stumbles over", async () => {
  await using bench = await Bench.open();
  const { gpu, pipelines } = bench;
  const weight = bench.parameter("weight", [8, 4]);
  const graph = new Graph();
  graph.output("y", linear(graph, graph.input("x", [3, 4]), { weight }));
  using x = new Tensor(gpu, "x", [3, 4]);
  using y = new Tensor(gpu, "y", [3, 8]);
  const tensors = new Map([["x", x], ["y", y]]);
  using none = new Weights(gpu, noParameters);
  await assert.rejects(
    Executable.make(graph, { pipelines, weights: none, tensors }),
    new Error("weight"),
  );
  await gpu.finish();

  const values = bench.parameters.get("weight")!;
  using weights = new Weights(gpu, { readFloat32: () => Promise.resolve(values) });
  using executable = await Executable.make(graph, { pipelines, weights, tensors });
  assert.equal(pipelines.count, 1);
  x.write(Float32Array.from({ length: 12 }, (_, i) => i === 0 ? 1 : 0));
  executable.submit();
  const first = Array.from({ length: 8 }, (_, i) => values[i * 4]!);
  assert.deepEqual([...(await y.read()).subarray(0, 8)], first);
});
