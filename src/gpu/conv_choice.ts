/** Convolution algorithms; "winograd" is three kernels (see winograd.ts), each other one the shader `conv_<name>`. */
export const CONV_ALGORITHMS = ["subgroup", "register", "workgroup", "winograd"] as const;

export type ConvAlgorithm = typeof CONV_ALGORITHMS[number];

/** What the choice of an algorithm and of a kernel depends on. */
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
  /** Whether these are the GEMMs of Winograd's algorithm: a batch of them fills a GPU, so their sums are not split. */
  readonly batched?: boolean;
}

/** The shape's name in a table of choices. */
export function convKey({ pixels, outputs, depth, sources, half }: ConvShape): string {
  return [pixels, outputs, depth, sources, Number(half)].join(" ");
}

/** How the algorithm "workgroup" divides its work. */
export interface TileConfiguration {
  /** Pixels of a workgroup, one of {@linkcode TILES}. */
  readonly tile: number;
  /** Split-K: workgroups that share a sum, each with a part of its depth; 1: sums are not split. */
  readonly splitK: number;
}

/** Pixels of a workgroup that there can be. */
export const TILES = [16, 32, 64, 128] as const;

/** The most workgroups that share a sum. */
export const MAX_SPLIT_K = 16;

/** What is chosen: an algorithm, and its tile configuration if it has several. */
export interface ConvChoice {
  readonly algorithm: ConvAlgorithm;
  /** Of "workgroup" only; absent: by the size of a row. */
  readonly tiling?: TileConfiguration;
}

/** Choices that were measured on a device, by {@linkcode convKey}. */
export type TunedConvs = ReadonlyMap<string, ConvChoice>;
