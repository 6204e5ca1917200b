/**
 * How values lie in an ONNX model: pictures, which are [rows, height, width, channels] in a graph of ours, have their
 * channels second, as everywhere in ONNX and PyTorch. All that is not a picture lies as it is.
 */
import type { Value } from "../../src/graph/operation.ts";
import type { Shape } from "../../src/graph/shape.ts";
import type { OnnxBuilder } from "./builder.ts";

/** Whether a value has its channels second. */
export function isPicture(shape: Shape): boolean {
  return shape.length === 4;
}

/** A value's shape in ONNX. */
export function onnxShape(shape: Shape): Shape {
  if (!isPicture(shape)) return shape;
  const [rows = 1, height = 1, width = 1, channels = 1] = shape;
  return [rows, channels, height, width];
}

/** The axis of the channels, in ONNX. */
export function channelAxis(shape: Shape): number {
  return isPicture(shape) ? 1 : shape.length - 1;
}

/** The value with its channels last. */
export function channelsLast(to: OnnxBuilder, value: Value): string {
  const name = to.name(value);
  return isPicture(value.shape) ? to.transpose(name, [0, 2, 3, 1]) : name;
}

/** What has its channels last, as a value of that shape lies. */
export function fromChannelsLast(to: OnnxBuilder, name: string, shape: Shape): string {
  return isPicture(shape) ? to.transpose(name, [0, 3, 1, 2]) : name;
}
