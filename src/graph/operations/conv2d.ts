import { type Activation, ACTIVATIONS } from "../../gpu/activation.ts";
import { convVariant } from "../../gpu/conv_variant.ts";
import { spread } from "../../gpu/kernel.ts";
import { kernels } from "../../gpu/kernels.ts";
import { panels, rowMajor } from "../../gpu/packing.ts";
import {
  type Graph,
  need,
  needShape,
  type Operation,
  type Parameter,
  type Shape,
  type Value,
  vectors,
} from "../graph.ts";
import { elements, type Lowering, sources } from "../lowering.ts";

/** What may follow the sum of a convolution or linear layer, in this order. */
export interface Epilogue {
  readonly activation?: Activation;
  /** Multiplied with the result. */
  readonly gate?: Value;
  /** Added to the result, last. */
  readonly residual?: Value;
}

interface Attributes {
  /** [outputs, inputs] or [outputs, inputs, k, k]; several stand one after the other in the outputs. */
  readonly weights: readonly Parameter[];
  readonly biases: readonly Parameter[];
  readonly kernelSize: number;
  readonly stride: number;
  readonly upsample: number;
  readonly activation: Activation;
  readonly gate: boolean;
  readonly residual: boolean;
}

const conv: Operation<Attributes> = {
  name: "conv2d",

  shape(inputs, { weights, biases, kernelSize, stride, upsample, gate, residual }) {
    const [input, ...extras] = inputs;
    const channels = input!.shape.at(-1)!;
    for (const weight of weights) {
      const tail = weight.shape.slice(1);
      need(
        elements(tail) === channels * kernelSize * kernelSize && tail[0] === channels,
        `"${weight.name}" has shape [${
          weight.shape.join(", ")
        }] but the input has ${channels} channels`,
      );
    }
    const outputs = outputCount(weights);
    need(
      biases.length === 0 || outputCount(biases) === outputs,
      `"${biases[0]?.name}" does not fit ${outputs} outputs`,
    );
    const shape = kernelSize === 1 && stride === 1 && upsample === 1
      ? [...input!.shape.slice(0, -1), outputs]
      : picture(input!.shape, stride, upsample, outputs);
    need(extras.length === Number(gate) + Number(residual), "the gate or residual is missing");
    for (const extra of extras) {
      need(String(extra.shape) === String(shape), `the result is [${shape.join(", ")}]`);
    }
    return shape;
  },

  lower([input, ...extras], output, attributes, to: Lowering) {
    const { weights, biases, kernelSize, stride, upsample, gate, residual, activation } =
      attributes;
    const parts = sources(input!);
    const [rows = 1, ...area] = input!.shape.slice(0, -1);
    const [height, width] = area.length === 2 ? area as [number, number] : [1, elements(area)];
    const [outputHeight, outputWidth] = area.length === 2
      ? output.shape.slice(1, 3) as [number, number]
      : [1, width];
    const pixels = rows * outputHeight * outputWidth;
    const outputs = output.shape.at(-1)!;
    const variant = convVariant(to.gpu, outputHeight * outputWidth, parts.length);
    const weight = to.weight(
      weights,
      panels({
        outputs,
        inputs: parts.map((part) => part.shape.at(-1)!),
        taps: kernelSize * kernelSize,
        panel: variant.panel,
      }),
    );
    to.emit({
      kernel: kernels.conv,
      constants: variant.constants,
      params: {
        pixels,
        inputHeight: height,
        inputWidth: width,
        outputHeight,
        outputWidth,
        kernelSize,
        stride,
        upsample,
        vectors0: vectors(parts[0]!.shape),
        vectors1: parts.length > 1 ? vectors(parts[1]!.shape) : 0,
        outputVectors: vectors(output.shape),
        activation: ACTIVATIONS[activation],
        useBias: Number(biases.length > 0),
        useGate: Number(gate),
        useResidual: Number(residual),
      },
      buffers: {
        weight,
        input0: to.value(parts[0]!),
        output: to.value(output),
        ...parts.length > 1 && { input1: to.value(parts[1]!) },
        ...biases.length > 0 && { bias: to.weight(biases, rowMajor(1, outputs)) },
        ...gate && { gate: to.value(extras[0]!) },
        ...residual && { residual: to.value(extras.at(-1)!) },
      },
      workgroups: spread(
        Math.ceil(pixels / variant.tile),
        Math.ceil(outputs / variant.panel),
      ),
      flops: 2 * pixels * outputs * input!.shape.at(-1)! * kernelSize * kernelSize,
    });
  },
};

/** Options of {@link conv2d}. */
export interface ConvOptions extends Epilogue {
  readonly weight: Parameter;
  readonly bias: Parameter;
  readonly stride?: 1 | 2;
  /** 2 reads each pixel twice in both directions first (nearest neighbour). */
  readonly upsample?: 1 | 2;
}

/**
 * A convolution with a square kernel and "same" padding.
 *
 * @param input [rows, height, width, channels]; may be a concatenation.
 * @returns [rows, ceil(height * upsample / stride), ..., outputs].
 */
export function conv2d(graph: Graph, input: Value, options: ConvOptions): Value {
  const { weight, bias, stride = 1, upsample = 1 } = options;
  return apply(graph, input, [weight], [bias], weight.shape.at(-1)!, stride, upsample, options);
}

/** Options of {@link linear}. Several parameters give their outputs one after the other. */
export interface LinearOptions extends Epilogue {
  readonly weight: Parameter | readonly Parameter[];
  readonly bias?: Parameter | readonly Parameter[];
}

/**
 * A linear layer (or 1x1 convolution) over the last dimension: `x W^T + b`.
 *
 * @param input [..., inputs]; may be a concatenation.
 * @returns [..., outputs].
 */
export function linear(graph: Graph, input: Value, options: LinearOptions): Value {
  const { weight, bias = [] } = options;
  return apply(graph, input, [weight].flat(), [bias].flat(), 1, 1, 1, options);
}

function apply(
  graph: Graph,
  input: Value,
  weights: readonly Parameter[],
  biases: readonly Parameter[],
  kernelSize: number,
  stride: number,
  upsample: number,
  { activation = "none", gate, residual }: Epilogue,
): Value {
  for (const bias of biases) needShape(bias, [bias.shape[0]!]);
  return graph.apply(
    conv,
    [input, ...gate === undefined ? [] : [gate], ...residual === undefined ? [] : [residual]],
    {
      weights,
      biases,
      kernelSize,
      stride,
      upsample,
      activation,
      gate: gate !== undefined,
      residual: residual !== undefined,
    },
  );
}

function picture(input: Shape, stride: number, upsample: number, outputs: number): Shape {
  need(input.length === 4, "the input has to be [rows, height, width, channels]");
  const size = (n: number) => Math.ceil(n * upsample / stride);
  return [input[0]!, size(input[1]!), size(input[2]!), outputs];
}

function outputCount(parameters: readonly Parameter[]): number {
  return parameters.reduce((sum, parameter) => sum + parameter.shape[0]!, 0);
}
