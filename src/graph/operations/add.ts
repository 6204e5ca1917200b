import { type Activation, ACTIVATIONS } from "../../gpu/activation.ts";
import { elementwise, kernels } from "../../gpu/kernels.ts";
import type { Graph } from "../graph.ts";
import type { Operation, Value } from "../operation.ts";
import { need, positions, vectors } from "../shape.ts";

const operation: Operation<{ activation: Activation }> = {
  name: "add",
  shape([a, b]) {
    const once = [a!.shape[0], a!.shape.at(-1)];
    need(
      [a!.shape, once].some((shape) => String(b!.shape) === String(shape)),
      `both have to have one shape, or the second [${once.join(", ")}]`,
    );
    return a!.shape;
  },
  lower([a, b], output, { activation }, to) {
    to.emit(elementwise({
      kernel: kernels.add,
      invocations: positions(output.shape) * vectors(output.shape),
      params: {
        activation: ACTIVATIONS[activation],
        vectors: vectors(output.shape),
        repeat: positions(output.shape) / positions(b!.shape),
      },
      buffers: { a: to.value(a!), b: to.value(b!), output: to.value(output) },
    }));
  },
};

/** `activation(a + b)`; a `b` of [rows, width] is added to every position of its row. */
export function add(graph: Graph, a: Value, b: Value, activation: Activation = "none"): Value {
  return graph.apply(operation, [a, b], { activation });
}
