import { type Activation, ACTIVATIONS } from "../../gpu/activation.ts";
import { askedFor, convKernel } from "../../gpu/conv_algorithm.ts";
import type { ConvShape } from "../../gpu/conv_choice.ts";
import { spread } from "../../gpu/kernel.ts";
import { elementwise, kernels } from "../../gpu/kernels.ts";
import { panels, rowMajor } from "../../gpu/packing.ts";
import { usesWinograd } from "../../gpu/winograd.ts";
import type { Graph } from "../graph.ts";
import {
  type Lowering,
  type Memory,
  needShape,
  type Node,
  type Operation,
  type Parameter,
  sources,
  type Target,
  type Value,
} from "../operation.ts";
import { elements, need, type Shape } from "../shape.ts";
import { type ConvCall, keepStatistics, lowerWinograd, NO_EPILOGUE } from "./conv2d_winograd.ts";

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
      : imageShape(input!.shape, stride, upsample, outputs);
    need(extras.length === Number(gate) + Number(residual), "the gate or residual is missing");
    for (const extra of extras) {
      need(String(extra.shape) === String(shape), `the result is [${shape.join(", ")}]`);
    }
    return shape;
  },

  lower(inputs, output, attributes, to: Lowering) {
    const call = describe(inputs, output, attributes, to);
    const shape = shapeOf(inputs[0]!, output, attributes, to.target);
    if (isWinograd(shape, inputs[0]!, attributes, to)) lowerWinograd(call, attributes.weights, to);
    else lowerDirect(call, shape, attributes, to);
  },

  fusesPrologue({ inputs: [input], output, attributes }, to) {
    const of = attributes as Attributes;
    return isWinograd(shapeOf(input!, output, of, to.target), input!, of, to);
  },
};

function isWinograd(
  shape: ConvShape,
  input: Value,
  { kernel, stride }: Attributes,
  { target: { policy } }: Lowering,
): boolean {
  const asked = askedFor(policy, shape);
  return usesWinograd({ ...policy, ...asked && { convAlgorithm: asked.algorithm } }, {
    kernel,
    stride,
    pixels: shape.pixels,
    inputs: input.shape.at(-1)!,
    outputs: shape.outputs,
  });
}

/** What both algorithms are given: the one as written and Winograd's. */
function describe(
  [input, ...extras]: readonly Value[],
  output: Value,
  { biases, kernel, upsample, activation, gate, residual }: Attributes,
  to: Lowering,
): ConvCall {
  const prologue = to.prologue(input!);
  const parts = sources(prologue?.input ?? input!);
  const [rows = 1, ...area] = input!.shape.slice(0, -1);
  const isImage = area.length === 2;
  const [height, width] = isImage ? area as [number, number] : [1, elements(area)];
  const [outputHeight, outputWidth] = isImage
    ? output.shape.slice(1, 3) as [number, number]
    : [1, width];
  const outputs = output.shape.at(-1)!;
  return {
    rows,
    inputs: parts.map((part) => part.shape.at(-1)!),
    outputs,
    height,
    width,
    outputHeight,
    outputWidth,
    upsample,
    sources: {
      input0: to.value(parts[0]!),
      ...parts.length > 1 && { input1: to.value(parts[1]!) },
    },
    prologue,
    result: output,
    epilogue: {
      params: {
        activation: ACTIVATIONS[activation],
        useBias: Number(biases.length > 0),
        useGate: Number(gate),
        useResidual: Number(residual),
      },
      buffers: {
        ...biases.length > 0 && { bias: to.weight(biases, rowMajor(1, outputs)) },
        ...gate && { gate: to.value(extras[0]!) },
        ...residual && { residual: to.value(extras.at(-1)!) },
        output: to.value(output),
      },
    },
    flops: 2 * rows * outputHeight * outputWidth * outputs * input!.shape.at(-1)! *
      elements(kernel),
  };
}

