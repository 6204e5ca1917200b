import type { Graph } from "../graph.ts";
import type { Operation, Value } from "../operation.ts";
import { need } from "../shape.ts";

const concatenation: Operation<null> = {
  name: "concat",
  shape([a, b]) {
    need(
      String(a!.shape.slice(0, -1)) === String(b!.shape.slice(0, -1)),
      "all but the channels have to agree",
    );
    need(a!.shape.at(-1)! % 4 === 0, "the first one's channels have to be a multiple of 4");
    return [...a!.shape.slice(0, -1), a!.shape.at(-1)! + b!.shape.at(-1)!];
  },
  // Nothing is copied: conv2d and groupNorm read one after the other.
  lower() {},
};

/** The channels of `a`, then those of `b`. */
export function concat(graph: Graph, a: Value, b: Value): Value {
  return graph.apply(concatenation, [a, b], null);
}
