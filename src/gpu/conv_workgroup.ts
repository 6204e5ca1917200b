import { type ConvShape, MAX_SPLIT_K, type TileConfiguration, TILES } from "./conv_choice.ts";
import type { ConvKernel } from "./conv_kernel.ts";
import { kernels } from "./kernels.ts";
import type { TemplateValues } from "./template.ts";

/** Vectors of the sum that are in workgroup memory at a time, as in `shaders/conv_workgroup.wgsl`. */
const STEP_VECTORS = 4;

/** A part of a sum is worth a workgroup when it has so many steps. */
const FEWEST_STEPS = 8;

/** Workgroups with which one row keeps a large GPU busy (with guidance an image has two rows). */
const ENOUGH = 64;

/**
 * Tiles of pixels and channels in workgroup memory (16 KiB at most, which every device has), with up to 8x8 sums an
 * invocation: Mesa compiles them to 136 registers on RDNA 2, of which none are spilt, and 256 of the 292 instructions of the innermost
 * loop multiply and add.
 */
export function workgroupKernel(
  shape: ConvShape,
  source: TemplateValues,
  { tile, splitK }: TileConfiguration = tileConfiguration(shape),
): ConvKernel {
  const panel = panelOf(shape.outputs);
  const lanes = panel === 32 ? 8 : 16;
  const vectors = panel / lanes / 4;
  const pixels = tile === 128 ? 8 : 4;
  const pixelLanes = tile / pixels;
  return {
    kernel: kernels.convWorkgroup,
    constants: {
      ...source,
      LANES: lanes,
      PIXEL_LANES: pixelLanes,
      PIXELS: pixels,
      VECTORS: vectors,
      TILE: tile,
      WIDTH: 4,
      NARROW: false,
      PANEL_VECTORS: lanes * vectors,
      INPUT_LOADS: pixels * STEP_VECTORS / lanes,
      WEIGHT_LOADS: 4 * STEP_VECTORS * vectors / pixelLanes,
    },
    panel,
    tile,
    width: 4,
    statistics: false,
    splitK,
  };
}

/**
 * The largest tile with which one row fills a GPU; if none does, sums are split too. Like every choice of a kernel it does
 * not depend on how many rows there are.
 */
export function tileConfiguration(shape: ConvShape): TileConfiguration {
  const { pixels, outputs } = shape;
  const panels = Math.ceil(outputs / panelOf(outputs));
  const workgroups = (tile: number) => Math.ceil(pixels / tile) * panels;
  const tile = pixels > 64 && workgroups(128) >= ENOUGH
    ? 128
    : TILES.find((tile) => tile >= Math.min(pixels, 64))!;
  const splitK = Math.min(mostSplitK(shape), Math.max(1, Math.floor(ENOUGH / workgroups(tile))));
  return { tile, splitK };
}

/** Configurations worth measuring: tiles that a row fills by half, and no shorter or more parts of a sum than pay on a large GPU. */
export function tileConfigurations(shape: ConvShape): TileConfiguration[] {
  const panels = Math.ceil(shape.outputs / panelOf(shape.outputs));
  return TILES
    .filter((tile) => tile === TILES[0] || tile < 2 * shape.pixels)
    .flatMap((tile) => {
      const workgroups = Math.ceil(shape.pixels / tile) * panels;
      const most = Math.min(mostSplitK(shape), Math.floor(4 * ENOUGH / workgroups));
      return [1, 2, 4, 8, 16]
        .filter((splitK) => splitK === 1 || splitK <= most)
        .map((splitK) => ({ tile, splitK }));
    });
}

function mostSplitK({ depth, batched }: ConvShape): number {
  if (batched) return 1;
  return Math.max(1, Math.min(MAX_SPLIT_K, Math.floor(depth / STEP_VECTORS / FEWEST_STEPS)));
}

/** It depends on the outputs only: graphs of one model share weights, however many pixels they have. */
function panelOf(outputs: number): 32 | 64 | 128 {
  if (outputs <= 32) return 32;
  return (outputs - 1) % 128 < 64 ? 64 : 128;
}
