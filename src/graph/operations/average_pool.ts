import { elementwise, kernels } from "../../gpu/kernels.ts";
import type { Graph } from "../graph.ts";
import type { Operation, Value } from "../operation.ts";
import { need, positions, vectors } from "../shape.ts";

const operation: Operation<{ ratio: number }> = {
  name: "averagePool",
  shape([input], { ratio }) {
    const [rows, height, width, channels] = input!.shape;
    need(input!.shape.length === 4, "the input has to be [rows, height, width, channels]");
    need(
      height! % ratio === 0 && width! % ratio === 0,
      `the image is not divisible by ${ratio}`,
    );
    return [rows!, height! / ratio, width! / ratio, channels!];
  },
  lower([input], output, { ratio }, to) {
    const invocations = positions(output.shape) * vectors(output.shape);
    to.emit(elementwise({
      kernel: kernels.averagePool,
      invocations,
      params: {
        outputHeight: output.shape[1]!,
        outputWidth: output.shape[2]!,
        vectors: vectors(output.shape),
        ratio,
      },
      buffers: { input: to.value(input!), output: to.value(output) },
    }));
  },
};

/** The mean of each `ratio` x `ratio` block (PyTorch's avg_pool2d): [rows, height / ratio, width / ratio, channels]. */
export function averagePool(graph: Graph, input: Value, ratio: number): Value {
  return graph.apply(operation, [input], { ratio });
}
