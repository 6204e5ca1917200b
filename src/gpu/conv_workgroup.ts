import type { ConvShape, ConvVariant } from "./conv_variant.ts";
import { kernels } from "./kernels.ts";
import type { TemplateValues } from "./template.ts";

/** Vectors of the sum that are in workgroup memory at a time, as in `shaders/conv_workgroup.wgsl`. */
const STEP_VECTORS = 4;

/** Pixels of a workgroup that there can be. */
export const WORKGROUP_TILES = [16, 32, 64, 128] as const;

/** The most parts that a sum is cut into. */
export const MAX_PARTS = 16;

/** A part of a sum is worth a workgroup when it has so many steps. */
const SHORTEST_PART = 8;

/** Workgroups with which one row keeps a large GPU busy (a picture has two rows where there is guidance). */
const ENOUGH = 64;

/** How the work is cut. */
export interface WorkgroupCut {
  /** Pixels of a workgroup, one of {@linkcode WORKGROUP_TILES}. */
  readonly tile: number;
  /** Parts of the sum that are computed beside each other. */
  readonly parts: number;
}

/**
 * Tiles of pixels and channels in workgroup memory (16 KiB at most, which every device has), with up to 8x8 sums an
 * invocation: Mesa compiles them to 136 registers on RDNA 2, of which none are spilt, and 256 of the 292 instructions of the innermost
 * loop multiply and add.
 */
export function workgroupVariant(
  shape: ConvShape,
  source: TemplateValues,
  { tile, parts }: WorkgroupCut = workgroupCut(shape),
): ConvVariant {
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
    parts,
  };
}

/**
 * The largest tile with which one row fills a GPU; where none does, the sum is cut too. Like every choice of a variant it does
 * not depend on how many rows there are.
 */
export function workgroupCut(shape: ConvShape): WorkgroupCut {
  const { pixels, outputs } = shape;
  const panels = Math.ceil(outputs / panelOf(outputs));
  const workgroups = (tile: number) => Math.ceil(pixels / tile) * panels;
  const tile = pixels > 64 && workgroups(128) >= ENOUGH
    ? 128
    : WORKGROUP_TILES.find((tile) => tile >= Math.min(pixels, 64))!;
  const parts = Math.min(mostParts(shape), Math.max(1, Math.floor(ENOUGH / workgroups(tile))));
  return { tile, parts };
}

/** Cuts worth measuring: tiles that a row fills by half, and parts that are neither short nor more than a large GPU takes. */
export function workgroupCuts(shape: ConvShape): WorkgroupCut[] {
  const panels = Math.ceil(shape.outputs / panelOf(shape.outputs));
  return WORKGROUP_TILES
    .filter((tile) => tile === WORKGROUP_TILES[0] || tile < 2 * shape.pixels)
    .flatMap((tile) => {
      const workgroups = Math.ceil(shape.pixels / tile) * panels;
      const most = Math.min(mostParts(shape), Math.floor(4 * ENOUGH / workgroups));
      return [1, 2, 4, 8, 16]
        .filter((parts) => parts === 1 || parts <= most)
        .map((parts) => ({ tile, parts }));
    });
}

function mostParts({ depth, whole }: ConvShape): number {
  if (whole) return 1;
  return Math.max(1, Math.min(MAX_PARTS, Math.floor(depth / STEP_VECTORS / SHORTEST_PART)));
}

/** It hangs on the outputs only: graphs of one model share weights, however many pixels they have. */
function panelOf(outputs: number): 32 | 64 | 128 {
  if (outputs <= 32) return 32;
  return (outputs - 1) % 128 < 64 ? 64 : 128;
}
