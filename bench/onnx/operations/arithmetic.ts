import type { Activation } from "../../../src/gpu/activation.ts";
import type { Node, Value } from "../../../src/graph/operation.ts";
import { elements } from "../../../src/graph/shape.ts";
import type { OnnxBuilder } from "../builder.ts";
import { onnxShape } from "../layout.ts";
import { activated } from "./activation.ts";

/** `activation(a + b)`; a `b` of [rows, width] is added to every position of its row. */
export function add({ inputs, attributes }: Node, to: OnnxBuilder): string {
  const { activation } = attributes as { activation: Activation };
  const [a, b] = inputs as [Value, Value];
  const once = [b.shape[0]!, ...a.shape.slice(1, -1).map(() => 1), b.shape.at(-1)!];
  const addend = a.shape.length === b.shape.length
    ? to.name(b)
    : to.reshape(to.name(b), onnxShape(once));
  return activated(to, to.add("Add", [to.name(a), addend]), activation);
}

/** The mean of blocks of pixels. */
export function averagePool({ inputs, attributes }: Node, to: OnnxBuilder): string {
  const { ratio } = attributes as { ratio: number };
  const window = { ints: [ratio, ratio] };
  return to.add("AveragePool", [to.name(inputs[0]!)], { kernel_shape: window, strides: window });
}

/** The standard deviation of each row, unbiased: [rows, 1]. */
export function deviation({ inputs }: Node, to: OnnxBuilder): string {
  const [input] = inputs;
  const rows = input!.shape[0]!;
  const count = elements(input!.shape) / rows;
  const flat = to.reshape(to.name(input!), [rows, count]);
  const mean = (x: string) =>
    to.add("ReduceMean", [x], { axes: { ints: [1] }, keepdims: { int: 1 } });
  const centred = to.add("Sub", [flat, mean(flat)]);
  const variance = mean(to.add("Mul", [centred, centred]));
  return to.add("Sqrt", [to.add("Mul", [variance, to.floats([count / (count - 1)])])]);
}

/** All rows several times, each divided by its divisor where there is one. */
export function repeatRows({ inputs, attributes }: Node, to: OnnxBuilder): string {
  const { times } = attributes as { times: number };
  const [input, divisor] = inputs;
  const copies = Array.from({ length: times }, () => to.name(input!));
  const rows = times === 1 ? copies[0]! : to.add("Concat", copies, { axis: { int: 0 } });
  if (divisor === undefined) return rows;
  const divisors = to.reshape(to.name(divisor), [
    divisor.shape[0]!,
    ...input!.shape.slice(1).map(() => 1),
  ]);
  const repeated = Array.from({ length: times }, () => divisors);
  return to.add("Div", [
    rows,
    times === 1 ? divisors : to.add("Concat", repeated, { axis: { int: 0 } }),
  ]);
}

/** The sum over positions of weights [rows, positions] times values [rows, positions, width]. */
export function weightedSum({ inputs, output }: Node, to: OnnxBuilder): string {
  const [values, weights] = inputs;
  const [rows, positions] = weights!.shape as [number, number];
  const row = to.reshape(to.name(weights!), [rows, 1, positions]);
  return to.reshape(to.add("MatMul", [row, to.name(values!)]), output.shape);
}
