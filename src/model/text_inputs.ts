import type { ModelConfig } from "./config.ts";
import { nestedUnets } from "./config.ts";

/** Texts get room for a multiple of this many tokens, so that few sizes have to be recorded. */
const TOKEN_STEP = 16;

/** Tokens that a text of so many is given room for. */
export function textCapacity(tokens: number): number {
  return Math.ceil(tokens / TOKEN_STEP) * TOKEN_STEP;
}

/** All such capacities, up to that of the longest text. */
export function textCapacities(longest: number): number[] {
  const count = textCapacity(longest) / TOKEN_STEP;
  return Array.from({ length: count }, (_, i) => (i + 1) * TOKEN_STEP);
}

/** The text of one row, as the model is given it. */
export interface RowText {
  /** Features, [length, width], zero at padding. */
  readonly features: Float32Array;
  /** Tokens with padding: what a model attends to that does not mask padding. */
  readonly length: number;
  /** 1 for a token, 0 for padding; null without a mask (a class). */
  readonly mask: ArrayLike<number> | null;
}

/** Numbers of the tensors `text.features`, `text.mask` and `text.pool`. */
export interface TextNumbers {
  readonly features: Float32Array;
  readonly mask: Float32Array;
  readonly pool: Float32Array;
}

/**
 * Puts the rows' texts together (`forward_conditioning` in the reference's unet.py decides what is masked and what is averaged).
 *
 * @param tokens Tokens that a row has room for.
 */
export function textNumbers(
  config: ModelConfig,
  rows: readonly RowText[],
  tokens: number,
): TextNumbers {
  const width = config.conditioningFeatureDim;
  const { maskedCrossAttention, numLmHeadLayers } = nestedUnets(config.unet).at(-1)!;
  const features = new Float32Array(rows.length * tokens * width);
  const mask = new Float32Array(rows.length * tokens);
  const pool = new Float32Array(rows.length * tokens);
  for (const [row, text] of rows.entries()) {
    features.set(text.features, row * tokens * width);
    const all = new Float32Array(text.length).fill(1);
    const tokensOnly = text.mask === null ? all : Float32Array.from(text.mask);
    mask.set(maskedCrossAttention ? tokensOnly : all, row * tokens);
    // Behind self-attention that sees padding, the reference averages over padding too.
    const averaged = !maskedCrossAttention && numLmHeadLayers > 0 ? all : tokensOnly;
    const count = averaged.reduce((sum, x) => sum + x, 0);
    pool.set(averaged.map((x) => x / count), row * tokens);
  }
  return { features, mask, pool };
}
