import type { Packing } from "../gpu/packing.ts";
import type { Graph } from "./graph.ts";
import {
  type Call,
  type Lowering,
  type Memory,
  type Node,
  origin,
  type Parameter,
  type Prologue,
  sources,
  type Statistics,
  type Target,
  type Value,
  type Weight,
} from "./operation.ts";

/** Gathers the kernel calls of a graph, and knows who reads what. */
export class GraphLowering implements Lowering {
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

  wantsStatistics(value: Value): boolean {
    return this.#readersOf(value).some((node) =>
      sources(node.inputs[0]!).some((input) => origin(input) === value) &&
      node.operation.readsStatistics?.(node, this) === true
    );
  }

  keepStatistics(value: Value, statistics: Statistics): void {
    if (hasOwnRows(value)) this.#statistics.set(origin(value), statistics);
  }

  statistics(value: Value): Statistics | undefined {
    return hasOwnRows(value) ? this.#statistics.get(origin(value)) : undefined;
  }

  canFusePrologue(value: Value): boolean {
    const [reader, ...others] = this.#readersOf(value);
    if (reader === undefined || others.length > 0 || this.#outputs.has(value)) return false;
    return reader.inputs.filter((input) => input === value).length === 1 &&
      reader.inputs[0] === value && reader.operation.fusesPrologue?.(reader, this) === true;
  }

  fusePrologue(value: Value, prologue: Prologue): void {
    this.#prologues.set(value, prologue);
  }

  prologue(value: Value): Prologue | undefined {
    return this.#prologues.get(value);
  }

  #readersOf(value: Value): readonly Node[] {
    return this.#readers.get(origin(value)) ?? [];
  }

  scratch(bytes: number): Memory {
    return { kind: "scratch", bytes };
  }

  constant(data: Uint32Array<ArrayBuffer>): Memory {
    return { kind: "constant", data };
  }

  weight(parameters: readonly Parameter[], packing: Packing): Memory {
    const key = `${parameters.map((p) => p.name).join("+")} ${packing.key}`;
    let weight = this.#weights.get(key);
    if (weight === undefined) this.#weights.set(key, weight = { key, parameters, packing });
    return { kind: "weight", weight };
  }
}

/** Whether the rows of a value are those of its memory: seen in another shape, they may be others. */
function hasOwnRows(value: Value): boolean {
  return origin(value).shape[0] === value.shape[0];
}
