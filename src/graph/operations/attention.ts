import { hasLanes } from "../../gpu/conv_subgroup.ts";
import { spread } from "../../gpu/kernel.ts";
import { elementwise, kernels } from "../../gpu/kernels.ts";
import type { Graph } from "../graph.ts";
import type { Lowering, Memory, Operation, Value } from "../operation.ts";
import { byteLength, elements, need, type Shape, vectors } from "../shape.ts";

/** Where keys and values are within a position, and which of them exist. */
interface KeyAttributes {
  readonly keyOffset: number;
  readonly valueOffset: number;
  readonly mask: boolean;
}

interface Attributes {
  readonly heads: number;
  readonly headWidth: number;
  readonly temporal: boolean;
  readonly scale: number;
  readonly queryOffset: number;
  /** One set of keys and values, or two: the results are added. */
  readonly sets: readonly KeyAttributes[];
  readonly bias: boolean;
}

const operation: Operation<Attributes> = {
  name: "attention",

  shape(inputs, attributes) {
    const { heads, headWidth, temporal, queryOffset, bias } = attributes;
    const { queries, sets, bias: biasValue } = named(inputs, attributes);
    const width = heads * headWidth;
    need(
      !temporal || queries.shape.length === 4,
      "over time, the queries have to be [rows, frames, pixels, width]",
    );
    const { count } = arrangement(queries.shape, temporal);
    need(
      queryOffset + width <= queries.shape.at(-1)!,
      `queries do not hold ${heads} heads of ${headWidth}`,
    );
    for (const { kv, mask, keyOffset, valueOffset } of sets) {
      const { rows, count: keys, inner } = arrangement(kv.shape, temporal);
      need(
        queries.shape[0] === kv.shape[0] && (!temporal || queries.shape[2] === inner),
        "queries and keys have different numbers of rows",
      );
      need(
        Math.max(keyOffset, valueOffset) + width <= kv.shape.at(-1)!,
        `keys and values do not hold ${heads} heads of ${headWidth}`,
      );
      need(
        mask === undefined || String(mask.shape) === String([rows, keys]),
        `the mask has to be [${rows}, ${keys}]`,
      );
      need(
        !bias || String(biasValue!.shape) === String([count + keys - 1, heads]),
        `the bias has to be [${count + keys - 1}, ${heads}]`,
      );
    }
    return [...queries.shape.slice(0, -1), width];
  },

  lower(inputs, output, attributes, to) {
    const { headWidth, queryOffset, sets } = attributes;
    const { policy } = to.target;
    const offsets = sets.flatMap(({ keyOffset, valueOffset }) => [keyOffset, valueOffset]);
    const vector = [headWidth, queryOffset, ...offsets].every((n) => n % 4 === 0);
    const broadcasts = policy.deviceClass === "software" && hasLanes(policy);
    if (vector && broadcasts) lowerSubgroup(inputs, output, attributes, to);
    else lowerEach(inputs, output, attributes, vector, to);
  },
};

/** The inputs of a node by what they are, in the order in which they are given. */
function named(inputs: readonly Value[], { sets, bias }: Attributes) {
  const rest = [...inputs];
  const next = () => rest.shift()!;
  const queries = next();
  const biasValue = bias ? next() : undefined;
  return {
    queries,
    bias: biasValue,
    sets: sets.map(({ mask, ...offsets }) => ({
      ...offsets,
      kv: next(),
      mask: mask ? next() : undefined,
    })),
  };
}

/** One call: a subgroup has queries of one head, and shares what it loads. */
function lowerSubgroup(
  inputs: readonly Value[],
  output: Value,
  attributes: Attributes,
  to: Lowering,
): void {
  const { heads, headWidth, temporal, scale, queryOffset } = attributes;
  const { queries, sets, bias } = named(inputs, attributes);
  const { rows, count: queryCount, inner } = arrangement(queries.shape, temporal);
  const lanes = to.target.policy.subgroupSize;
  const params = [0, 1].map((s) => {
    const set = sets[s];
    return {
      [`keyCount${s}`]: set === undefined ? 0 : arrangement(set.kv.shape, temporal).count,
      [`kvStride${s}`]: set === undefined ? 0 : vectors(set.kv.shape),
      [`keyOffset${s}`]: (set?.keyOffset ?? 0) / 4,
      [`valueOffset${s}`]: (set?.valueOffset ?? 0) / 4,
      [`useMask${s}`]: Number(set?.mask !== undefined),
      [`maskStride${s}`]: set?.mask === undefined ? 0 : vectors(set.mask.shape) * 4,
    };
  });
  const buffers = sets.map(({ kv, mask }, s) => ({
    [`kv${s}`]: to.value(kv),
    ...mask && { [`mask${s}`]: to.value(mask) },
  }));
  to.emit({
    kernel: kernels.attentionSubgroup,
    constants: {
      LANES: lanes,
      WIDTH: headWidth / 4,
      SOURCES: sets.length,
      BIAS: bias !== undefined,
    },
    params: {
      rows,
      queryCount,
      heads,
      inner,
      queryStride: vectors(queries.shape),
      queryOffset: queryOffset / 4,
      outputStride: vectors(output.shape),
      scale,
      biasStride: bias === undefined ? 0 : vectors(bias.shape) * 4,
      ...params[0],
      ...params[1],
    },
    buffers: {
      queries: to.value(queries),
      output: to.value(output),
      ...buffers[0],
      ...buffers[1],
      ...bias && { bias: to.value(bias) },
    },
    workgroups: spread(rows * heads, Math.ceil(queryCount / lanes)),
    flops: flopsOf(inputs, attributes),
  });
}

