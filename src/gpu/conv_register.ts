import type { ConvShape } from "./conv_choice.ts";
import type { ConvKernel } from "./conv_kernel.ts";
import { kernels } from "./kernels.ts";
import type { TemplateValues } from "./template.ts";

/** The kernel that needs neither subgroups nor workgroup memory, and works on every device. */
export function registerKernel({ pixels }: ConvShape, source: TemplateValues): ConvKernel {
  const lanes = 8;
  const pixelLanes = 8;
  const tile = pixels <= pixelLanes ? pixelLanes : 32;
  return {
    kernel: kernels.convRegister,
    constants: {
      ...source,
      LANES: lanes,
      PIXEL_LANES: pixelLanes,
      PIXELS: tile / pixelLanes,
      TILE: tile,
      WIDTH: 4,
      NARROW: false,
    },
    panel: lanes * 4,
    tile,
    width: 4,
    statistics: false,
    splitK: 1,
  };
}
