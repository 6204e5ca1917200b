import type { GpuInfo } from "./device.ts";
import type { TemplateValues } from "./template.ts";

/** How `shaders/conv.wgsl` is built for a device and a shape. */
export interface ConvVariant {
  readonly constants: TemplateValues;
  /** Output channels of a workgroup, and of a panel of packed weights. */
  readonly panel: number;
  /** Pixels of a workgroup. */
  readonly tile: number;
}

/** Pixels of a workgroup: 32 vec4 accumulators a lane, as many as compilers still keep in registers. */
const TILE = 32;

/** Pixels of a workgroup where a row has few (a linear layer on embeddings): fewer would be idle. */
const SMALL_TILE = 8;

/** Sizes of subgroups that divide both tiles. */
const SUBGROUP_SIZES = [4, 8];

/** What the choice depends on. */
export interface ConvShape {
  /** Output pixels of one row. */
  readonly pixels: number;
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
export function convVariant(
  gpu: Pick<GpuInfo, "deviceClass" | "subgroupSize">,
  { pixels, sources, half }: ConvShape,
): ConvVariant {
  const tile = pixels < TILE / 2 ? SMALL_TILE : TILE;
  const common = { SOURCES: sources, CONCAT: sources > 1, HALF: half };
  // Loads are what software adapters are slow at, and broadcasting saves them.
  if (gpu.deviceClass === "software" && SUBGROUP_SIZES.includes(gpu.subgroupSize)) {
    const lanes = gpu.subgroupSize;
    return {
      constants: { ...common, SUBGROUPS: true, LANES: lanes, GROUPS: tile / lanes, TILE: tile },
      panel: lanes * 4,
      tile,
    };
  }
  const lanes = 8;
  const pixelLanes = 8;
  return {
    constants: {
      ...common,
      SUBGROUPS: false,
      LANES: lanes,
      PIXEL_LANES: pixelLanes,
      PIXELS: tile / pixelLanes,
    },
    panel: lanes * 4,
    tile,
  };
}
