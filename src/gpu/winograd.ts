/** Winograd's F(4x4, 3x3) (Lavin & Gray, arXiv 1509.09308): 36 multiplications for 16 pixels instead of 144. */
import type { KernelPolicy } from "./kernel_policy.ts";
import type { Packing } from "./packing.ts";

/** Products of matrices that a convolution becomes. */
export const PRODUCTS = 36;

/** Pixels in a row of an output tile. */
export const TILE_SIDE = 4;

/** What the choice depends on. */
export interface WinogradShape {
  readonly kernel: readonly [number, number];
  readonly stride: readonly [number, number];
  /** Output pixels of one row. */
  readonly pixels: number;
  readonly inputs: number;
  readonly outputs: number;
}

/** Channels, and pixels times channels, from which on the transforms cost less than they save: measured on a software adapter. */
const WIDE = 128;
const LARGE = 1 << 15;

/** Whether a convolution is computed by Winograd's algorithm: if it can be and that is faster. */
export function usesWinograd(
  { deviceClass, convAlgorithm, compact = false }: KernelPolicy,
  { kernel, stride, pixels, inputs, outputs }: WinogradShape,
): boolean {
  if (String(kernel) !== "3,3" || String(stride) !== "1,1") return false;
  if (convAlgorithm !== undefined) return convAlgorithm === "winograd";
  const channels = Math.min(inputs, outputs);
  return deviceClass === "software" && !compact && channels >= WIDE && pixels * channels >= LARGE;
}

/** What transformed weights need to be packed. */
export interface WinogradPanelShape {
  readonly outputs: number;
  /** Channels of each source, of which each starts at a vector of its own. */
  readonly inputs: readonly number[];
  /** Output channels of a panel. */
  readonly panel: number;
  /** The products whose weights are wanted: from `first` to before `end`. */
  readonly first: number;
  readonly end: number;
}

/** Bytes of one product's weights. */
export function productBytes(
  { outputs, inputs, panel }: Pick<WinogradPanelShape, "outputs" | "inputs" | "panel">,
): number {
  const rows = inputs.reduce((sum, channels) => sum + Math.ceil(channels / 4) * 4, 0);
  return Math.ceil(outputs / panel) * panel * rows * 4;
}

/**
 * Weights of a 3x3 convolution, [outputs, inputs, 3, 3], transformed (G g G^T) and laid out as matrices one after the other, each in
 * panels as those of a linear layer. Always 32 bits: 16 would lose what the transform adds.
 */
export function winogradPanels(shape: WinogradPanelShape): Packing {
  const { outputs, inputs, panel, first: firstProduct, end } = shape;
  const padded = inputs.map((channels) => Math.ceil(channels / 4) * 4);
  const rows = padded.reduce((sum, channels) => sum + channels, 0);
  const total = inputs.reduce((sum, channels) => sum + channels, 0);
  const matrix = productBytes(shape) / 4;
  return {
    key: `winograd ${outputs} ${inputs.join("+")} ${panel} ${firstProduct}-${end}`,
    bytes: matrix * (end - firstProduct) * 4,
    pack(tensors) {
      const packed = new Float32Array(matrix * (end - firstProduct));
      const transformed = new Float64Array(PRODUCTS);
      let output = 0;
      for (const tensor of tensors) {
        for (let first = 0; first < tensor.length; first += total * 9, output++) {
          let at = Math.floor(output / panel) * rows * panel + output % panel;
          let channel = first;
          for (const [source, channels] of inputs.entries()) {
            for (let c = 0; c < channels; c++, channel += 9) {
              transform(tensor, channel, transformed);
              let to = at + c * panel;
              for (let k = firstProduct; k < end; k++, to += matrix) packed[to] = transformed[k]!;
            }
            at += padded[source]! * panel;
          }
        }
      }
      return packed;
    },
  };
}

/** G g G^T of the 3x3 window at `first`. */
function transform(weights: Float32Array, first: number, result: Float64Array): void {
  for (let x = 0; x < 3; x++) {
    const at = first + x;
    spread(weights[at]!, weights[at + 3]!, weights[at + 6]!, columns, x * 6);
  }
  for (let y = 0; y < 6; y++) spread(columns[y]!, columns[y + 6]!, columns[y + 12]!, result, y * 6);
}

const columns = new Float64Array(18);

/** Three numbers to six: a column of G's product, for the points 0, ±1/√2, ±√2 and infinity. */
function spread(a: number, b: number, c: number, to: Float64Array, at: number): void {
  const outer = -(2 * a + c) / 3;
  const inner = (a + 2 * c) / 6;
  to[at] = a;
  to[at + 1] = outer - b * Math.SQRT2 / 3;
  to[at + 2] = outer + b * Math.SQRT2 / 3;
  to[at + 3] = inner + b * Math.SQRT2 / 6;
  to[at + 4] = inner - b * Math.SQRT2 / 6;
  to[at + 5] = c;
}
