/** Random numbers that are the same each time: weights that keep a deep network's activations in bounds, and inputs. */
import type { TensorDescription, TensorFile } from "../../src/checkpoint/tensor_file.ts";
import type { WrittenDtype } from "../../src/checkpoint/write_safetensors.ts";
import type { Parameter } from "../../src/graph/operation.ts";
import { elements, type Shape } from "../../src/graph/shape.ts";

/** Evenly distributed numbers with mean 0 and deviation 1, told apart by `name`. */
export function randomNumbers(name: string, shape: Shape): Float32Array<ArrayBuffer> {
  return fill(name, 0, elements(shape), { centre: 0, width: Math.sqrt(3) });
}

/** The weights of a model as if they were in a file. */
export class RandomWeights implements TensorFile {
  readonly path = "random weights";
  readonly files = [];
  readonly format = "random weights";
  readonly unreadable = new Map<string, string>();
  readonly tensors: ReadonlyMap<string, TensorDescription>;

  constructor(parameters: Iterable<Parameter>, dtype: WrittenDtype) {
    this.tensors = new Map(
      [...parameters].map(({ name, shape }) => [name, { name, shape, dtype }]),
    );
  }

  readFloat32(name: string): Promise<Float32Array> {
    return this.readFloat32Range(name, 0, elements(this.tensors.get(name)!.shape));
  }

  readFloat32Range(name: string, start: number, count: number): Promise<Float32Array> {
    const { shape, dtype } = this.tensors.get(name)!;
    const numbers = fill(name, start, count, spread(name, shape));
    return Promise.resolve(
      dtype === "F16" ? Float32Array.from(Float16Array.from(numbers)) : numbers,
    );
  }

  close(): void {}
  [Symbol.dispose](): void {}
}

interface Spread {
  readonly centre: number;
  readonly width: number;
}

/** As wide as keeps the size of what goes through: norms near 1, biases small, the rest by the root of their inputs. */
function spread(name: string, shape: Shape): Spread {
  if (shape.length > 1) return { centre: 0, width: Math.sqrt(3 / elements(shape.slice(1))) };
  return name.endsWith("weight") ? { centre: 1, width: 0.3 } : { centre: 0, width: 0.3 };
}

/** Numbers `start` to `start + count` of an endless row that `name` names. */
function fill(
  name: string,
  start: number,
  count: number,
  { centre, width }: Spread,
): Float32Array<ArrayBuffer> {
  const numbers = new Float32Array(count);
  const seed = hash(name);
  for (let i = 0; i < count; i++) {
    numbers[i] = centre + width * (scrambled(seed + start + i) / 2 ** 31 - 1);
  }
  return numbers;
}

/** FNV-1a. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) value = Math.imul(value ^ text.charCodeAt(i), 0x01000193);
  return value >>> 0;
}

/** A 32 bit number that looks random (the finalizer of MurmurHash3). */
function scrambled(counter: number): number {
  let h = counter >>> 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
