import type { ConvShape } from "./conv_choice.ts";
import type { ConvKernel } from "./conv_kernel.ts";
import type { KernelPolicy } from "./kernel_policy.ts";
import { kernels } from "./kernels.ts";
import type { TemplateValues } from "./template.ts";

/** Pixels and vectors of a lane by the number of lanes: as many sums as compilers still handle well (256 numbers). */
const TILES_BY_LANES: Readonly<Record<number, { tile: number; vectors: number }>> = {
  4: { tile: 32, vectors: 2 },
  8: { tile: 32, vectors: 2 },
  16: { tile: 64, vectors: 1 },
};

/** Whether subgroups have as many lanes as kernels that broadcast within them are made for. */
export function hasLanes({ subgroupSize }: Pick<KernelPolicy, "subgroupSize">): boolean {
  return TILES_BY_LANES[subgroupSize] !== undefined;
}

/**
 * The kernel for software adapters with subgroups: loads are what they are slow at, and broadcasting saves them. There are three sizes
 * of tiles, so that pipelines stay few; with guidance there are twice the pixels of a row.
 */
export function subgroupKernel(
  lanes: number,
  { pixels, outputs }: ConvShape,
  source: TemplateValues,
): ConvKernel {
  const full = TILES_BY_LANES[lanes]!;
  // Half a panel if a whole one would hold half as many channels too many.
  const panel = lanes * 4 * full.vectors;
  const narrow = (outputs - 1) % panel < panel / 2;
  const vectors = narrow && full.vectors > 1 ? full.vectors / 2 : full.vectors;
  const width = narrow && full.vectors === 1 ? 2 : 4;
  const tile = pixels <= lanes / 2 ? lanes : pixels <= lanes * 2 ? lanes * 2 : full.tile;
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
    width,
    statistics: true,
    splitK: 1,
  };
}
