/** The structure of exported models. That their numbers are right, `deno task bench --check` shows with onnxruntime. */
import assert from "../assert.ts";
import { allCases, findCase } from "../../bench/cases/mod.ts";
import { exportGraph } from "../../bench/onnx/export.ts";
import type { OnnxModel } from "../../bench/onnx/model.ts";
import { MdmError } from "../../src/errors.ts";
import { Graph } from "../../src/graph/graph.ts";
import { conv2d, linear } from "../../src/graph/operations/conv2d.ts";
import { gather } from "../../src/graph/operations/gather.ts";
import { rmsNorm } from "../../src/graph/operations/layer_norm.ts";

/** The operators of a model, in order. */
const operators = (model: OnnxModel) => model.nodes.map(({ operation }) => operation);

for (const measured of allCases()) {
  Deno.test(`${measured.name} as ONNX: everything is made before it is read, and read`, () => {
    const graph = measured.graph();
    const model = exportGraph(graph);
    // A network takes inputs that not all of its UNets have a use for.
    const given = new Set(model.inputs.map(({ name }) => name));
    const made = new Set(model.initializers.map(({ name }) => name));
    const read = new Set(model.outputs.map(({ name }) => name));
    for (const { inputs, outputs, name } of model.nodes) {
      for (const input of inputs) {
        assert(
          input === "" || given.has(input) || made.has(input),
          `${name} reads "${input}" too early`,
        );
        read.add(input);
      }
      for (const output of outputs) {
        assert(!given.has(output) && !made.has(output), `"${output}" is made twice`);
        made.add(output);
      }
    }
    for (const name of made) assert(read.has(name), `nothing reads "${name}"`);
    for (const { name } of model.outputs) assert(made.has(name), `nothing makes "${name}"`);
    assert.deepEqual(model.inputs.map(({ name }) => name), [...graph.inputs.keys()]);
    assert.deepEqual(model.outputs.map(({ name }) => name), [...graph.outputs.keys()]);
  });
}

Deno.test("ONNX: every weight of a step is an initializer with the numbers that it has", () => {
  const { initializers } = exportGraph(findCase("nested2 of 64 channels").graph());
  for (const { name, shape, data } of initializers) {
    const count = shape.reduce((product, size) => product * size, 1);
    const given = data.kind === "weights"
      ? data.parameters.flatMap((p) => p.shape.reduce((a, b) => a * b, 1)).reduce((a, b) => a + b)
      : data.values.length;
    assert.equal(given, count, name);
  }
});

Deno.test("ONNX: a convolution has its channels second, and its epilogue behind it", () => {
  const graph = new Graph();
  const x = graph.input("x", [2, 5, 7, 8]);
  const skip = graph.input("skip", [2, 10, 14, 12]);
  const y = conv2d(graph, x, {
    weight: { name: "weight", shape: [12, 8, 3, 3] },
    bias: { name: "bias", shape: [12] },
    upsample: 2,
    activation: "silu",
    residual: skip,
  });
  graph.output("y", y);
  const model = exportGraph(graph);
  assert.deepEqual(operators(model), ["Resize", "Conv", "Sigmoid", "Mul", "Add", "Identity"]);
  assert.deepEqual(model.inputs.map(({ shape }) => shape), [[2, 8, 5, 7], [2, 12, 10, 14]]);
  assert.deepEqual(model.outputs[0]!.shape, [2, 12, 10, 14]);
  assert.deepEqual(model.nodes[1]!.attributes.pads, { ints: [1, 1, 1, 1] });
});

Deno.test("ONNX: linear layers are what PyTorch's exporter makes of them", () => {
  const graph = new Graph();
  const layer = {
    weight: [{ name: "a", shape: [3, 8] }, { name: "b", shape: [4, 8] }],
    bias: [{ name: "a.bias", shape: [3] }, { name: "b.bias", shape: [4] }],
  };
  graph.output("rows", linear(graph, graph.input("row", [2, 8]), layer));
  graph.output("tokens", linear(graph, graph.input("token", [2, 5, 8]), layer));
  const model = exportGraph(graph);
  assert.deepEqual(operators(model), ["Gemm", "MatMul", "Add", "Identity", "Identity"]);
  const shapes = new Map(model.initializers.map(({ name, shape }) => [name, shape]));
  assert.deepEqual(shapes.get(model.nodes[0]!.inputs[1]!), [7, 8]);
  assert.deepEqual(shapes.get(model.nodes[1]!.inputs[1]!), [8, 7]);
});

Deno.test("ONNX: numbers of rows are whole", () => {
  const graph = new Graph();
  const [table, ids] = [graph.input("table", [4, 8]), graph.input("ids", [2])];
  graph.output("y", gather(graph, table, ids));
  const types = exportGraph(graph).inputs.map(({ type }) => type);
  assert.deepEqual(types, ["float32", "int32"]);
});

Deno.test("ONNX: what has no translation is named", () => {
  const graph = new Graph();
  const weight = { name: "weight", shape: [8] };
  const x = graph.input("x", [2, 8]);
  graph.output("y", graph.module("decoder.norm", () => rmsNorm(graph, x, weight, 1e-6)));
  assert.throws(() => exportGraph(graph), (error) => {
    assert(error instanceof MdmError);
    assert.match(error.message, /"layerNorm" in "decoder\.norm"/);
    return true;
  });
});
