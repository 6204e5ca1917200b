import { elementwise, kernels } from "../../gpu/kernels.ts";
import { type Graph, need, type Operation, type Shape, type Value, vectors } from "../graph.ts";
import { elements } from "../lowering.ts";

interface Attributes {
  readonly heads: number;
  readonly headWidth: number;
  readonly overTime: boolean;
  readonly scale: number;
  readonly queryOffset: number;
  readonly keyOffset: number;
  readonly valueOffset: number;
  readonly mask: boolean;
  readonly bias: boolean;
  readonly addend: boolean;
}

const operation: Operation<Attributes> = {
  name: "attention",

  shape([queries, pairs, ...extras], attributes) {
    const { heads, headWidth, overTime, queryOffset, keyOffset, valueOffset, mask, bias, addend } =
      attributes;
    const width = heads * headWidth;
    need(
      !overTime || queries!.shape.length === 4,
      "over time, the queries have to be [rows, frames, pixels, width]",
    );
    const { count } = arrangement(queries!.shape, overTime);
    const { rows, count: keys, inner } = arrangement(pairs!.shape, overTime);
    need(
      queries!.shape[0] === pairs!.shape[0] && (!overTime || queries!.shape[2] === inner),
      "queries and keys have different numbers of rows",
    );
    need(
      queryOffset + width <= queries!.shape.at(-1)!,
      `queries do not hold ${heads} heads of ${headWidth}`,
    );
    need(
      Math.max(keyOffset, valueOffset) + width <= pairs!.shape.at(-1)!,
      `keys and values do not hold ${heads} heads of ${headWidth}`,
    );
    const output = [...queries!.shape.slice(0, -1), width];
    const expected = [
      ...mask ? [[rows, keys]] : [],
      ...bias ? [[count + keys - 1, heads]] : [],
      ...addend ? [output] : [],
    ];
    need(
      String(extras.map((e) => e.shape)) === String(expected),
      `mask, bias and addend have to be [${
        expected.map((shape) => `[${shape.join(", ")}]`).join(", ")
      }]`,
    );
    return output;
  },

  lower([queries, pairs, ...extras], output, attributes, to) {
    const { heads, headWidth, overTime, scale, mask, bias, addend, ...offsets } = attributes;
    const { rows, count: queryCount, inner } = arrangement(queries!.shape, overTime);
    const { count: keyCount } = arrangement(pairs!.shape, overTime);
    const vector = [headWidth, ...Object.values(offsets)].every((n) => n % 4 === 0);
    const size = vector ? 4 : 1;
    const stride = (value: Value) => vectors(value.shape) * 4 / size;
    const next = () => to.value(extras.shift()!);
    const invocations = rows * heads * queryCount;
    // Mask and bias are read number by number.
    const numbers = (used: boolean) => used ? vectors(extras[0]!.shape) * 4 : 0;
    const maskStride = numbers(mask);
    const maskBuffer = mask ? { mask: next() } : {};
    const biasStride = numbers(bias);
    const biasBuffer = bias ? { bias: next() } : {};
    to.emit(elementwise({
      kernel: kernels.attention,
      invocations,
      constants: { VECTOR: vector, WIDTH: headWidth / size },
      params: {
        queryCount,
        keyCount,
        heads,
        inner,
        queryStride: stride(queries!),
        queryOffset: offsets.queryOffset / size,
        pairStride: stride(pairs!),
        keyOffset: offsets.keyOffset / size,
        valueOffset: offsets.valueOffset / size,
        outputStride: stride(output),
        scale,
        useMask: Number(mask),
        maskStride,
        useBias: Number(bias),
        biasStride,
        useAddend: Number(addend),
      },
      buffers: {
        queries: to.value(queries!),
        pairs: to.value(pairs!),
        ...maskBuffer,
        ...biasBuffer,
        ...addend && { addend: next() },
        output: to.value(output),
      },
      flops: 4 * invocations * keyCount * headWidth,
    }));
  },
};

/** Options of {@link attention}. */
export interface AttentionOptions {
  readonly heads: number;
  readonly headWidth: number;
  /** Multiplied with q . k; 1 / sqrt(headWidth) unless given. */
  readonly scale?: number;
  /**
   * Whether frames attend to frames, each pixel for itself: then both are [rows, frames, pixels, width]. Otherwise every position of
   * a row attends to all of its row.
   */
  readonly overTime?: boolean;
  /** Where q starts in a position of `queries`, k and v in one of `pairs`. */
  readonly queryOffset: number;
  readonly keyOffset: number;
  readonly valueOffset: number;
  /** [rows, keys]: a key with 0 is not attended to. */
  readonly mask?: Value;
  /** [queries + keys - 1, heads]: added to the score, by key - query + queries - 1. */
  readonly bias?: Value;
  /** [rows, ..., heads * headWidth]: added to the result. */
  readonly addend?: Value;
}

/**
 * Multi-head attention.
 *
 * @param queries [rows, ..., at least heads * headWidth].
 * @param pairs Keys and values, [rows, ..., at least heads * headWidth]; may be the same value as `queries`.
 * @returns [rows, ..., heads * headWidth].
 */
export function attention(
  graph: Graph,
  queries: Value,
  pairs: Value,
  options: AttentionOptions,
): Value {
  const { mask, bias, addend, overTime = false, ...rest } = options;
  const scale = options.scale ?? 1 / Math.sqrt(options.headWidth);
  return graph.apply(
    operation,
    [queries, pairs, ...[mask, bias, addend].filter((value) => value !== undefined)],
    {
      ...rest,
      overTime,
      scale,
      mask: mask !== undefined,
      bias: bias !== undefined,
      addend: addend !== undefined,
    },
  );
}

/** What attends to what: `count` positions in each of `rows` rows, `inner` positions of memory apart. */
function arrangement(
  shape: Shape,
  overTime: boolean,
): { rows: number; count: number; inner: number } {
  const [rows = 1, ...positions] = shape.slice(0, -1);
  if (!overTime) return { rows, count: elements(positions), inner: 1 };
  const [frames = 1, pixels = 1] = positions;
  return { rows: rows * pixels, count: frames, inner: pixels };
}
