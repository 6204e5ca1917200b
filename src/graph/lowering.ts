import type { Activation } from "../gpu/activation.ts";
import type { Dispatch } from "../gpu/kernel.ts";
import type { KernelPolicy } from "../gpu/kernel_policy.ts";
import type { Packing } from "../gpu/packing.ts";
import { type Graph, type Node, origin, type Parameter, type Shape, type Value } from "./graph.ts";

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

/** What decides which kernels are chosen; `Weights` are one. */
export interface Target {
  readonly policy: KernelPolicy;
  /** Whether a tensor of the checkpoint is kept in 16 bits. */
  isHalf(name: string): boolean;
}

/** Means and squared deviations of each channel over chunks of a value's pixels, as `shaders/group_norm_stats.wgsl` lays them out. */
export interface Statistics {
  readonly memory: Memory;
  /** Pixels of a chunk; the last one of a row may have fewer. */
  readonly chunk: number;
}

/** A normalisation that its reader computes while it loads its input, `activation(input * scale + shift)`: a fused prologue. */
export interface Prologue {
  readonly input: Value;
  /** Scales and shifts, as `shaders/group_norm_affine.wgsl` lays them out. */
  readonly affine: Memory;
  readonly activation: Activation;
}

/** What an operation lowers itself to: the one place where kernel calls are gathered. */
export class Lowering {
  readonly calls: Call[] = [];
  readonly #weights = new Map<string, Weight>();
  readonly #values = new Map<Value, Memory>();
  readonly #readers = new Map<Value, Node[]>();
  readonly #outputs: ReadonlySet<Value>;
  readonly #statistics = new Map<Value, Statistics>();
  readonly #prologues = new Map<Value, Prologue>();

  constructor(graph: Graph, readonly target: Target) {
    this.#outputs = new Set([...graph.outputs.values()].map(origin));
    for (const node of graph.nodes) {
      for (const input of node.inputs.flatMap(sources).map(origin)) {
        const readers = this.#readers.get(input);
        if (readers === undefined) this.#readers.set(input, [node]);
        else readers.push(node);
      }
    }
  }

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

  /** Whether statistics of a value will be read: then its producer may keep them. */
  wantsStatistics(value: Value): boolean {
    return this.#readersOf(value).some((node) =>
      sources(node.inputs[0]!).some((input) => origin(input) === value) &&
      node.operation.readsStatistics?.(node, this) === true
    );
  }

  /** Says where the statistics of a value are. */
  keepStatistics(value: Value, statistics: Statistics): void {
    if (origin(value) === value) this.#statistics.set(value, statistics);
  }

  /** The statistics of a value's rows, if anything has computed them. */
  statistics(value: Value): Statistics | undefined {
    const kept = origin(value);
    // Seen in another shape, its rows may be others.
    return kept.shape[0] === value.shape[0] ? this.#statistics.get(kept) : undefined;
  }

  /** Whether a value's only reader can compute it as a prologue: then it need not be stored. */
  canFusePrologue(value: Value): boolean {
    const [reader, ...others] = this.#readersOf(value);
    if (reader === undefined || others.length > 0 || this.#outputs.has(value)) return false;
    return reader.inputs.filter((input) => input === value).length === 1 &&
      reader.inputs[0] === value && reader.operation.fusesPrologue?.(reader, this) === true;
  }

  /** Leaves a value to its reader, as a prologue. */
  fusePrologue(value: Value, prologue: Prologue): void {
    this.#prologues.set(value, prologue);
  }

  /** The prologue that stands for a value, if it was left to its reader. */
  prologue(value: Value): Prologue | undefined {
    return this.#prologues.get(value);
  }

  #readersOf(value: Value): readonly Node[] {
    return this.#readers.get(origin(value)) ?? [];
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
