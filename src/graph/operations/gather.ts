import { elementwise, kernels } from "../../gpu/kernels.ts";
import { rowMajor } from "../../gpu/packing.ts";
import type { Graph } from "../graph.ts";
import type { Memory, Operation, Parameter, Value } from "../operation.ts";
import { elements, need, type Shape, vectors } from "../shape.ts";

/** Rows to take: known when the plan is made, or a value of whole numbers from outside. */
type Ids = Uint32Array<ArrayBuffer> | Value;

interface Attributes {
  /** Null: the table is the first input. */
  readonly table: Parameter | null;
  readonly ids: Uint32Array<ArrayBuffer> | null;
}

const operation: Operation<Attributes> = {
  name: "gather",
  shape(inputs, { table, ids }) {
    const tableShape: Shape = table?.shape ?? inputs[0]!.shape;
    need(tableShape.length === 2, "the table has to be [rows, width]");
    need(
      inputs.every((input) => input.node === null),
      "the table and the ids have to be inputs of the graph",
    );
    return [...ids === null ? inputs.at(-1)!.shape : [ids.length], tableShape[1]!];
  },
  lower(inputs, output, { table, ids }, to) {
    const [tableRows, width] = (table?.shape ?? inputs[0]!.shape) as [number, number];
    const tableMemory: Memory = table === null
      ? to.value(inputs[0]!)
      : to.weight([table], rowMajor(tableRows, width));
    const invocations = elements(output.shape.slice(0, -1)) * vectors(output.shape);
    to.emit(elementwise({
      kernel: kernels.gather,
      invocations,
      params: { vectors: vectors(output.shape), tableRows },
      buffers: {
        table: tableMemory,
        ids: ids === null ? to.value(inputs.at(-1)!) : to.constant(ids),
        output: to.value(output),
      },
    }));
  },
};

/**
 * Rows of a table, one for each id. Both the table (unless a parameter) and the ids (unless constant) have to be inputs of the
 * graph: shaders read them as they read weights. Ids are u32, one after the other without padding.
 *
 * @returns [...ids' shape, width].
 */
export function gather(graph: Graph, table: Parameter | Value, ids: Ids): Value {
  const isParameter = !("node" in table);
  const constant = ids instanceof Uint32Array;
  return graph.apply(
    operation,
    [...isParameter ? [] : [table], ...constant ? [] : [ids]],
    { table: isParameter ? table : null, ids: constant ? ids : null },
  );
}
