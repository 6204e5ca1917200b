import { ACTIVATIONS } from "../../gpu/activation.ts";
import { convKernel } from "../../gpu/conv_algorithm.ts";
import { spread } from "../../gpu/kernel.ts";
import { elementwise, kernels } from "../../gpu/kernels.ts";
import { productBytes, PRODUCTS, TILE_SIDE, winogradPanels } from "../../gpu/winograd.ts";
import type { Lowering, Memory, Parameter, Prologue, Value } from "../operation.ts";

/** A convolution or linear layer with its sizes worked out and its memory named. */
export interface ConvCall {
  readonly rows: number;
  /** Channels of each source. */
  readonly inputs: readonly number[];
  readonly outputs: number;
  readonly height: number;
  readonly width: number;
  readonly outputHeight: number;
  readonly outputWidth: number;
  /** How often each pixel is read, down and across. */
  readonly upsample: readonly [number, number];
  readonly sources: Readonly<Record<string, Memory>>;
  /** What is computed of the sources while they are loaded. */
  readonly prologue: Prologue | undefined;
  readonly result: Value;
  /** What follows the sum: `shaders/conv_epilogue.wgsl`. */
  readonly epilogue: {
    readonly params: Readonly<Record<string, number>>;
    readonly buffers: Readonly<Record<string, Memory>>;
  };
  /** Multiplications and additions as written. */
  readonly flops: number;
}

/**
 * Memory for the statistics of a convolution's result where they will be read, else null.
 *
 * @param chunk Pixels whose statistics are taken together.
 */
export function keepStatistics(
  { rows, outputHeight, outputWidth, outputs, result }: ConvCall,
  chunk: number,
  to: Lowering,
): Memory | null {
  if (!to.wantsStatistics(result)) return null;
  const chunks = Math.ceil(outputHeight * outputWidth / chunk);
  const memory = to.scratch(rows * chunks * 2 * Math.ceil(outputs / 4) * 16);
  to.keepStatistics(result, { memory, chunk });
  return memory;
}

/** Bytes of each scratch of a piece of a convolution: what stays in a cache is read back fast, but weights are read once a piece. */
const PIECE_BYTES = 32 << 20;

/** Three calls for each piece of the image: tiles to 36 matrices, their products with the weights (a batched GEMM), products to pixels. */
export function lowerWinograd(
  call: ConvCall,
  weights: readonly Parameter[],
  to: Lowering,
): void {
  const { rows, inputs, outputs, outputHeight, outputWidth, prologue } = call;
  const tileRows = Math.ceil(outputHeight / TILE_SIDE);
  const tileColumns = Math.ceil(outputWidth / TILE_SIDE);
  const [vectors0, vectors1] = [inputs[0]!, inputs[1] ?? 0].map((n) => Math.ceil(n / 4)) as [
    number,
    number,
  ];
  const inputVectors = vectors0 + vectors1;
  const outputVectors = Math.ceil(outputs / 4);
  const chosen = convKernel(to.target.policy, {
    pixels: tileRows * tileColumns,
    outputs,
    depth: inputVectors,
    sources: 1,
    half: false,
    batched: true,
  });
  const { panel, tile, width } = chosen;
  const groups = productGroups({ outputs, inputs, panel }).map(([first, end]) => ({
    first,
    end,
    weight: to.weight(weights, winogradPanels({ outputs, inputs, panel, first, end })),
  }));
  const statistics = keepStatistics(call, TILE_SIDE * outputWidth, to);
  const lineBytes = PRODUCTS * tileColumns * Math.max(inputVectors, outputVectors) * 16;
  const allLines = rows * tileRows;
  const pieces = Math.ceil(allLines / Math.max(1, Math.floor(PIECE_BYTES / lineBytes)));
  const lines = Math.ceil(allLines / pieces);
  for (let firstLine = 0; firstLine < allLines; firstLine += lines) {
    const count = Math.min(lines, allLines - firstLine);
    const tiles = count * tileColumns;
    const transformed = to.scratch(PRODUCTS * tiles * inputVectors * 16);
    const products = to.scratch(PRODUCTS * tiles * outputVectors * 16);
    const places = { tileRows, tileColumns, firstLine, tiles };
    to.emit(elementwise({
      kernel: kernels.winogradInput,
      invocations: tiles * inputVectors,
      params: {
        ...places,
        inputHeight: call.height,
        inputWidth: call.width,
        upsample: call.upsample[0],
        vectors0,
        vectors1,
        useAffine: Number(prologue !== undefined),
        activation: ACTIVATIONS[prologue?.activation ?? "none"],
      },
      buffers: {
        ...call.sources,
        ...prologue && { affine: prologue.affine },
        output: transformed,
      },
    }));
    for (const { first, end, weight } of groups) {
      to.emit({
        kernel: chosen.kernel,
        constants: chosen.constants,
        params: {
          gemmPixels: tiles,
          gemms: end - first,
          firstGemm: first,
          gemmWeights: Math.ceil(outputs / panel) * 4 * inputVectors * (panel / width),
          inputHeight: 1,
          inputWidth: PRODUCTS * tiles,
          outputHeight: 1,
          outputWidth: PRODUCTS * tiles,
          ...POINTWISE,
          vectors0: inputVectors,
          vectors1: 0,
          outputVectors: outputVectors * (4 / width),
        },
        buffers: { weight, input0: transformed, output: products },
        workgroups: spread((end - first) * Math.ceil(tiles / tile), Math.ceil(outputs / panel)),
        // As the convolution is written, of which this does a quarter: so speeds can be compared.
        flops: call.flops * count / allLines * (end - first) / PRODUCTS,
      });
    }
    to.emit(elementwise({
      kernel: kernels.winogradOutput,
      constants: { NARROW: false },
      invocations: count * outputVectors,
      params: {
        ...places,
        outputHeight,
        outputWidth,
        outputVectors,
        ...call.epilogue.params,
        useStatistics: Number(statistics !== null),
      },
      buffers: { products, ...call.epilogue.buffers, ...statistics && { statistics } },
    }));
  }
}

/** Every device can bind as many bytes. */
const LARGEST_BINDING = 128 << 20;

/** Products, from one number to before another, whose weights can be bound together. */
function productGroups(shape: Parameters<typeof productBytes>[0]): [number, number][] {
  const size = Math.max(1, Math.floor(LARGEST_BINDING / productBytes(shape)));
  const count = Math.ceil(PRODUCTS / size);
  return Array.from({ length: count }, (_, i) => [
    Math.floor(i * PRODUCTS / count),
    Math.floor((i + 1) * PRODUCTS / count),
  ]);
}

/** Sums are stored as they are. */
export const NO_EPILOGUE = { activation: ACTIVATIONS.none, useBias: 0, useGate: 0, useResidual: 0 };

/** A product of matrices is a 1x1 convolution without an epilogue. */
const POINTWISE = {
  kernelHeight: 1,
  kernelWidth: 1,
  strideY: 1,
  strideX: 1,
  upsampleY: 1,
  upsampleX: 1,
  ...NO_EPILOGUE,
  useStatistics: 0,
};
