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

type Pair = readonly [number, number];

const ONE: Pair = [1, 1];

interface Attributes {
  /** [outputs, inputs, ...kernel]; several stand one after the other in the outputs. */
  readonly weights: readonly Parameter[];
  readonly biases: readonly Parameter[];
  /** Height and width, as the next two. */
  readonly kernel: Pair;
  readonly stride: Pair;
  /** How often each pixel is read (nearest neighbour). */
  readonly upsample: Pair;
  readonly activation: Activation;
  readonly gate: boolean;
  readonly residual: boolean;
}

const conv: Operation<Attributes> = {
  name: "conv2d",

  shape(inputs, { weights, biases, kernel, stride, upsample, gate, residual }) {
    const [input, ...extras] = inputs;
    const channels = input!.shape.at(-1)!;
    for (const weight of weights) {
      const [, inputChannels, ...taps] = weight.shape;
      need(
        inputChannels === channels && elements(taps) === elements(kernel),
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
    const shape = [kernel, stride, upsample].every((pair) => elements(pair) === 1)
      ? [...input!.shape.slice(0, -1), outputs]
      : picture(input!.shape, stride, upsample, outputs);
    need(extras.length === Number(gate) + Number(residual), "the gate or residual is missing");
    for (const extra of extras) {
      need(String(extra.shape) === String(shape), `the result is [${shape.join(", ")}]`);
    }
    return shape;
  },

  lower([input, ...extras], output, attributes, to: Lowering) {
    const { weights, biases, kernel, stride, upsample, gate, residual, activation } = attributes;
    const parts = sources(input!);
    const [rows = 1, ...area] = input!.shape.slice(0, -1);
    const [height, width] = area.length === 2 ? area as [number, number] : [1, elements(area)];
    const [outputHeight, outputWidth] = area.length === 2
      ? output.shape.slice(1, 3) as [number, number]
      : [1, width];
    const outputPixels = outputHeight * outputWidth;
    const pixels = rows * outputPixels;
    const outputs = output.shape.at(-1)!;
    const half = weights.every(({ name }) => to.target.isHalf(name));
    const variant = convVariant(to.target.gpu, {
      pixels: outputPixels,
      outputs,
      sources: parts.length,
      half,
    });
    const weight = to.weight(
      weights,
      panels({
        outputs,
        inputs: parts.map((part) => part.shape.at(-1)!),
        taps: elements(kernel),
        panel: variant.panel,
        half,
      }),
    );
    to.emit({
      kernel: variant.kernel,
      constants: variant.constants,
      params: {
        span: pixels,
        spans: 1,
        weightSpan: 0,
        inputHeight: height,
        inputWidth: width,
        outputHeight,
        outputWidth,
        kernelHeight: kernel[0],
        kernelWidth: kernel[1],
        strideY: stride[0],
        strideX: stride[1],
        upsampleY: upsample[0],
        upsampleX: upsample[1],
        vectors0: vectors(parts[0]!.shape),
        vectors1: parts.length > 1 ? vectors(parts[1]!.shape) : 0,
        outputVectors: vectors(output.shape) * (variant.constants.NARROW ? 2 : 1),
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
      flops: 2 * pixels * outputs * input!.shape.at(-1)! * elements(kernel),
    });
  },
};

/** Options of {@link conv2d} and {@link convTime}. */
export interface ConvOptions extends Epilogue {
  readonly weight: Parameter;
  readonly bias: Parameter;
  readonly stride?: 1 | 2;
  /** 2 reads each pixel twice first (nearest neighbour). */
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
  const size = weight.shape.at(-1)!;
  return apply(graph, input, [weight], [bias], options, {
    kernel: [size, size],
    stride: [stride, stride],
    upsample: [upsample, upsample],
  });
}

/**
 * A convolution over time (PyTorch's nn.Conv1d), each pixel for itself.
 *
 * @param input [rows, frames, pixels, channels].
 * @returns [rows, ceil(frames * upsample / stride), pixels, outputs].
 */
export function convTime(graph: Graph, input: Value, options: ConvOptions): Value {
  const { weight, bias, stride = 1, upsample = 1 } = options;
  return apply(graph, input, [weight], [bias], options, {
    kernel: [weight.shape.at(-1)!, 1],
    stride: [stride, 1],
    upsample: [upsample, 1],
  });
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
  const window = { kernel: ONE, stride: ONE, upsample: ONE };
  return apply(graph, input, [weight].flat(), [bias].flat(), options, window);
}

function apply(
  graph: Graph,
  input: Value,
  weights: readonly Parameter[],
  biases: readonly Parameter[],
  { activation = "none", gate, residual }: Epilogue,
  window: Pick<Attributes, "kernel" | "stride" | "upsample">,
): Value {
  for (const bias of biases) needShape(bias, [bias.shape[0]!]);
  return graph.apply(
    conv,
    [input, ...gate === undefined ? [] : [gate], ...residual === undefined ? [] : [residual]],
    {
      weights,
      biases,
      ...window,
      activation,
      gate: gate !== undefined,
      residual: residual !== undefined,
    },
  );
}

function picture(input: Shape, stride: Pair, upsample: Pair, outputs: number): Shape {
  need(input.length === 4, "the input has to be [rows, height, width, channels]");
  const size = (axis: 0 | 1) => Math.ceil(input[axis + 1]! * upsample[axis] / stride[axis]);
  return [input[0]!, size(0), size(1), outputs];
}

function outputCount(parameters: readonly Parameter[]): number {
  return parameters.reduce((sum, parameter) => sum + parameter.shape[0]!, 0);
}
