import type { Node, Value } from "../../../src/graph/operation.ts";
import { elements } from "../../../src/graph/shape.ts";
import type { OnnxBuilder } from "../builder.ts";
import { channelAxis, isPicture, onnxShape } from "../layout.ts";
import { unsupported } from "../unsupported.ts";

interface Attributes {
  readonly heads: number;
  readonly headWidth: number;
  readonly temporal: boolean;
  readonly scale: number;
  readonly queryOffset: number;
  readonly sets: readonly {
    readonly keyOffset: number;
    readonly valueOffset: number;
    readonly mask: boolean;
  }[];
  readonly bias: boolean;
}

/** What is added to the score of a key that must not be attended to. */
const MASKED = 1e9;

/** Multi-head attention: two matrix products around a softmax, for each set of keys. */
export function attention(node: Node, to: OnnxBuilder): string {
  const attributes = node.attributes as Attributes;
  const { scale, sets, bias, temporal, queryOffset } = attributes;
  if (bias || temporal && sets.some(({ mask }) => mask)) {
    throw unsupported(node, "it has a relative bias or masks frames");
  }
  const [queries, ...rest] = node.inputs;
  const q = to.add("Mul", [
    heads(to, queries!, queryOffset, "positions", attributes),
    to.floats([scale]),
  ]);
  const attended = sets.map(({ keyOffset, valueOffset, mask }) => {
    const kv = rest.shift()!;
    let scores = to.add("MatMul", [q, heads(to, kv, keyOffset, "width", attributes)]);
    if (mask) scores = to.add("Add", [scores, maskedScores(to, rest.shift()!)]);
    const shares = to.add("Softmax", [scores], { axis: { int: -1 } });
    const values = heads(to, kv, valueOffset, "positions", attributes);
    return together(to, to.add("MatMul", [shares, values]), node.output, temporal);
  });
  return attended.reduce((sum, next) => to.add("Add", [sum, next]));
}

/**
 * Every head's part of a value: [rows, heads, positions, head width], or over time [rows, pixels, heads, frames, head width].
 *
 * @param before Which of the last two dimensions comes first.
 */
function heads(
  to: OnnxBuilder,
  value: Value,
  offset: number,
  before: "positions" | "width",
  { heads, headWidth, temporal }: Attributes,
): string {
  const { shape } = value;
  const part = to.slice(to.name(value), channelAxis(shape), offset, offset + heads * headWidth);
  const [rows = 1, ...area] = shape.slice(0, -1);
  if (temporal) {
    const split = to.reshape(part, [rows, heads, headWidth, ...area]);
    return to.transpose(split, before === "positions" ? [0, 4, 1, 3, 2] : [0, 4, 1, 2, 3]);
  }
  if (isPicture(shape)) {
    const split = to.reshape(part, [rows, heads, headWidth, elements(area)]);
    return before === "width" ? split : to.transpose(split, [0, 1, 3, 2]);
  }
  const split = to.reshape(part, [rows, elements(area), heads, headWidth]);
  return to.transpose(split, before === "positions" ? [0, 2, 1, 3] : [0, 2, 3, 1]);
}

/** The heads' results next to each other, as the output lies. */
function together(to: OnnxBuilder, heads: string, { shape }: Value, temporal: boolean): string {
  const order = temporal ? [0, 2, 4, 3, 1] : isPicture(shape) ? [0, 1, 3, 2] : [0, 2, 1, 3];
  return to.reshape(to.transpose(heads, order), onnxShape(shape));
}

/** Zero for a key that may be attended to, else far below every score: [rows, 1, 1, keys]. */
function maskedScores(to: OnnxBuilder, mask: Value): string {
  const [rows, keys] = mask.shape as [number, number];
  const below = to.add("Mul", [
    to.add("Sub", [to.name(mask), to.floats([1])]),
    to.floats([MASKED]),
  ]);
  return to.reshape(below, [rows, 1, 1, keys]);
}
