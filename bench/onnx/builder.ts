import type { Node, Parameter, Value } from "../../src/graph/operation.ts";
import type { Shape } from "../../src/graph/shape.ts";
import type { OnnxAttribute, OnnxData, OnnxInitializer, OnnxNode } from "./model.ts";

/** Gathers the nodes of an ONNX model; every method gives the name of its result. */
export class OnnxBuilder {
  readonly nodes: OnnxNode[] = [];
  readonly #initializers = new Map<string, OnnxInitializer>();
  readonly #names = new Map<Value, string>();
  #count = 0;
  #path = "";

  get initializers(): readonly OnnxInitializer[] {
    return [...this.#initializers.values()];
  }

  /** Says which name a value of the graph has. */
  bind(value: Value, name: string): void {
    this.#names.set(value, name);
  }

  /** The name of a value that was bound. */
  name(value: Value): string {
    const name = this.#names.get(value);
    if (name === undefined) throw new Error(`A value of "${value.path}" is read before it is made`);
    return name;
  }

  /** Translates a node: what is added next is named after it. */
  translate(node: Node, translate: (node: Node, to: OnnxBuilder) => string): void {
    this.#path = node.output.path;
    this.bind(node.output, translate(node, this));
  }

  /** Adds a node with one result. */
  add(
    operation: string,
    inputs: readonly string[],
    attributes: Readonly<Record<string, OnnxAttribute>> = {},
  ): string {
    const name = `${this.#path}/${operation}_${this.#count++}`;
    this.nodes.push({ operation, name, inputs, outputs: [name], attributes });
    return name;
  }

  /** Adds a node whose result has a name of its own. */
  rename(input: string, name: string): void {
    this.nodes.push({
      operation: "Identity",
      name: `${name}/Identity`,
      inputs: [input],
      outputs: [name],
      attributes: {},
    });
  }

  /** Numbers, shaped as said: one number unless said otherwise. */
  floats(values: readonly number[], shape: Shape = []): string {
    return this.#constant(`floats ${shape} ${values}`, shape, { kind: "floats", values });
  }

  /** Whole numbers in a row: shapes, axes, indices. */
  integers(values: readonly number[]): string {
    return this.#constant(`integers ${values}`, [values.length], { kind: "integers", values });
  }

  /** Tensors of the checkpoint, which follow each other in the first dimension of `shape`. */
  weights(parameters: readonly Parameter[], shape: Shape): string {
    const names = parameters.map(({ name }) => name).join("+");
    return this.#constant(`${names} ${shape}`, shape, {
      kind: "weights",
      parameters,
      transposed: false,
    });
  }

  /** Weights of a linear layer, [outputs, inputs], as MatMul reads them: [inputs, outputs]. */
  transposedWeights(parameters: readonly Parameter[], [outputs, inputs]: [number, number]): string {
    const names = parameters.map(({ name }) => name).join("+");
    return this.#constant(`${names} transposed`, [inputs, outputs], {
      kind: "weights",
      parameters,
      transposed: true,
    });
  }

  reshape(input: string, shape: Shape): string {
    return this.add("Reshape", [input, this.integers(shape)]);
  }

  transpose(input: string, order: readonly number[]): string {
    return this.add("Transpose", [input], { perm: { ints: order } });
  }

  /** The numbers from `start` to `end` along an axis. */
  slice(input: string, axis: number, start: number, end: number): string {
    const [starts, ends, axes] = [start, end, axis].map((index) => this.integers([index]));
    return this.add("Slice", [input, starts!, ends!, axes!]);
  }

  #constant(name: string, shape: Shape, data: OnnxData): string {
    if (!this.#initializers.has(name)) this.#initializers.set(name, { name, shape, data });
    return name;
  }
}
