import { type Node, type Operation, origin, type Value } from "./operation.ts";
import type { Shape } from "./shape.ts";

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
