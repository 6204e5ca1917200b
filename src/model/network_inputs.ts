/** Writing a network's inputs, for whoever runs it: sampling and comparing with recordings. */
import type { Tensor } from "../gpu/tensor.ts";
import { type Network, TENSORS } from "./network.ts";
import { type RowText, textNumbers } from "./text_inputs.ts";
import { microTime, timestepEmbedding } from "./timestep_embedding.ts";

/** A network's tensors by name. */
type Tensors = ReadonlyMap<string, Tensor>;

/** Writes texts, one row's after the other, from row `first` on, where the network takes text. */
export function writeText(
  network: Network,
  texts: readonly RowText[],
  tensors: Tensors,
  first = 0,
): void {
  if (!network.takesText) return;
  const [, tokens = 0] = tensors.get(TENSORS.mask)!.shape;
  const numbers = textNumbers(network.config, texts, tokens);
  for (const name of ["features", "mask", "pool"] as const) {
    tensors.get(TENSORS[name])!.write(numbers[name], first);
  }
}

/** Writes times of steps, one row's after the other, from row `first` on. */
export function writeTimes(
  network: Network,
  times: ArrayLike<number>,
  tensors: Tensors,
  first = 0,
): void {
  for (const dim of network.temporalDims) {
    tensors.get(TENSORS.times(dim))!.write(embeddings(times, dim), first);
  }
}

/** Writes every UNet's micro-conditions: a value a row where one is given, else what the model was trained with. */
export function writeMicros(
  network: Network,
  tensors: Tensors,
  given: ReadonlyMap<string, Float32Array> = new Map(),
): void {
  for (const { path, config: { microConditioning, temporalDim } } of network.unet.unets) {
    for (const { name, default: trained } of microConditioning) {
      const tensor = tensors.get(TENSORS.micro(path, name))!;
      const values = given.get(name) ?? new Float32Array(tensor.shape[0]!).fill(trained);
      tensor.write(embeddings(values.map((value) => microTime(name, value, trained)), temporalDim));
    }
  }
}

/** The sines and cosines of each time, one row after the other. */
function embeddings(times: ArrayLike<number>, temporalDim: number): Float32Array {
  const table = new Float32Array(times.length * temporalDim / 4);
  Array.from(times).forEach((time, i) => {
    table.set(timestepEmbedding(time, temporalDim), i * temporalDim / 4);
  });
  return table;
}
