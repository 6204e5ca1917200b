import { type Activation, ACTIVATIONS } from "../../gpu/activation.ts";
import { type ConvShape, convVariant } from "../../gpu/conv_variant.ts";
import { spread } from "../../gpu/kernel.ts";
import { elementwise, kernels } from "../../gpu/kernels.ts";
import { panels, rowMajor } from "../../gpu/packing.ts";
import {
  type Graph,
  need,
  needShape,
  type Node,
  type Operation,
  type Parameter,
  type Shape,
  type Value,
  vectors,
} from "../graph.ts";
import { elements, type Lowering, sources, type Target } from "../lowering.ts";

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

const NO_EPILOGUE = { activation: ACTIVATIONS.none, useBias: 0, useGate: 0, useResidual: 0 };

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
    const pixels = rows * outputHeight * outputWidth;
    const outputs = output.shape.at(-1)!;
    const shape = shapeOf(input!, output, attributes, to.target);
    const variant = convVariant(to.target.gpu, shape);
    const weight = to.weight(
      weights,
      panels({
        outputs,
        inputs: parts.map((part) => part.shape.at(-1)!),
        taps: elements(kernel),
        panel: variant.panel,
        half: shape.half,
      }),
    );
    const epilogue = {
      params: {
        activation: ACTIVATIONS[activation],
        useBias: Number(biases.length > 0),
        useGate: Number(gate),
        useResidual: Number(residual),
      },
      buffers: {
        output: to.value(output),
        ...biases.length > 0 && { bias: to.weight(biases, rowMajor(1, outputs)) },
        ...gate && { gate: to.value(extras[0]!) },
        ...residual && { residual: to.value(extras.at(-1)!) },
      },
    };
    // Parts of sums are stored as they are; the epilogue follows when they are added.
    const sums = to.scratch(variant.parts * pixels * vectors(output.shape) * 16);
    const { params, buffers } = variant.parts === 1
      ? epilogue
      : { params: NO_EPILOGUE, buffers: { output: sums } };
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
        ...params,
      },
      buffers: {
        weight,
        input0: to.value(parts[0]!),
        ...parts.length > 1 && { input1: to.value(parts[1]!) },
        ...buffers,
      },
      workgroups: spread(
        Math.ceil(pixels / variant.tile),
        Math.ceil(outputs / variant.panel) * variant.parts,
      ),
      flops: 2 * pixels * outputs * input!.shape.at(-1)! * elements(kernel),
    });
    if (variant.parts === 1) return;
    to.emit(elementwise({
      kernel: kernels.convSum,
      constants: { NARROW: false },
      invocations: pixels * vectors(output.shape),
      params: {
        parts: variant.parts,
        outputVectors: vectors(output.shape),
        ...epilogue.params,
      },
      buffers: { sums, ...epilogue.buffers },
    }));
  },
};

/** What the choice of a variant depends on. */
function shapeOf(
  input: Value,
  { shape }: Value,
  { weights, kernel }: Attributes,
  target: Pick<Target, "isHalf">,
): ConvShape {
  const parts = sources(input);
  return {
    pixels: elements(shape.slice(1, -1)),
    outputs: shape.at(-1)!,
    depth: elements(kernel) * parts.reduce((sum, part) => sum + vectors(part.shape), 0),
    sources: parts.length,
    half: weights.every(({ name }) => target.isHalf(name)),
  };
}

/** The shape of a node that is a convolution or linear layer, else null. */
export function convShape(node: Node, target: Pick<Target, "isHalf">): ConvShape | null {
  if (node.operation as unknown !== conv) return null;
  return shapeOf(node.inputs[0]!, node.output, node.attributes as Attributes, target);
}

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