/** One call that computes what is written. */
function lowerDirect(
  call: ConvCall,
  shape: ConvShape,
  { weights, kernel, stride, upsample }: Attributes,
  to: Lowering,
): void {
  const { rows, inputs, outputs, outputHeight, outputWidth } = call;
  const { half, pixels } = shape;
  const chosen = convKernel(to.target.policy, shape);
  const packing = { outputs, inputs, taps: elements(kernel), panel: chosen.panel, half };
  const statistics = chosen.statistics ? keepStatistics(call, chosen.tile, to) : null;
  // Split-K: parts of sums are stored as they are; the epilogue follows when they are added.
  const sums = chosen.splitK === 1
    ? null
    : to.scratch(chosen.splitK * rows * pixels * Math.ceil(outputs / 4) * 16);
  const epilogue = sums === null
    ? call.epilogue
    : { params: NO_EPILOGUE, buffers: { output: sums } };
  // Statistics are of one row's pixels, so that each row is a GEMM; without them a tile may have pixels of several rows.
  const [gemmPixels, gemms] = statistics === null ? [rows * pixels, 1] : [pixels, rows];
  to.emit({
    kernel: chosen.kernel,
    constants: chosen.constants,
    params: {
      gemmPixels,
      gemms,
      firstGemm: 0,
      gemmWeights: 0,
      inputHeight: call.height,
      inputWidth: call.width,
      outputHeight,
      outputWidth,
      kernelHeight: kernel[0],
      kernelWidth: kernel[1],
      strideY: stride[0],
      strideX: stride[1],
      upsampleY: upsample[0],
      upsampleX: upsample[1],
      vectors0: Math.ceil(inputs[0]! / 4),
      vectors1: Math.ceil((inputs[1] ?? 0) / 4),
      outputVectors: Math.ceil(outputs / 4) * (4 / chosen.width),
      ...epilogue.params,
      useStatistics: Number(statistics !== null),
    },
    buffers: {
      weight: to.weight(weights, panels(packing)),
      ...call.sources,
      ...epilogue.buffers,
      ...statistics && { statistics },
    },
    workgroups: spread(
      gemms * Math.ceil(gemmPixels / chosen.tile),
      Math.ceil(outputs / chosen.panel) * chosen.splitK,
    ),
    flops: call.flops,
  });
  if (sums !== null) addParts(call, sums, chosen.splitK, to);
}

/** Adds the parts of split sums, and computes the epilogue. */
function addParts(
  { rows, outputs, outputHeight, outputWidth, epilogue }: ConvCall,
  sums: Memory,
  splitK: number,
  to: Lowering,
): void {
  const outputVectors = Math.ceil(outputs / 4);
  to.emit(elementwise({
    kernel: kernels.convSum,
    constants: { NARROW: false },
    invocations: rows * outputHeight * outputWidth * outputVectors,
    params: { splitK, outputVectors, ...epilogue.params },
    buffers: { sums, ...epilogue.buffers },
  }));
}

/** What the choice of a kernel depends on. */
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
    depth: elements(kernel) *
      parts.reduce((sum, part) => sum + Math.ceil(part.shape.at(-1)! / 4), 0),
    sources: parts.length,
    half: weights.every(({ name }) => target.isHalf(name)),
  };
}

/** The shape of a node that is a convolution or linear layer, else null. */
export function convShape(node: Node, target: Pick<Target, "isHalf">): ConvShape | null {
  if (node.operation as unknown !== conv) return null;
  return shapeOf(node.inputs[0]!, node.output, node.attributes as Attributes, target);
}

/** Options of {@link conv2d} and {@link convTemporal}. */
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
export function convTemporal(graph: Graph, input: Value, options: ConvOptions): Value {
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

function imageShape(input: Shape, stride: Pair, upsample: Pair, outputs: number): Shape {
  need(input.length === 4, "the input has to be [rows, height, width, channels]");
  const size = (axis: 0 | 1) => Math.ceil(input[axis + 1]! * upsample[axis] / stride[axis]);
  return [input[0]!, size(0), size(1), outputs];
}

function outputCount(parameters: readonly Parameter[]): number {
  return parameters.reduce((sum, parameter) => sum + parameter.shape[0]!, 0);
}
