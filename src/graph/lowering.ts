import type { KernelTarget } from "../gpu/device.ts";
import type { Dispatch } from "../gpu/kernel.ts";
import type { Packing } from "../gpu/packing.ts";
import { origin, type Parameter, type Shape, type Value } from "./graph.ts";

/** Memory that a kernel call reads or writes, before it has a place. */
export type Memory =
  | { readonly kind: "value"; readonly value: Value }
  | { readonly kind: "scratch"; readonly bytes: number }
  | { readonly kind: "weight"; readonly weight: Weight }
  | { readonly kind: "constant"; readonly data: Uint32Array<ArrayBuffer> };

/** Tensors of a checkpoint in the layout that a kernel reads. */
export interface Weight {
  /** Names what it is, so that graphs of one model share it. */
  readonly key: string;
  readonly parameters: readonly Parameter[];
  readonly packing: Packing;
}

/** A kernel call whose memory has no place yet. */
export type Call = Dispatch<Memory>;

/** What decides which kernels are chosen. */
export interface Target {
  readonly gpu: KernelTarget;
  /** Whether a tensor of the checkpoint is kept in 16 bits. */
  isHalf(name: string): boolean;
}

/** What an operation lowers itself to: the one place where kernel calls are gathered. */
export class Lowering {
  readonly calls: Call[] = [];
  readonly #weights = new Map<string, Weight>();
  readonly #values = new Map<Value, Memory>();

  constructor(readonly target: Target) {}

  /** Every weight that was asked for. */
  get weights(): readonly Weight[] {
    return [...this.#weights.values()];
  }

  emit(call: Call): void {
    this.calls.push(call);
  }

  /** The memory of a value. */
  value(given: Value): Memory {
    const value = origin(given);
    if (value.node?.operation.name === "concat") {
      throw new Error(
        `The concatenation made in "${value.path}" can be read by conv2d and groupNorm only`,
      );
    }
    let memory = this.#values.get(value);
    if (memory === undefined) this.#values.set(value, memory = { kind: "value", value });
    return memory;
  }

  /** Memory that lives from its first to its last call. */
  scratch(bytes: number): Memory {
    return { kind: "scratch", bytes };
  }

  /** Whole numbers known when the plan is made. */
  constant(data: Uint32Array<ArrayBuffer>): Memory {
    return { kind: "constant", data };
  }

  /** Parameters packed for a kernel (concatenated in their first dimension where there are several). */
  weight(parameters: readonly Parameter[], packing: Packing): Memory {
    const key = `${parameters.map((p) => p.name).join("+")} ${packing.key}`;
    let weight = this.#weights.get(key);
    if (weight === undefined) this.#weights.set(key, weight = { key, parameters, packing });
    return { kind: "weight", weight };
  }
}

/** Values that a reader of a concatenation reads one after the other, itself where it is none. */
export function sources(value: Value): readonly Value[] {
  return value.node?.operation.name === "concat" ? value.node.inputs : [value];
}

/** Multiplied sizes. */
export function elements(shape: Shape): number {
  return shape.reduce((product, size) => product * size, 1);
}
