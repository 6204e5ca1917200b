import type { Node, Parameter } from "../../../src/graph/operation.ts";
import type { OnnxBuilder } from "../builder.ts";
import { onnxShape } from "../layout.ts";

interface Attributes {
  readonly frequencies: Parameter;
  readonly headWidth: number;
  readonly rotated: number;
}

/** Turns pairs of numbers of the first heads by the angle of their frame. */
export function rotary({ inputs, attributes, output }: Node, to: OnnxBuilder): string {
  const { frequencies, headWidth, rotated } = attributes as Attributes;
  const input = to.name(inputs[0]!);
  const [rows, width, frames, pixels] = onnxShape(output.shape) as [number, number, number, number];
  const numbers = Array.from({ length: frames }, (_, frame) => frame);
  const angles = to.add("Mul", [
    to.weights([frequencies], [headWidth / 2, 1, 1, 1]),
    to.floats(numbers, [1, 1, frames, 1]),
  ]);
  const [cos, sin] = [to.add("Cos", [angles]), to.add("Sin", [angles])];

  // [rows, heads, pairs of a head, 2, frames, pixels]
  const split = [rows, rotated / headWidth, headWidth / 2, 2, frames, pixels];
  const pairs = to.reshape(to.slice(input, 1, 0, rotated), split);
  const [a, b] = [to.slice(pairs, 3, 0, 1), to.slice(pairs, 3, 1, 2)];
  const times = (x: string, y: string) => to.add("Mul", [x, y]);
  const turned = to.add("Concat", [
    to.add("Sub", [times(a, cos), times(b, sin)]),
    to.add("Add", [times(b, cos), times(a, sin)]),
  ], { axis: { int: 3 } });
  const heads = to.reshape(turned, [rows, rotated, frames, pixels]);
  if (rotated === width) return heads;
  return to.add("Concat", [heads, to.slice(input, 1, rotated, width)], { axis: { int: 1 } });
}
