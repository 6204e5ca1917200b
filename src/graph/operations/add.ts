import { type Activation, ACTIVATIONS } from "../../gpu/activation.ts";
import { elementwise, kernels } from "../../gpu/kernels.ts";
import { type Graph, need, type Operation, positions, type Value, vectors } from "../graph.ts";

const operation: Operation<{ activation: Activation }> = {
  name: "add",
  shape([a, b]) {
    need(String(a!.shape) === String(b!.shape), "both have to have one shape");
    return a!.shape;
  },
  lower([a, b], output, { activation }, to) {
    const invocations = positions(output.shape) * vectors(output.shape);
    to.emit(elementwise({
      kernel: kernels.add,
      invocations,
      params: { activation: ACTIVATIONS[activation] },
      buffers: { a: to.value(a!), b: to.value(b!), output: to.value(output) },
    }));
  },
};

/** `activation(a + b)`. */
export function add(graph: Graph, a: Value, b: Value, activation: Activation = "none"): Value {
  return graph.apply(operation, [a, b], { activation });
}
