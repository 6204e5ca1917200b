import type { Safetensors } from "../checkpoint/safetensors.ts";
import { MdmError } from "../errors.ts";
import type { Pipelines } from "../gpu/recording.ts";
import { Tensor } from "../gpu/tensor.ts";
import type { Weights } from "../gpu/weights.ts";
import { Executable } from "../graph/executable.ts";
import { Graph } from "../graph/graph.ts";
import { origin, type Value } from "../graph/operation.ts";
import { type Network, TENSORS } from "../model/network.ts";
import { writeMicros, writeText, writeTimes } from "../model/network_inputs.ts";
import type { RowText } from "../model/text_inputs.ts";
import { channelsFirst, channelsLast, compare, type Comparison } from "./comparison.ts";

/** A network with what it takes to run it. */
export interface Runnable {
  readonly network: Network;
  readonly pipelines: Pipelines;
  readonly weights: Weights;
}

/** Recorded tensors that stand for module outputs are named so. */
const MODULE = "act.";

/** Runs one recorded forward pass, and compares every prediction and every recorded module output. */
export async function verifyForward(
  { network, pipelines, weights }: Runnable,
  recorded: Safetensors,
  tolerance: number,
): Promise<Comparison[]> {
  const times = await recorded.readFloat32("times");
  const texts = await recordedTexts(network, recorded);
  const rows = times.length;
  const sizes = {
    rows,
    tokens: Math.max(1, ...texts.map(({ length }) => length)),
    steps: 1,
  };
  const tensors = new Map<string, Tensor>();
  using _ = { [Symbol.dispose]: () => tensors.forEach((tensor) => tensor[Symbol.dispose]()) };
  const tensor = (name: string, shape: readonly number[]) => {
    const made = tensors.get(name) ?? new Tensor(pipelines.gpu, name, shape);
    tensors.set(name, made);
    return made;
  };
  for (const [name, shape] of network.tensors(sizes)) tensor(name, shape);

  const conditioning = network.conditioning(sizes);
  const step = new Graph();
  const pictures: Value[] = [];
  for (let level = 0; level < network.levels; level++) {
    const { shape: [count, channels, ...area] } = info(recorded, `x_t.${level}`);
    const name = `x_t.${level}`;
    pictures.push(step.input(name, [count!, ...area, channels!]));
    const data = channelsLast(await recorded.readFloat32(name), [count!, channels!, ...area]);
    tensor(name, pictures[level]!.shape).write(data);
  }
  const films = network.films(sizes, conditioning.outputs);
  const made = new Map([...conditioning.outputs, ...films.outputs]);
  const { predictions } = network.denoise(step, pictures, sizes, made);

  // Several recorded names may stand for one value: a block's output is that of its last layer.
  const wanted = new Map<string, { graph: Graph; value: Value }>();
  predictions.forEach((value, level) => wanted.set(`out.${level}`, { graph: step, value }));
  for (const name of recorded.tensors.keys()) {
    if (name.startsWith(MODULE)) wanted.set(name, findModule([conditioning, films, step], name));
  }
  const outputs = new Map<Value, string>(
    [...made].map(([name, value]) => [origin(value), name]),
  );
  for (const [name, { graph, value }] of wanted) {
    if (outputs.has(origin(value))) continue;
    outputs.set(origin(value), name);
    graph.output(name, value);
  }
  for (const [value, name] of outputs) tensor(name, value.shape);

  const environment = { pipelines, weights, tensors };
  using before = await Executable.make(conditioning, environment);
  using between = await Executable.make(films, environment);
  using during = await Executable.make(step, environment);
  writeText(network, texts, tensors);
  writeMicros(network, tensors, await recordedMicros(recorded));
  writeTimes(network, times, tensors);
  tensors.get(TENSORS.film)!.writeRaw(Uint32Array.from({ length: rows }, (_, row) => row));
  for (const executable of [before, between, during]) executable.submit();

  const results: Comparison[] = [];
  for (const [name, { value }] of wanted) {
    const ours = await tensors.get(outputs.get(origin(value))!)!.read();
    // Pictures are recorded channels first; text and embeddings lie as we have them.
    const aligned = value.shape.length === 4 ? channelsFirst(ours, value.shape) : ours;
    results.push(compare(name, aligned, await recorded.readFloat32(name), tolerance));
  }
  return results;
}

/** The texts of a recording's rows: `lm_outputs` and, unless it is a class, `lm_mask`. */
export async function recordedTexts(network: Network, recorded: Safetensors): Promise<RowText[]> {
  if (!network.takesText) return [];
  const [rows = 0, length = 0, width = 0] = info(recorded, "lm_outputs").shape;
  const features = await recorded.readFloat32("lm_outputs");
  const mask = recorded.tensors.has("lm_mask") ? await recorded.readFloat32("lm_mask") : null;
  return Array.from({ length: rows }, (_, row) => ({
    features: features.subarray(row * length * width, (row + 1) * length * width),
    length,
    mask: mask?.subarray(row * length, (row + 1) * length) ?? null,
  }));
}

/** The micro-conditions that a recording gives, `micros.<name>`, by name. */
export async function recordedMicros(
  recorded: Safetensors,
): Promise<Map<string, Float32Array>> {
  const micros = new Map<string, Float32Array>();
  for (const name of recorded.tensors.keys()) {
    const condition = /^micros\.(.*)$/.exec(name)?.[1];
    if (condition !== undefined) micros.set(condition, await recorded.readFloat32(name));
  }
  return micros;
}

function findModule(graphs: readonly Graph[], name: string): { graph: Graph; value: Value } {
  const path = name.slice(MODULE.length);
  for (const graph of graphs) {
    const value = graph.modules.get(path);
    if (value !== undefined) return { graph, value };
  }
  throw new MdmError(`Cannot compare "${name}": the model has no module "${path}".`);
}

function info(recorded: Safetensors, name: string): { readonly shape: readonly number[] } {
  const found = recorded.tensors.get(name);
  if (found === undefined) {
    throw new MdmError(`Cannot verify with "${recorded.path}": it holds no tensor "${name}".`);
  }
  return found;
}