/** A call for each set of keys, which adds what the one before has given: an invocation has one query of one head. */
function lowerEach(
  inputs: readonly Value[],
  output: Value,
  attributes: Attributes,
  vector: boolean,
  to: Lowering,
): void {
  const { heads, headWidth, temporal, scale, queryOffset } = attributes;
  const { queries, sets, bias } = named(inputs, attributes);
  const { rows, count: queryCount, inner } = arrangement(queries.shape, temporal);
  const size = vector ? 4 : 1;
  const stride = (value: Value) => vectors(value.shape) * 4 / size;
  // Mask and bias are read number by number.
  const numbers = (value: Value | undefined) => value === undefined ? 0 : vectors(value.shape) * 4;
  const invocations = rows * heads * queryCount;
  let addend: Memory | undefined;
  for (const [s, { kv, mask, keyOffset, valueOffset }] of sets.entries()) {
    const last = s === sets.length - 1;
    const result = last ? to.value(output) : to.scratch(byteLength(output.shape));
    to.emit(elementwise({
      kernel: kernels.attention,
      invocations,
      constants: { VECTOR: vector, WIDTH: headWidth / size },
      params: {
        queryCount,
        keyCount: arrangement(kv.shape, temporal).count,
        heads,
        inner,
        queryStride: stride(queries),
        queryOffset: queryOffset / size,
        kvStride: stride(kv),
        keyOffset: keyOffset / size,
        valueOffset: valueOffset / size,
        outputStride: stride(output),
        scale,
        useMask: Number(mask !== undefined),
        maskStride: numbers(mask),
        useBias: Number(bias !== undefined),
        biasStride: numbers(bias),
        useAddend: Number(addend !== undefined),
      },
      buffers: {
        queries: to.value(queries),
        kv: to.value(kv),
        ...mask && { mask: to.value(mask) },
        ...bias && { bias: to.value(bias) },
        ...addend && { addend },
        output: result,
      },
      flops: flopsOf(inputs, { ...attributes, sets: [attributes.sets[s]!] }),
    }));
    addend = result;
  }
}

/** Multiplications and additions of scores and of sums of values. */
function flopsOf(inputs: readonly Value[], attributes: Attributes): number {
  const { heads, headWidth, temporal } = attributes;
  const { queries, sets } = named(inputs, attributes);
  const { rows, count } = arrangement(queries.shape, temporal);
  const keys = sets.reduce((sum, { kv }) => sum + arrangement(kv.shape, temporal).count, 0);
  return 4 * rows * heads * count * keys * headWidth;
}

/** Keys and values that queries attend to. */
export interface KeySet {
  /** [rows, ..., at least heads * headWidth]; over time [rows, frames, pixels, ...]. */
  readonly kv: Value;
  /** Where k and v start in a position of `kv`. */
  readonly keyOffset: number;
  readonly valueOffset: number;
  /** [rows, keys]: a key with 0 is not attended to. */
  readonly mask?: Value;
}

/** Options of {@link attention}. */
export interface AttentionOptions {
  readonly heads: number;
  readonly headWidth: number;
  /** Multiplied with q . k; 1 / sqrt(headWidth) unless given. */
  readonly scale?: number;
  /**
   * Whether frames attend to frames, each pixel for itself: then all are [rows, frames, pixels, width]. Otherwise every position of
   * a row attends to all of its row.
   */
  readonly temporal?: boolean;
  /** Where q starts in a position of `queries`. */
  readonly queryOffset: number;
  readonly keys: KeySet;
  /** A second set with a softmax of its own, whose result is added. */
  readonly also?: KeySet;
  /** [queries + keys - 1, heads]: added to the score, by key - query + queries - 1. */
  readonly bias?: Value;
}

/**
 * Multi-head attention.
 *
 * @param queries [rows, ..., at least heads * headWidth]; may be the same value as the keys'.
 * @returns [rows, ..., heads * headWidth].
 */
export function attention(graph: Graph, queries: Value, options: AttentionOptions): Value {
  const { keys, also, bias, temporal = false, heads, headWidth, queryOffset } = options;
  const sets = also === undefined ? [keys] : [keys, also];
  const given = [queries, bias, ...sets.flatMap(({ kv, mask }) => [kv, mask])];
  return graph.apply(operation, given.filter((value) => value !== undefined), {
    heads,
    headWidth,
    temporal,
    scale: options.scale ?? 1 / Math.sqrt(headWidth),
    queryOffset,
    sets: sets.map(({ keyOffset, valueOffset, mask }) => ({
      keyOffset,
      valueOffset,
      mask: mask !== undefined,
    })),
    bias: bias !== undefined,
  });
}

/** What attends to what: `count` positions in each of `rows` rows, `inner` positions of memory apart. */
function arrangement(
  shape: Shape,
  temporal: boolean,
): { rows: number; count: number; inner: number } {
  const [rows = 1, ...positions] = shape.slice(0, -1);
  if (!temporal) return { rows, count: elements(positions), inner: 1 };
  const [frames = 1, pixels = 1] = positions;
  return { rows: rows * pixels, count: frames, inner: pixels };
}
