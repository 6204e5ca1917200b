import type { Graph } from "../graph.ts";
import type { Operation, Value } from "../operation.ts";
import { elements, need, type Shape } from "../shape.ts";

const operation: Operation<{ shape: Shape }> = {
  name: "reshape",
  shape([input], { shape }) {
    need(
      elements(shape) === elements(input!.shape) && shape.at(-1) === input!.shape.at(-1),
      `cannot be seen as [${
        shape.join(", ")
      }]: the last dimension and the number of numbers have to stay`,
    );
    return shape;
  },
  // The memory is the input's: see Lowering.value.
  lower() {},
};

/** The same numbers in another shape; the last dimension stays, and nothing is copied. */
export function reshape(graph: Graph, input: Value, shape: Shape): Value {
  return graph.apply(operation, [input], { shape });
}
