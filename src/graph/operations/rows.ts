import { elementwise, kernels, rowPerWorkgroup } from "../../gpu/kernels.ts";
import type { Graph } from "../graph.ts";
import type { Operation, Value } from "../operation.ts";
import { elements, need, positions, vectors } from "../shape.ts";

const deviationOperation: Operation<null> = {
  name: "deviation",
  shape: ([input]) => [input!.shape[0]!, 1],
  lower([input], output, _, to) {
    const [rows = 1, ...area] = input!.shape.slice(0, -1);
    to.emit(rowPerWorkgroup({
      kernel: kernels.deviation,
      rows,
      params: {
        pixels: elements(area),
        vectors: vectors(input!.shape),
        channels: input!.shape.at(-1)!,
      },
      buffers: { input: to.value(input!), output: to.value(output) },
    }));
  },
};

/** The standard deviation of each row (unbiased, as torch.std): [rows, 1]. */
export function deviation(graph: Graph, input: Value): Value {
  return graph.apply(deviationOperation, [input], null);
}

const repeatOperation: Operation<{ times: number }> = {
  name: "repeatRows",
  shape([input, divisor], { times }) {
    if (divisor !== undefined) {
      need(
        String(divisor.shape) === String([input!.shape[0], 1]),
        "the divisor has to be [rows, 1]",
      );
    }
    return [input!.shape[0]! * times, ...input!.shape.slice(1)];
  },
  lower([input, divisor], output, _, to) {
    const rowVectors = positions(input!.shape.slice(1)) * vectors(input!.shape);
    const invocations = output.shape[0]! * rowVectors;
    to.emit(elementwise({
      kernel: kernels.repeatRows,
      invocations,
      params: {
        rowVectors,
        inputRows: input!.shape[0]!,
        useDivisor: Number(divisor !== undefined),
      },
      buffers: {
        input: to.value(input!),
        ...divisor && { divisor: to.value(divisor) },
        output: to.value(output),
      },
    }));
  },
};

/** All rows, then all again, `times` times; each divided by its `divisor` ([rows, 1]) if given. */
export function repeatRows(graph: Graph, input: Value, times: number, divisor?: Value): Value {
  return graph.apply(repeatOperation, divisor === undefined ? [input] : [input, divisor], {
    times,
  });
}

const sumOperation: Operation<null> = {
  name: "weightedSum",
  shape([input, weights]) {
    need(input!.shape.length === 3, "the input has to be [rows, positions, width]");
    need(
      String(weights!.shape) === String(input!.shape.slice(0, 2)),
      "the weights have to be [rows, positions]",
    );
    return [input!.shape[0]!, input!.shape[2]!];
  },
  lower([input, weights], output, _, to) {
    const invocations = output.shape[0]! * vectors(output.shape);
    to.emit(elementwise({
      kernel: kernels.weightedSum,
      invocations,
      params: {
        positions: input!.shape[1]!,
        vectors: vectors(input!.shape),
        weightStride: vectors(weights!.shape) * 4,
      },
      buffers: {
        weights: to.value(weights!),
        input: to.value(input!),
        output: to.value(output),
      },
    }));
  },
};

/** The sum over positions of `weights` [rows, positions] times `input` [rows, positions, width]: [rows, width]. */
export function weightedSum(graph: Graph, input: Value, weights: Value): Value {
  return graph.apply(sumOperation, [input, weights], null);
}
