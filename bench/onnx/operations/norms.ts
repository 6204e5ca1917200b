import type { Activation } from "../../../src/gpu/activation.ts";
import type { Node, Parameter, Value } from "../../../src/graph/operation.ts";
import { elements } from "../../../src/graph/shape.ts";
import type { OnnxBuilder } from "../builder.ts";
import { channelsLast, fromChannelsLast, isPicture, onnxShape } from "../layout.ts";
import { unsupported } from "../unsupported.ts";
import { activated } from "./activation.ts";

/** PyTorch's default, and that of our own kernels. */
const EPSILON = 1e-5;

interface GroupNormAttributes {
  readonly weight: Parameter;
  readonly bias: Parameter;
  readonly groups: number;
  readonly activation: Activation;
  readonly filmOffset: number | null;
}

/** GroupNorm as PyTorch's exporter writes it: a group as the one channel of an InstanceNormalization. */
export function groupNorm(node: Node, to: OnnxBuilder): string {
  const { weight, bias, groups, activation, filmOffset } = node.attributes as GroupNormAttributes;
  const [input, film] = node.inputs;
  const { shape } = input!;
  if (!isPicture(shape)) throw unsupported(node, "its input is no picture");
  const [rows, channels] = [shape[0]!, shape.at(-1)!];
  const grouped = to.reshape(to.name(input!), [rows, groups, elements(shape.slice(1)) / groups]);
  const [ones, zeros] = [1, 0].map((value) =>
    to.floats(Array.from({ length: groups }, () => value), [groups])
  );
  const normalised = to.add("InstanceNormalization", [grouped, ones!, zeros!], {
    epsilon: { float: EPSILON },
  });
  const scaled = to.add("Mul", [
    to.reshape(normalised, onnxShape(shape)),
    to.weights([weight], [channels, 1, 1]),
  ]);
  let result = to.add("Add", [scaled, to.weights([bias], [channels, 1, 1])]);
  if (filmOffset !== null) result = filmed(to, result, film!, filmOffset, [rows, channels]);
  return activated(to, result, activation);
}

/** `x (1 + scale) + shift`, with a scale and a shift for each channel of each row. */
function filmed(
  to: OnnxBuilder,
  x: string,
  film: Value,
  offset: number,
  [rows, channels]: [number, number],
): string {
  const numbers = (start: number) => {
    const part = to.slice(to.name(film), 1, start, start + channels);
    return to.reshape(frames(to, part, [film.shape[0]!, channels], rows), [rows, channels, 1, 1]);
  };
  const scale = to.add("Add", [numbers(offset), to.floats([1])]);
  return to.add("Add", [to.add("Mul", [x, scale]), numbers(offset + channels)]);
}

/** Each row as often as it stands for a frame. */
function frames(
  to: OnnxBuilder,
  film: string,
  [filmRows, channels]: [number, number],
  rows: number,
): string {
  if (filmRows === rows) return film;
  const shape = to.integers([filmRows, rows / filmRows, channels]);
  return to.add("Expand", [to.reshape(film, [filmRows, 1, channels]), shape]);
}

interface LayerNormAttributes {
  readonly weight: Parameter;
  readonly bias?: Parameter;
  readonly epsilon: number;
}

/** Layer normalisation over the channels. */
export function layerNorm(node: Node, to: OnnxBuilder): string {
  const { weight, bias, epsilon } = node.attributes as LayerNormAttributes;
  if (bias === undefined) throw unsupported(node, "it is a root mean square norm");
  const [input] = node.inputs;
  const result = to.add("LayerNormalization", [
    channelsLast(to, input!),
    to.weights([weight], weight.shape),
    to.weights([bias], bias.shape),
  ], { axis: { int: -1 }, epsilon: { float: epsilon } });
  return fromChannelsLast(to, result, input!.shape);
}
