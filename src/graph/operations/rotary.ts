import { elementwise, kernels } from "../../gpu/kernels.ts";
import type { Packing } from "../../gpu/packing.ts";
import type { Graph } from "../graph.ts";
import { needShape, type Operation, type Parameter, type Value } from "../operation.ts";
import { need, positions, vectors } from "../shape.ts";

interface Attributes {
  readonly frequencies: Parameter;
  readonly headWidth: number;
  readonly rotated: number;
}

const operation: Operation<Attributes> = {
  name: "rotary",
  shape([input], { frequencies, headWidth, rotated }) {
    need(input!.shape.length === 4, "the input has to be [rows, frames, pixels, width]");
    need(headWidth % 4 === 0, `heads of ${headWidth} are not a multiple of 4`);
    needShape(frequencies, [headWidth / 2]);
    need(
      rotated % headWidth === 0 && rotated <= input!.shape[3]!,
      "only whole heads can be turned",
    );
    return input!.shape;
  },
  lower([input], output, { frequencies, headWidth, rotated }, to) {
    const [, frames = 1, pixels = 1] = input!.shape;
    const invocations = positions(output.shape) * vectors(output.shape);
    to.emit(elementwise({
      kernel: kernels.rotary,
      invocations,
      params: {
        frames,
        pixels,
        vectors: vectors(output.shape),
        rotated: rotated / 4,
        headVectors: headWidth / 4,
      },
      buffers: {
        table: to.weight([frequencies], turns(frames, headWidth)),
        input: to.value(input!),
        output: to.value(output),
      },
    }));
  },
};

/**
 * Turns the heads of the first `rotated` numbers of each position by its frame.
 *
 * @param input [rows, frames, pixels, width].
 * @param options.frequencies [headWidth / 2], in radians a frame.
 */
export function rotary(graph: Graph, input: Value, options: Attributes): Value {
  return graph.apply(operation, [input], options);
}

/** Cosine and sine of each pair of each frame: on the host, since a shader's are not exact at large angles. */
function turns(frames: number, headWidth: number): Packing {
  return {
    key: `turns ${frames} ${headWidth}`,
    bytes: frames * headWidth * 4,
    pack([frequencies]) {
      const table = new Float32Array(frames * headWidth);
      for (let frame = 0; frame < frames; frame++) {
        for (const [j, frequency] of frequencies!.entries()) {
          const angle = Math.fround(frame * frequency);
          table.set([Math.cos(angle), Math.sin(angle)], frame * headWidth + 2 * j);
        }
      }
      return table;
    },
  };
}
