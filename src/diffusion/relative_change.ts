/** How much the features of the inner UNets change from one run of them to the next. */
import { kernels, rowPerWorkgroup, WORKGROUP } from "../gpu/kernels.ts";
import type { Graph } from "../graph/graph.ts";
import type { Operation, Value } from "../graph/operation.ts";
import { need, positions, vectors } from "../graph/shape.ts";

/** Vectors of which a workgroup sums up the change: many for each invocation, few enough to be parallel. */
const CHUNK = 64 * WORKGROUP;

const operation: Operation<null> = {
  name: "relativeChange",
  shape([fresh, kept]) {
    need(String(fresh!.shape) === String(kept!.shape), "both have to have one shape");
    return [fresh!.shape[0]!, Math.ceil(rowVectors(fresh!) / CHUNK), 2];
  },
  lower([fresh, kept], output, _, to) {
    const [rows = 1, rowChunks = 1] = output.shape;
    to.emit(rowPerWorkgroup({
      kernel: kernels.relativeChange,
      rows: rows * rowChunks,
      params: { rowVectors: rowVectors(fresh!), rowChunks, chunkVectors: CHUNK },
      buffers: { fresh: to.value(fresh!), kept: to.value(kept!), output: to.value(output) },
    }));
  },
};

/**
 * Measures how far a value is from the one that was kept, and keeps it instead: `kept` changes in place.
 *
 * @returns [rows, chunks, 2]: the squares of the change and of the value, summed up over chunks of each row.
 */
export function measureChange(graph: Graph, fresh: Value, kept: Value): Value {
  return graph.apply(operation, [fresh, kept], null);
}

/** The relative change of the first row, ||fresh - kept|| / ||fresh||, from the numbers that {@link measureChange} gives. */
export function relativeChange(sums: Float32Array, chunks: number): number {
  let [change, size] = [0, 0];
  for (let chunk = 0; chunk < chunks; chunk++) {
    change += sums[2 * chunk]!;
    size += sums[2 * chunk + 1]!;
  }
  return Math.sqrt(change / size);
}

function rowVectors({ shape }: Value): number {
  return positions(shape.slice(1)) * vectors(shape);
}
