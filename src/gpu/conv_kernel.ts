import type { Kernel } from "./kernel.ts";
import type { TemplateValues } from "./template.ts";

/** A kernel that convolves, made for a shape. */
export interface ConvKernel {
  readonly kernel: Kernel;
  readonly constants: TemplateValues;
  /** Output channels of a workgroup, and of a panel of packed weights. */
  readonly panel: number;
  /** Pixels of a workgroup. */
  readonly tile: number;
  /** Output channels of one vector that the kernel writes: 2 or 4. */
  readonly width: 2 | 4;
  /** Whether the kernel can write what GroupNorm needs of its output. */
  readonly statistics: boolean;
  /** Workgroups that share a sum, whose parts `conv_sum` adds; 1: sums are not split. */
  readonly splitK: number;
}
