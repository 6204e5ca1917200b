import { elementwise, kernels } from "../../gpu/kernels.ts";
import type { Graph } from "../graph.ts";
import type { Operation, Value } from "../operation.ts";
import { need, positions, vectors } from "../shape.ts";

interface Attributes {
  /** Frames in a row and in a column. */
  readonly grid: number;
  readonly toFrames: boolean;
}

const operation: Operation<Attributes> = {
  name: "mosaic",
  shape([input], { grid, toFrames }) {
    need(input!.shape.length === 4, "the input has to be [rows, height, width, channels]");
    const [rows = 1, height = 1, width = 1, channels = 1] = input!.shape;
    const frames = grid * grid;
    if (toFrames) {
      need(height % grid === 0 && width % grid === 0, `the image is no ${grid} x ${grid} frames`);
      return [rows * frames, height / grid, width / grid, channels];
    }
    need(rows % frames === 0, `${rows} frames do not fill mosaics of ${frames}`);
    return [rows / frames, height * grid, width * grid, channels];
  },
  lower([input], output, { grid, toFrames }, to) {
    const [, height = 1, width = 1] = (toFrames ? output : input!).shape;
    const invocations = positions(output.shape) * vectors(output.shape);
    to.emit(elementwise({
      kernel: kernels.mosaic,
      invocations,
      params: {
        grid,
        height,
        width,
        vectors: vectors(output.shape),
        toFrames: Number(toFrames),
      },
      buffers: { input: to.value(input!), output: to.value(output) },
    }));
  },
};

/** Cuts mosaics of `grid` x `grid` frames into frames, row by row: [rows * grid^2, height / grid, width / grid, channels]. */
export function framesOf(graph: Graph, mosaic: Value, grid: number): Value {
  return grid === 1 ? mosaic : graph.apply(operation, [mosaic], { grid, toFrames: true });
}

/** Puts frames together to mosaics, the inverse of {@link framesOf}. */
export function mosaicOf(graph: Graph, frames: Value, grid: number): Value {
  return grid === 1 ? frames : graph.apply(operation, [frames], { grid, toFrames: false });
}
