/** A case on disk: what every peer reads, whatever it is written in. */
import { join } from "node:path";
import { readJson } from "../../src/checkpoint/json.ts";
import { Safetensors } from "../../src/checkpoint/safetensors.ts";
import { writeSafetensors } from "../../src/checkpoint/write_safetensors.ts";
import type { Graph } from "../../src/graph/graph.ts";
import { channelsFirst } from "../../src/verify/comparison.ts";
import { exportGraph } from "../onnx/export.ts";
import { isPicture, onnxShape } from "../onnx/layout.ts";
import type { OnnxTensor } from "../onnx/model.ts";
import { writeModel } from "../onnx/write.ts";
import type { Case, Numbers } from "./case.ts";
import { plannedAnywhere } from "./plan.ts";
import { RandomWeights } from "./random.ts";
import { writeTensors } from "./tensors.ts";

/** Names of the files in a case's folder, but for those of the ONNX model. */
export const FILES = {
  description: "case.json",
  weights: "weights.safetensors",
  /** The graph's inputs; pictures have their channels second. */
  inputs: "inputs.safetensors",
  /** What the reference implementation needs, in the layout of the golden data. */
  config: "config.json",
  forward: "forward.safetensors",
} as const;

/** The contents of case.json. */
export interface CaseDescription {
  readonly name: string;
  /** Multiplications and additions. */
  readonly flops: number;
  readonly inputs: readonly OnnxTensor[];
  readonly outputs: readonly OnnxTensor[];
  /** The operation, where there is one only: for peers that take no graphs. */
  readonly operation: OperationDescription | null;
  /** Where the weights are. */
  readonly weights: string;
}

/** An operation with its attributes as they are in the graph; parameters are named as in the file of weights. */
export interface OperationDescription {
  readonly name: string;
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly inputs: readonly string[];
}

/** Writes a case's weights, inputs, ONNX model and description into a folder. */
export async function writeCase(folder: string, given: Case): Promise<CaseDescription> {
  const weights = given.checkpoint ?? join(folder, FILES.weights);
  if (given.checkpoint === null) await writeRandomWeights(weights, given);
  if (given.reference !== null) {
    await Deno.writeTextFile(join(folder, FILES.config), JSON.stringify(given.reference.config));
    await writeTensors(join(folder, FILES.forward), given.reference.forward());
  }
  const [graph, inputs] = [given.graph(), await given.inputs(weights)];
  return await writeGraph(folder, { name: given.name, graph, weights, inputs });
}

/** A graph with all the numbers that it needs. */
export interface RunnableGraph {
  readonly name: string;
  readonly graph: Graph;
  /** The file of its weights. */
  readonly weights: string;
  /** The numbers of its inputs, channels last. */
  readonly inputs: ReadonlyMap<string, Float32Array>;
}

/** Writes a graph's inputs, ONNX model and description into a folder. */
export async function writeGraph(
  folder: string,
  { name, graph, weights, inputs }: RunnableGraph,
): Promise<CaseDescription> {
  const model = exportGraph(graph);
  using file = await Safetensors.open(weights);
  await writeModel(folder, model, file);
  await writeTensors(join(folder, FILES.inputs), exchanged(graph, inputs));
  const description: CaseDescription = {
    name,
    flops: plannedAnywhere(graph).flops,
    inputs: model.inputs,
    outputs: model.outputs,
    operation: describeOperation(graph),
    weights: await Deno.realPath(weights),
  };
  await Deno.writeTextFile(join(folder, FILES.description), JSON.stringify(description));
  return description;
}

/** Reads what {@link writeCase} wrote. */
export async function readDescription(folder: string): Promise<CaseDescription> {
  return await readJson(join(folder, FILES.description)) as CaseDescription;
}

async function writeRandomWeights(path: string, given: Case): Promise<void> {
  const { dtype } = given;
  using source = new RandomWeights(given.parameters(), dtype);
  const dtypes = new Map([...source.tensors.keys()].map((name) => [name, dtype]));
  await writeSafetensors(path, source, dtypes);
}

/** The inputs as every peer gets them. */
function exchanged(
  graph: Graph,
  inputs: ReadonlyMap<string, Float32Array>,
): Map<string, Numbers> {
  return new Map([...inputs].map(([name, data]) => {
    const { shape } = graph.inputs.get(name)!;
    const numbers = isPicture(shape) ? channelsFirst(data, shape) : data;
    return [name, { shape: onnxShape(shape), data: numbers }];
  }));
}

/** The graph's operation, null where there are several. */
function describeOperation({ nodes, inputs }: Graph): OperationDescription | null {
  const [node, ...more] = nodes;
  if (node === undefined || more.length > 0) return null;
  const names = new Map([...inputs].map(([name, value]) => [value, name]));
  return {
    name: node.operation.name,
    attributes: node.attributes as Record<string, unknown>,
    inputs: node.inputs.map((input) => names.get(input)!),
  };
}
