import { kernels, rowPerWorkgroup } from "../../gpu/kernels.ts";
import { rowMajor } from "../../gpu/packing.ts";
import type { Graph } from "../graph.ts";
import { needShape, type Operation, type Parameter, type Value } from "../operation.ts";
import { positions, vectors } from "../shape.ts";

interface Attributes {
  readonly weight: Parameter;
  /** Absent: RMSNorm. */
  readonly bias?: Parameter;
  readonly epsilon: number;
}

const norm: Operation<Attributes> = {
  name: "layerNorm",
  shape([input], { weight, bias }) {
    needShape(weight, [input!.shape.at(-1)!]);
    if (bias !== undefined) needShape(bias, [input!.shape.at(-1)!]);
    return input!.shape;
  },
  lower([input], output, { weight, bias, epsilon }, to) {
    const width = input!.shape.at(-1)!;
    to.emit(rowPerWorkgroup({
      kernel: kernels.layerNorm,
      rows: positions(input!.shape),
      params: {
        width,
        vectors: vectors(input!.shape),
        epsilon,
        rms: Number(bias === undefined),
      },
      buffers: {
        weight: to.weight([weight], rowMajor(1, width)),
        ...bias && { bias: to.weight([bias], rowMajor(1, width)) },
        input: to.value(input!),
        output: to.value(output),
      },
    }));
  },
};

/** Layer normalisation over the last dimension (PyTorch's nn.LayerNorm). */
export function layerNorm(graph: Graph, input: Value, weight: Parameter, bias: Parameter): Value {
  return graph.apply(norm, [input], { weight, bias, epsilon: 1e-5 });
}

/** Root mean square normalisation over the last dimension (T5's layer norm: no mean, no bias). */
export function rmsNorm(graph: Graph, input: Value, weight: Parameter, epsilon: number): Value {
  return graph.apply(norm, [input], { weight, epsilon });
}
