import type { Graph } from "./graph.ts";
import { GraphLowering } from "./lowering.ts";
import {
  type Call,
  type Memory,
  origin,
  type Target,
  type Value,
  type Weight,
} from "./operation.ts";
import { byteLength } from "./shape.ts";

/** Where a piece of memory is. */
export type Location =
  | { readonly kind: "tensor"; readonly name: string }
  | { readonly kind: "arena"; readonly offset: number; readonly bytes: number }
  | { readonly kind: "weight"; readonly weight: Weight }
  | { readonly kind: "constant"; readonly data: Uint32Array<ArrayBuffer> };

/** A graph made ready for a device: what to call, in which order, and where everything lies. Nothing is allocated yet. */
export interface Plan {
  readonly calls: readonly Call[];
  readonly locations: ReadonlyMap<Memory, Location>;
  readonly weights: readonly Weight[];
  /** Bytes that activations take together. */
  readonly arenaBytes: number;
  /** Bytes they would take without sharing memory. */
  readonly unsharedBytes: number;
  /** Multiplications and additions of convolutions, linear layers and attention. */
  readonly flops: number;
  /** Bytes that calls read and write, each piece of memory once a call. */
  readonly bytesMoved: number;
}

/** Bytes of an arena that plans share, of which one runs at a time. */
export function arenaBytes(plans: readonly Plan[]): number {
  return Math.max(0, ...plans.map((made) => made.arenaBytes));
}

/** Offsets of bindings have to be multiples of this on every device. */
const ALIGNMENT = 256;

/** Chooses kernels and gives every activation a location: memory is shared by values that are never needed at one time. */
export function plan(graph: Graph, target: Target): Plan {
  const lowering = new GraphLowering(graph, target);
  for (const { operation, inputs, output, attributes } of graph.nodes) {
    operation.lower(inputs, output, attributes, lowering);
  }
  const tensors = new Map<Value, string>([
    ...[...graph.outputs].map(([name, value]) => [origin(value), name] as const),
    ...[...graph.inputs].map(([name, value]) => [value, name] as const),
  ]);
  const locations = new Map<Memory, Location>();
  const lifetimes = new Map<Memory, Lifetime>();
  for (const [time, call] of lowering.calls.entries()) {
    for (const memory of Object.values(call.buffers)) {
      const location = fixedLocation(memory, tensors);
      if (location !== null) locations.set(memory, location);
      else extend(lifetimes, memory, time);
    }
  }
  const { offsets, bytes } = allocate([...lifetimes.values()]);
  for (const [memory, lifetime] of lifetimes) {
    locations.set(memory, { kind: "arena", offset: offsets.get(lifetime)!, bytes: lifetime.bytes });
  }
  return {
    calls: lowering.calls,
    locations,
    weights: lowering.weights,
    arenaBytes: bytes,
    unsharedBytes: [...lifetimes.values()].reduce((sum, lifetime) => sum + lifetime.bytes, 0),
    bytesMoved: lowering.calls.flatMap(({ buffers }) => Object.values(buffers))
      .reduce((sum, memory) => sum + bytesOf(memory), 0),
    flops: lowering.calls.reduce((sum, call) => sum + (call.flops ?? 0), 0),
  };
}

/** The location of memory that is not an activation, else null. */
function fixedLocation(memory: Memory, tensors: ReadonlyMap<Value, string>): Location | null {
  if (memory.kind === "weight" || memory.kind === "constant") return memory;
  const name = memory.kind === "value" ? tensors.get(memory.value) : undefined;
  return name === undefined ? null : { kind: "tensor", name };
}

function extend(lifetimes: Map<Memory, Lifetime>, memory: Memory, time: number): void {
  const lifetime = lifetimes.get(memory);
  if (lifetime !== undefined) lifetime.last = time;
  else {
    lifetimes.set(memory, { first: time, last: time, bytes: bytesOf(memory) });
  }
}

function bytesOf(memory: Memory): number {
  switch (memory.kind) {
    case "value":
      return byteLength(memory.value.shape);
    case "scratch":
      return memory.bytes;
    case "weight":
      return memory.weight.packing.bytes;
    case "constant":
      return memory.data.byteLength;
  }
}

/** When memory is needed: from its first to its last call. */
export interface Lifetime {
  readonly first: number;
  last: number;
  readonly bytes: number;
}

/**
 * Gives lifetimes offsets so that those which overlap in time do not overlap in space: the largest first, each in the lowest gap
 * that holds it.
 */
export function allocate(
  lifetimes: readonly Lifetime[],
): { offsets: Map<Lifetime, number>; bytes: number } {
  const offsets = new Map<Lifetime, number>();
  let total = 0;
  for (const lifetime of lifetimes.toSorted((a, b) => b.bytes - a.bytes || a.first - b.first)) {
    const size = Math.ceil(lifetime.bytes / ALIGNMENT) * ALIGNMENT;
    const neighbours = [...offsets]
      .filter(([other]) => other.first <= lifetime.last && lifetime.first <= other.last)
      .sort(([, a], [, b]) => a - b);
    let offset = 0;
    for (const [other, start] of neighbours) {
      if (offset + size <= start) break;
      offset = Math.max(offset, start + Math.ceil(other.bytes / ALIGNMENT) * ALIGNMENT);
    }
    offsets.set(lifetime, offset);
    total = Math.max(total, offset + size);
  }
  return { offsets, bytes: total };
}
