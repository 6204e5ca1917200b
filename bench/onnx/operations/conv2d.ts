import type { Activation } from "../../../src/gpu/activation.ts";
import type { Node, Parameter, Value } from "../../../src/graph/operation.ts";
import { elements } from "../../../src/graph/shape.ts";
import type { OnnxBuilder } from "../builder.ts";
import { isPicture } from "../layout.ts";
import { activated } from "./activation.ts";

interface Attributes {
  readonly weights: readonly Parameter[];
  readonly biases: readonly Parameter[];
  readonly kernel: readonly [number, number];
  readonly stride: readonly [number, number];
  readonly upsample: readonly [number, number];
  readonly activation: Activation;
  readonly gate: boolean;
  readonly residual: boolean;
}

/** A convolution, or a linear layer over the last dimension, with what follows it. */
export function conv2d(node: Node, to: OnnxBuilder): string {
  const { gate, residual, activation } = node.attributes as Attributes;
  const [input, ...extras] = node.inputs;
  const sum = isPicture(input!.shape) ? convolution(node, input!, to) : linear(node, input!, to);
  let result = activated(to, sum, activation);
  if (gate) result = to.add("Mul", [result, to.name(extras[0]!)]);
  if (residual) result = to.add("Add", [result, to.name(extras.at(-1)!)]);
  return result;
}

function convolution({ attributes, output }: Node, input: Value, to: OnnxBuilder): string {
  const { weights, biases, kernel, stride, upsample } = attributes as Attributes;
  const outputs = output.shape.at(-1)!;
  const enlarged = elements(upsample) === 1 ? to.name(input) : repeated(to, input, upsample);
  const padding = kernel.map((size) => (size - 1) / 2);
  return to.add("Conv", [
    enlarged,
    to.weights(weights, [outputs, input.shape.at(-1)!, ...kernel]),
    ...biases.length > 0 ? [to.weights(biases, [outputs])] : [],
  ], {
    kernel_shape: { ints: kernel },
    strides: { ints: stride },
    pads: { ints: [...padding, ...padding] },
  });
}

/** Each pixel several times (nearest neighbour). */
function repeated(to: OnnxBuilder, input: Value, times: readonly [number, number]): string {
  const scales = to.floats([1, 1, ...times], [4]);
  return to.add("Resize", [to.name(input), "", scales], {
    mode: { text: "nearest" },
    coordinate_transformation_mode: { text: "asymmetric" },
    nearest_mode: { text: "floor" },
  });
}

function linear({ attributes, output }: Node, input: Value, to: OnnxBuilder): string {
  const { weights, biases } = attributes as Attributes;
  const [outputs, inputs] = [output.shape.at(-1)!, input.shape.at(-1)!];
  const bias = biases.length > 0 ? [to.weights(biases, [outputs])] : [];
  const x = to.name(input);
  if (input.shape.length === 2) {
    const matrix = to.weights(weights, [outputs, inputs]);
    return to.add("Gemm", [x, matrix, ...bias], { transB: { int: 1 } });
  }
  const product = to.add("MatMul", [x, to.transposedWeights(weights, [outputs, inputs])]);
  return bias.length === 0 ? product : to.add("Add", [product, ...bias]);
}
