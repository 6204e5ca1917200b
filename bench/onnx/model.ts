/** A model in ONNX's terms, before it is written as protobuf (`write.ts`): the few of its fields that an export needs. */
import type { Parameter } from "../../src/graph/operation.ts";
import type { Shape } from "../../src/graph/shape.ts";

/** An attribute of a node; the key says its type. */
export type OnnxAttribute =
  | { readonly int: number }
  | { readonly float: number }
  | { readonly ints: readonly number[] }
  | { readonly text: string };

/** One operation. */
export interface OnnxNode {
  readonly operation: string;
  readonly name: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: Readonly<Record<string, OnnxAttribute>>;
}

/** A constant tensor. */
export interface OnnxInitializer {
  readonly name: string;
  readonly shape: Shape;
  readonly data: OnnxData;
}

/** Where a constant's numbers come from. */
export type OnnxData =
  | { readonly kind: "floats"; readonly values: readonly number[] }
  | { readonly kind: "integers"; readonly values: readonly number[] }
  /** Tensors of the checkpoint, one after the other; `transposed`: a matrix written column by column. */
  | {
    readonly kind: "weights";
    readonly parameters: readonly Parameter[];
    readonly transposed: boolean;
  };

/** A tensor that goes in or comes out. */
export interface OnnxTensor {
  readonly name: string;
  readonly type: "float32" | "int32";
  readonly shape: Shape;
}

/** A whole model. */
export interface OnnxModel {
  readonly inputs: readonly OnnxTensor[];
  readonly outputs: readonly OnnxTensor[];
  /** In the order of execution. */
  readonly nodes: readonly OnnxNode[];
  readonly initializers: readonly OnnxInitializer[];
}

/** The version of ONNX's standard operators that nodes are of. */
export const OPSET = 17;
