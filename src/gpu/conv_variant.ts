import { type WorkgroupCut, workgroupCuts, workgroupVariant } from "./conv_workgroup.ts";
import type { KernelTarget } from "./device.ts";
import type { Kernel } from "./kernel.ts";
import { kernels } from "./kernels.ts";
import type { TemplateValues } from "./template.ts";

/**
 * Ways of convolving; "winograd" is three kernels for 3x3 windows (see winograd.ts), each other one the shader `conv_<name>`.
 */
export const CONV_VARIANTS = ["subgroup", "register", "workgroup", "winograd"] as const;

export type ConvVariantName = typeof CONV_VARIANTS[number];

/** How a convolution is computed on a device. */
export interface ConvVariant {
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
  /** Parts of each sum that workgroups compute beside each other, to be added by `conv_sum`; 1: whole sums. */
  readonly parts: number;
}

/** What the choice depends on. */
export interface ConvShape {
  /** Output pixels of one row. */
  readonly pixels: number;
  /** Output channels. */
  readonly outputs: number;
  /** Vectors of input that a sum runs over: taps times those of a pixel. */
  readonly depth: number;
  /** Inputs that are read one after the other. */
  readonly sources: number;
  /** Whether weights are kept in 16 bits. */
  readonly half: boolean;
  /** Whether sums must not be cut into parts: Winograd's products fill a GPU as they are. */
  readonly whole?: boolean;
}

/** What is chosen: a way of convolving, and how it cuts the work where that is open. */
export interface ConvChoice {
  readonly variant: ConvVariantName;
  /** Of "workgroup" only; absent: by the size of a row. */
  readonly cut?: WorkgroupCut;
}

/** Choices that were measured on a device, by {@linkcode convKey}. */
export type TunedConvs = ReadonlyMap<string, ConvChoice>;

/** Names a shape in a table of choices. */
export function convKey({ pixels, outputs, depth, sources, half }: ConvShape): string {
  return [pixels, outputs, depth, sources, Number(half)].join(" ");
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
  const { variant, cut } = convChoice(gpu, shape);
  if (variant === "workgroup") return workgroupVariant(shape, source, cut);
  return variant === "subgroup" && hasLanes(gpu)
    ? subgroupVariant(gpu.subgroupSize, shape, source)
    : registerVariant(shape, source);
}

/** What is forced or was measured, else what is the fastest as a rule; Winograd's own products are chosen by the rule. */
function convChoice(gpu: KernelTarget, shape: ConvShape): ConvChoice {
  const asked = askedFor(gpu, shape);
  if (asked === undefined || asked.variant === "winograd") return { variant: fastest(gpu, shape) };
  return asked;
}

/** What is forced, or was measured for a shape and does not take memory that is scarce. */
export function askedFor(gpu: KernelTarget, shape: ConvShape): ConvChoice | undefined {
  if (gpu.convVariant !== undefined) return { variant: gpu.convVariant };
  const tuned = shape.whole ? undefined : gpu.tuned?.get(convKey(shape));
  return gpu.compact && tuned?.variant === "winograd" ? undefined : tuned;
}

/** Every choice that there is for a shape on a device and that could be the fastest. */
export function convChoices(gpu: KernelTarget, shape: ConvShape): ConvChoice[] {
  return CONV_VARIANTS.flatMap((variant): ConvChoice[] => {
    if (variant === "workgroup") return workgroupCuts(shape).map((cut) => ({ variant, cut }));
    return variant === "subgroup" && !hasLanes(gpu) ? [] : [{ variant }];
  });
}

/** Whether subgroups have as many lanes as kernels that broadcast within them are made for. */
export function hasLanes({ subgroupSize }: KernelTarget): boolean {
  return SUBGROUP_TILES[subgroupSize] !== undefined;
}

/** Channels from which on tiles of them are full enough to pay. */
const FEWEST_CHANNELS = 16;

function fastest(gpu: KernelTarget, { outputs }: ConvShape): ConvVariantName {
  if (gpu.deviceClass === "software") return hasLanes(gpu) ? "subgroup" : "register";
  return outputs >= FEWEST_CHANNELS ? "workgroup" : "register";
}

/** Pixels and vectors of a lane by the number of lanes: as many sums as compilers still handle well (256 numbers). */
const SUBGROUP_TILES: Readonly<Record<number, { tile: number; vectors: number }>> = {
  4: { tile: 32, vectors: 2 },
  8: { tile: 32, vectors: 2 },
  16: { tile: 64, vectors: 1 },
};

/**
 * Loads are what software adapters are slow at, and broadcasting saves them. Of tiles there are three sizes, so that pipelines stay
 * few; with guidance there are twice the pixels of a row.
 */
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
    parts: 1,
  };
}

function registerVariant({ pixels }: ConvShape, source: TemplateValues): ConvVariant {
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
    parts: 1,
  };
}
