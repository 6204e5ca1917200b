import type { Activation } from "../gpu/activation.ts";
import type { Dispatch } from "../gpu/kernel.ts";
import type { KernelPolicy } from "../gpu/kernel_policy.ts";
import type { Packing } from "../gpu/packing.ts";
import { need, type Shape } from "./shape.ts";

/**
 * A tensor that an operation will compute or that comes from outside. In memory the last dimension is padded with zeros to a
 * multiple of four, so that every value can be read as `array<vec4f>`.
 */
export interface Value {
  readonly shape: Shape;
  /** Where it was made: `inner_unet.up_blocks.1.resnets.0`. */
  readonly path: string;
  /** What computes it; null for an input. */
  readonly node: Node | null;
  /** The input's name; empty for computed values. */
  readonly name: string;
}

/** A tensor of the checkpoint, under the reference's name and in the reference's (PyTorch's) layout. */
export interface Parameter {
  readonly name: string;
  readonly shape: Shape;
}

/**
 * A kind of operation, declared once: what shape it gives, and which kernels compute it. Operations are pure (but for
 * `samplerUpdate`, which steps the latents in place, and `relativeChange`, which keeps what it measured), so that a gradient rule can
 * stand next to `lower` one day.
 */
export interface Operation<Attributes> {
  readonly name: string;
  /** The shape of the result. Throws an Error with the reason when the inputs do not fit. */
  shape(inputs: readonly Value[], attributes: Attributes): Shape;
  /** Emits the kernel calls. */
  lower(inputs: readonly Value[], output: Value, attributes: Attributes, to: Lowering): void;
  /** Whether a node can compute its first input while it loads it (see {@link Lowering.fusePrologue}). */
  readonly fusesPrologue?: (node: Node, to: Lowering) => boolean;
  /** Whether a node reads statistics of its first input's channels (see {@link Lowering.keepStatistics}). */
  readonly readsStatistics?: (node: Node, to: Lowering) => boolean;
}

/** An operation applied. */
export interface Node {
  readonly operation: Operation<unknown>;
  readonly attributes: unknown;
  readonly inputs: readonly Value[];
  readonly output: Value;
}

/** Memory that a kernel call reads or writes, before it has a location. */
export type Memory =
  | { readonly kind: "value"; readonly value: Value }
  | { readonly kind: "scratch"; readonly bytes: number }
  | { readonly kind: "weight"; readonly weight: Weight }
  | { readonly kind: "constant"; readonly data: Uint32Array<ArrayBuffer> };

/** Tensors of a checkpoint in the layout that a kernel reads. */
export interface Weight {
  /** Names what it is, so that graphs of one model share it. */
  readonly key: string;
  readonly parameters: readonly Parameter[];
  readonly packing: Packing;
}

/** A kernel call whose memory has no location yet. */
export type Call = Dispatch<Memory>;

/** What decides which kernels are chosen; `Weights` are one. */
export interface Target {
  readonly policy: KernelPolicy;
  /** Whether a tensor of the checkpoint is kept in 16 bits. */
  isHalf(name: string): boolean;
}

/** Means and squared deviations of each channel over chunks of a value's pixels, as `shaders/group_norm_stats.wgsl` lays them out. */
export interface Statistics {
  readonly memory: Memory;
  /** Pixels of a chunk; the last one of a row may have fewer. */
  readonly chunk: number;
}

/** A normalisation that its reader computes while it loads its input, `activation(input * scale + shift)`: a fused prologue. */
export interface Prologue {
  readonly input: Value;
  /** Scales and shifts, as `shaders/group_norm_affine.wgsl` lays them out. */
  readonly affine: Memory;
  readonly activation: Activation;
}

/** What an operation lowers itself to. */
export interface Lowering {
  readonly target: Target;
  emit(call: Call): void;
  /** The memory of a value. */
  value(value: Value): Memory;
  /** Memory that lives from its first to its last call. */
  scratch(bytes: number): Memory;
  /** Whole numbers known when the plan is made. */
  constant(data: Uint32Array<ArrayBuffer>): Memory;
  /** Parameters packed for a kernel (concatenated in their first dimension if there are several). */
  weight(parameters: readonly Parameter[], packing: Packing): Memory;
  /** Whether statistics of a value will be read: then its producer may keep them. */
  wantsStatistics(value: Value): boolean;
  /** Says where the statistics of a value are. */
  keepStatistics(value: Value, statistics: Statistics): void;
  /** The statistics of a value's rows, if anything has computed them. */
  statistics(value: Value): Statistics | undefined;
  /** Whether a value's only reader can compute it as a prologue: then it need not be stored. */
  canFusePrologue(value: Value): boolean;
  /** Leaves a value to its reader, as a prologue. */
  fusePrologue(value: Value, prologue: Prologue): void;
  /** The prologue that stands for a value, if it was left to its reader. */
  prologue(value: Value): Prologue | undefined;
}

/** The value whose memory a value is: another one if it is only seen in another shape. */
export function origin(value: Value): Value {
  return value.node?.operation.name === "reshape" ? origin(value.node.inputs[0]!) : value;
}

/** Values that a reader of a concatenation reads one after the other; any other value is read by itself. */
export function sources(value: Value): readonly Value[] {
  return value.node?.operation.name === "concat" ? value.node.inputs : [value];
}

/** Throws unless a parameter has a shape. */
export function needShape(parameter: Parameter, shape: Shape): void {
  const [has, needs] = [parameter.shape, shape].map((s) => `[${s.join(", ")}]`);
  need(has === needs, `"${parameter.name}" has shape ${has}, not ${needs}`);
}
