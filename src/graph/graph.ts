import type { Lowering } from "./lowering.ts";

/** Sizes of a value, outermost first; pictures are [rows, height, width, channels]. */
export type Shape = readonly number[];

/**
 * A tensor that an operation will compute or that comes from outside. In memory the last dimension is padded with zeros to a
 * multiple of four, so that every value can be read as `array<vec4f>`.
 */
export interface Value {
  readonly shape: Shape;
  /** Where it was made: `inner_unet.up_blocks.1.resnets.0`. */
  readonly path: string;
  /** What computes it; null for an input. */
  readonly node: Node | null;
  /** The input's name; empty for computed values. */
  readonly name: string;
}

/** A tensor of the checkpoint, under the reference's name and in the reference's (PyTorch's) layout. */
export interface Parameter {
  readonly name: string;
  readonly shape: Shape;
}

/**
 * A kind of operation, declared once: what shape it gives, and which kernels compute it. Operations are pure (but for
 * `samplerUpdate`, which steps the latents in place, and `drift`, which keeps what it measured), so that a gradient rule can stand beside `lower` one day.
 */
export interface Operation<Attributes> {
  readonly name: string;
  /** The shape of the result. Throws an Error with the reason when the inputs do not fit. */
  shape(inputs: readonly Value[], attributes: Attributes): Shape;
  /** Emits the kernel calls. */
  lower(inputs: readonly Value[], output: Value, attributes: Attributes, to: Lowering): void;
  /** Whether a node can compute its first input while it loads it (see {@link Lowering.fusePrologue}). */
  readonly fusesPrologue?: (node: Node, to: Lowering) => boolean;
  /** Whether a node reads statistics of its first input's channels (see {@link Lowering.keepStatistics}). */
  readonly readsStatistics?: (node: Node, to: Lowering) => boolean;
}

/** An operation applied. */
export interface Node {
  readonly operation: Operation<unknown>;
  readonly attributes: unknown;
  readonly inputs: readonly Value[];
  readonly output: Value;
}

/** A mistake in how a model is put together, or in a configuration that cannot be built. */
export class GraphError extends Error {
  override name = "GraphError";
}

/**
 * A computation on symbolic values. A model is a function that calls operations on a graph; the order of the calls is
 * the order of execution.
 */
export class Graph {
  readonly nodes: Node[] = [];
  readonly inputs: Map<string, Value> = new Map();
  /** Values that must be there after a run, by name. */
  readonly outputs: Map<string, Value> = new Map();
  /** The result of each module, by its path: what `mdm verify` compares with recorded activations. */
  readonly modules: Map<string, Value> = new Map();
  #path = "";

  /** A value from outside; the plan binds the tensor of that name to it. */
  input(name: string, shape: Shape): Value {
    if (this.inputs.has(name)) throw new GraphError(`The graph has two inputs "${name}"`);
    const value = { shape, path: this.#path, node: null, name };
    this.inputs.set(name, value);
    return value;
  }

  /**
   * Asks for a computed value to be kept after a run, under a name.
   *
   * @throws {GraphError} When nothing would be written under that name: a kernel writes a value to one place.
   */
  output(name: string, value: Value): void {
    if (this.outputs.has(name)) throw new GraphError(`The graph has two outputs "${name}"`);
    const operation = origin(value).node?.operation.name;
    if (operation === undefined) throw new GraphError(`The output "${name}" is an input`);
    if (operation === "concat") throw new GraphError(`The output "${name}" is a concatenation`);
    for (const [other, kept] of this.outputs) {
      if (origin(kept) === origin(value)) {
        throw new GraphError(`The output "${name}" is the output "${other}"`);
      }
    }
    this.outputs.set(name, value);
  }

  /** Builds a module: what `build` does is said to happen at `path`, and its result is remembered as the module's. */
  module(path: string, build: () => Value): Value {
    const outer = this.#path;
    this.#path = path;
    try {
      const value = build();
      this.modules.set(path, value);
      return value;
    } finally {
      this.#path = outer;
    }
  }

  /**
   * Applies an operation.
   *
   * @throws {GraphError} When shapes do not fit; it names the operation, the module and the shapes.
   */
  apply<Attributes>(
    operation: Operation<Attributes>,
    inputs: readonly Value[],
    attributes: Attributes,
  ): Value {
    let shape: Shape;
    try {
      shape = operation.shape(inputs, attributes);
    } catch (error) {
      const shapes = inputs.map((input) => `[${input.shape.join(", ")}]`).join(", ");
      const place = this.#path === "" ? "" : ` in "${this.#path}"`;
      throw new GraphError(`${operation.name}${place} of ${shapes}: ${(error as Error).message}`);
    }
    const node = { operation: operation as Operation<unknown>, attributes, inputs } as {
      -readonly [K in keyof Node]: Node[K];
    };
    node.output = { shape, path: this.#path, node, name: "" };
    this.nodes.push(node);
    return node.output;
  }
}

/** The value whose memory a value is: another one where it is only seen in another shape. */
export function origin(value: Value): Value {
  return value.node?.operation.name === "reshape" ? origin(value.node.inputs[0]!) : value;
}

/** Vectors of four that the last dimension takes in memory. */
export function vectors(shape: Shape): number {
  return Math.ceil(shape.at(-1)! / 4);
}

/** How many times the last dimension stands in a shape. */
export function positions(shape: Shape): number {
  return shape.slice(0, -1).reduce((product, size) => product * size, 1);
}

/** Bytes in memory. */
export function byteLength(shape: Shape): number {
  return positions(shape) * vectors(shape) * 16;
}

/** Throws the reason unless a condition holds: for shape rules. */
export function need(condition: boolean, reason: string): asserts condition {
  if (!condition) throw new Error(reason);
}

/** Throws unless a parameter has a shape. */
export function needShape(parameter: Parameter, shape: Shape): void {
  const [has, needs] = [parameter.shape, shape].map((s) => `[${s.join(", ")}]`);
  need(has === needs, `"${parameter.name}" has shape ${has}, not ${needs}`);
}
