/** One forward pass of a network as graphs, and the numbers that go into them. */
import type { Gpu } from "../../src/gpu/device.ts";
import { Tensor } from "../../src/gpu/tensor.ts";
import { Graph } from "../../src/graph/graph.ts";
import type { Shape } from "../../src/graph/shape.ts";
import { type Network, type NetworkSizes, TENSORS } from "../../src/model/network.ts";
import { writeMicros, writeText, writeTimes } from "../../src/model/network_inputs.ts";
import type { RowText } from "../../src/model/text_inputs.ts";

/** What is computed once a prompt, and what at every step from its outputs. */
export interface ForwardGraphs {
  /** In this order; each may read what those before it made. */
  readonly before: readonly Graph[];
  /** Pictures are `x_t.0`, `x_t.1`, ... and predictions `out.0`, `out.1`, ..., outermost first. */
  readonly step: Graph;
}

/** Sizes for so many rows, each at a time of its own. */
export function forwardSizes(rows: number, tokens: number): NetworkSizes {
  return { rows, tokens, steps: 1 };
}

/** A picture a row at each resolution, outermost first, which is `size` wide: [rows, height, width, channels]. */
export function pictures({ config }: Network, rows: number, size: number): Shape[] {
  const ratios = [...config.nestRatio, 1];
  return ratios.map((ratio) => {
    const side = size * ratio / ratios[0]!;
    return [rows, side, side, config.inputChannels];
  });
}

/** The graphs for pictures of some shapes, [rows, height, width, channels], outermost first. */
export function forwardGraphs(
  network: Network,
  sizes: NetworkSizes,
  shapes: readonly Shape[],
): ForwardGraphs {
  const conditioning = network.conditioning(sizes);
  const films = network.films(sizes, conditioning.outputs);
  const made = new Map([...conditioning.outputs, ...films.outputs]);
  const step = new Graph();
  const noisy = shapes.map((shape, level) => step.input(`x_t.${level}`, shape));
  const { predictions } = network.denoise(step, noisy, sizes, made);
  predictions.forEach((prediction, level) => step.output(`out.${level}`, prediction));
  return { before: [conditioning, films], step };
}

/** What a forward pass is given beside pictures. */
export interface ForwardInputs {
  readonly texts: readonly RowText[];
  /** A time a row. */
  readonly times: Float32Array;
  /** Micro-conditions by name; those that are left out are as the model was trained. */
  readonly micros?: ReadonlyMap<string, Float32Array>;
}

/** The tensors of a network, with the inputs written to them; they live as long as the device. */
export function writtenTensors(
  gpu: Gpu,
  network: Network,
  sizes: NetworkSizes,
  { texts, times, micros }: ForwardInputs,
): Map<string, Tensor> {
  const tensors = new Map(
    [...network.tensors(sizes)].map(([name, shape]) => [name, new Tensor(gpu, name, shape)]),
  );
  writeText(network, texts, tensors);
  writeMicros(network, tensors, micros);
  writeTimes(network, times, tensors);
  tensors.get(TENSORS.film)!.writeRaw(Uint32Array.from(times, (_, row) => row));
  return tensors;
}

/** The numbers of an input of a graph; row numbers are whole, and stay so. */
export async function readInput(tensor: Tensor, isIndex: boolean): Promise<Float32Array> {
  if (!isIndex) return await tensor.read();
  const bytes = await tensor.gpu.read(tensor.buffer);
  return Float32Array.from(new Uint32Array(bytes).subarray(0, tensor.shape.at(-1)!));
}
