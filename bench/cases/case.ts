import type { WrittenDtype } from "../../src/checkpoint/write_safetensors.ts";
import type { Graph } from "../../src/graph/graph.ts";
import type { Parameter } from "../../src/graph/operation.ts";
import type { Shape } from "../../src/graph/shape.ts";

/** Cases that are reported together. */
export type Group = "convolution" | "linear" | "attention" | "group norm" | "model";

/** Numbers with their shape. */
export interface Numbers {
  readonly shape: Shape;
  readonly data: Float32Array;
}

/** Something to measure: a computation with weights and inputs, the same for every peer. */
export interface Case {
  /** What `--only` finds it by. */
  readonly name: string;
  readonly group: Group;
  /** Whether it takes gigabytes and minutes: peers then run one after the other, and `--quick` leaves it out. */
  readonly large: boolean;
  /** A file of weights, null where they are random. */
  readonly checkpoint: string | null;
  /** What random weights are kept in: every peer gets the same numbers, and ours may keep them in 16 bits. */
  readonly dtype: WrittenDtype;
  /** The computation; the same each time. */
  graph(): Graph;
  /** Every tensor of its weights. */
  parameters(): readonly Parameter[];
  /** The numbers of the graph's inputs, channels last, computed with a file of weights where need be. */
  inputs(weights: string): Promise<Map<string, Float32Array>>;
  /** What the reference implementation needs to do the same; null for what is no model. */
  readonly reference: ReferenceInputs | null;
}

/** A forward pass in the layout of the golden data. */
export interface ReferenceInputs {
  /** The contents of config.json. */
  readonly config: unknown;
  /** The tensors of forward.safetensors, channels second. */
  forward(): Map<string, Numbers>;
}
