import type { KernelTarget } from "./device.ts";
import type { Kernel } from "./kernel.ts";
import { kernels } from "./kernels.ts";
import type { TemplateValues } from "./template.ts";

/** Ways of convolving; each is the shader `conv_<name>`. */
export const CONV_VARIANTS = ["subgroup", "register"] as const;

export type ConvVariantName = typeof CONV_VARIANTS[number];

/** How a convolution is computed on a device. */
export interface ConvVariant {
  readonly kernel: Kernel;
  readonly constants: TemplateValues;
  /** Output channels of a workgroup, and of a panel of packed weights. */
  readonly panel: number;
  /** Pixels of a workgroup. */
  readonly tile: number;
}

/** What the choice depends on. */
export interface ConvShape {
  /** Output pixels of one row. */
  readonly pixels: number;
  /** Output channels. */
  readonly outputs: number;
  /** Inputs that are read one after the other. */
  readonly sources: number;
  /** Whether weights are kept in 16 bits. */
  readonly half: boolean;
}

/**
 * Chooses the variant.
 *
 * It depends on the size of one row, never on how many rows there are: a picture then gets the same bits whatever
 * shares its batch.
 */
export function convVariant(gpu: KernelTarget, shape: ConvShape): ConvVariant {
  const { sources, half } = shape;
  const source = { SOURCES: sources, CONCAT: sources > 1, HALF: half };
  const lanes = SUBGROUP_TILES[gpu.subgroupSize] === undefined ? 0 : gpu.subgroupSize;
  const own = gpu.deviceClass === "software" && lanes > 0 ? "subgroup" : "register";
  const name = gpu.convVariant ?? own;
  return name === "subgroup" && lanes > 0
    ? subgroupVariant(lanes, shape, source)
    : registerVariant(shape, source);
}

/** Pixels and vectors of a lane by the number of lanes: as many sums as compilers still handle well (256 numbers). */
const SUBGROUP_TILES: Readonly<Record<number, { tile: number; vectors: number }>> = {
  4: { tile: 32, vectors: 2 },
  8: { tile: 32, vectors: 2 },
  16: { tile: 64, vectors: 1 },
};

/** Loads are what software adapters are slow at, and broadcasting saves them. */
function subgroupVariant(
  lanes: number,
  { pixels, outputs }: ConvShape,
  source: TemplateValues,
): ConvVariant {
  const full = SUBGROUP_TILES[lanes]!;
  // Half a panel where a whole one would hold half as many channels too many.
  const panel = lanes * 4 * full.vectors;
  const narrow = (outputs - 1) % panel < panel / 2;
  const vectors = narrow && full.vectors > 1 ? full.vectors / 2 : full.vectors;
  const width = narrow && full.vectors === 1 ? 2 : 4;
  const tile = smallest(pixels, lanes, full.tile);
  return {
    kernel: kernels.convSubgroup,
    constants: {
      ...source,
      LANES: lanes,
      GROUPS: tile / lanes,
      TILE: tile,
      VECTORS: vectors,
      PANEL_VECTORS: lanes * vectors,
      WIDTH: width,
      NARROW: width === 2,
    },
    panel: lanes * vectors * width,
    tile,
  };
}

function registerVariant({ pixels }: ConvShape, source: TemplateValues): ConvVariant {
  const lanes = 8;
  const pixelLanes = 8;
  const tile = smallest(pixels, pixelLanes, 32);
  return {
    kernel: kernels.convRegister,
    constants: {
      ...source,
      LANES: lanes,
      PIXEL_LANES: pixelLanes,
      PIXELS: tile / pixelLanes,
      TILE: tile,
    },
    panel: lanes * 4,
    tile,
  };
}

/** The full tile unless a small one holds a row's pixels in fewer places: two sizes, so that pipelines stay few. */
function smallest(pixels: number, small: number, full: number): number {
  return pixels <= small ? small : full;
}
