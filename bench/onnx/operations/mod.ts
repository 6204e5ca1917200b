import type { Node } from "../../../src/graph/operation.ts";
import type { OnnxBuilder } from "../builder.ts";
import { add, averagePool, deviation, repeatRows, weightedSum } from "./arithmetic.ts";
import { attention } from "./attention.ts";
import { conv2d } from "./conv2d.ts";
import { groupNorm, layerNorm } from "./norms.ts";
import { rotary } from "./rotary.ts";
import { concat, gather, mosaic, reshape } from "./shapes.ts";

/** Adds what a node does to an ONNX model; gives the name of its result. */
export type Translation = (node: Node, to: OnnxBuilder) => string;

/** How each operation of a graph is said in ONNX, by its name. */
export const TRANSLATIONS: ReadonlyMap<string, Translation> = new Map(Object.entries({
  add,
  attention,
  averagePool,
  concat,
  conv2d,
  deviation,
  gather,
  groupNorm,
  layerNorm,
  mosaic,
  repeatRows,
  reshape,
  rotary,
  weightedSum,
}));
