/** Operations that move numbers and do not change them. */
import type { Node, Parameter } from "../../../src/graph/operation.ts";
import type { OnnxBuilder } from "../builder.ts";
import { channelAxis, channelsLast, fromChannelsLast } from "../layout.ts";

/** The channels of two values after each other. */
export function concat({ inputs, output }: Node, to: OnnxBuilder): string {
  return to.add("Concat", inputs.map((input) => to.name(input)), {
    axis: { int: channelAxis(output.shape) },
  });
}

/** Another shape for numbers that lie with their channels last. */
export function reshape({ inputs, output }: Node, to: OnnxBuilder): string {
  const reshaped = to.reshape(channelsLast(to, inputs[0]!), output.shape);
  return fromChannelsLast(to, reshaped, output.shape);
}

/** Rows of a table. */
export function gather({ inputs, attributes }: Node, to: OnnxBuilder): string {
  const { table, ids } = attributes as { table: Parameter | null; ids: Uint32Array | null };
  const rows = table === null ? to.name(inputs[0]!) : to.weights([table], table.shape);
  const indices = ids === null ? to.name(inputs.at(-1)!) : to.integers([...ids]);
  return to.add("Gather", [rows, indices], { axis: { int: 0 } });
}

/** Mosaics to frames, or back. */
export function mosaic({ inputs, output, attributes }: Node, to: OnnxBuilder): string {
  const { grid, toFrames } = attributes as { grid: number; toFrames: boolean };
  const [mosaics, frames] = toFrames ? [inputs[0]!, output] : [output, inputs[0]!];
  const [rows = 1, , , channels = 1] = mosaics.shape;
  const [, height = 1, width = 1] = frames.shape;
  const input = to.name(inputs[0]!);
  if (toFrames) {
    const cut = to.reshape(input, [rows, channels, grid, height, grid, width]);
    const order = to.transpose(cut, [0, 2, 4, 1, 3, 5]);
    return to.reshape(order, [rows * grid * grid, channels, height, width]);
  }
  const cut = to.reshape(input, [rows, grid, grid, channels, height, width]);
  const order = to.transpose(cut, [0, 3, 1, 4, 2, 5]);
  return to.reshape(order, [rows, channels, grid * height, grid * width]);
}
