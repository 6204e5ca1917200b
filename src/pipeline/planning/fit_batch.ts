import { MdmError } from "../../errors.ts";
import type { Gpu } from "../../gpu/device.ts";
import type { KernelPolicy } from "../../gpu/kernel_policy.ts";
import { formatBytes } from "../../units.ts";
import { type Estimate, estimate, gpuBytes, type PlannedEncoder } from "./estimate.ts";
import type { DescribedModel } from "../models/built_in.ts";
import { type ResolvedRequest, sessionShape } from "../request.ts";

/** What a request has to fit into. */
export interface Room {
  readonly limits: Gpu["limits"];
  readonly policy: KernelPolicy;
  /** Bytes on the GPU; undefined: as many as it has. */
  readonly memory: number | undefined;
  /** Whether the text encoder is taken off the GPU before the model's weights come. */
  readonly lowMemory: boolean;
  /** Whether other kernels may still be chosen: no weights are loaded yet. */
  readonly isNew: boolean;
}

/** A request that fits. */
export interface Fitted {
  readonly request: ResolvedRequest;
  /** The room's, or a compact one that it needs. */
  readonly policy: KernelPolicy;
}

/**
 * Makes the batch of a request small enough for the memory that may be used and for the largest pieces that the GPU can
 * bind. Everything is planned for texts as long as the model reads them; nothing is loaded. If one picture is too much, kernels become
 * compact before it is refused.
 *
 * @param encoder Null where there is none.
 * @throws {MdmError} When one picture is too much.
 */
export function fitBatch(
  resolved: ResolvedRequest,
  model: DescribedModel,
  encoder: PlannedEncoder | null,
  room: Room,
): Fitted {
  const { policy } = room;
  const whole = { request: resolved, policy };
  const most = Math.min(resolved.batch, resolved.jobs.length);
  if (most === 1 && room.memory === undefined) return whole;
  const estimateOf = (slots: number) =>
    estimate(
      model,
      encoder,
      sessionShape(resolved, model, { slots, tokens: model.maxTokens }),
      policy,
    );
  const fits = (slots: number) => isRoom(estimateOf(slots), room);
  if (fits(most)) return whole;
  const batch = lastThat(fits, 1, most);
  if (batch === 0 && room.isNew && room.memory !== undefined && !policy.compact) {
    return fitBatch(resolved, model, encoder, { ...room, policy: { ...policy, compact: true } });
  }
  if (batch === 0) checkMemory(estimateOf(1), resolved, model, room);
  return { request: { ...resolved, batch: Math.max(1, batch) }, policy };
}

/** @throws {MdmError} When a run takes more memory than it may. What the GPU itself cannot do is said when the run is made. */
function checkMemory(
  estimate: Estimate,
  { size }: ResolvedRequest,
  { file }: DescribedModel,
  { memory = Infinity, lowMemory }: Room,
): void {
  const total = gpuBytes(estimate, lowMemory);
  if (total <= memory) return;
  const { weights, run, text } = estimate.bytes;
  const parts = [
    `${formatBytes(weights)} of weights`,
    `${formatBytes(run)} for the picture`,
    ...text > 0 ? [`${formatBytes(text)} for the text encoder`] : [],
  ];
  const wide = file.tensors.values().some(({ dtype }) => dtype !== "F16");
  const advice = [
    ...text > 0 && !lowMemory ? ["--low-memory"] : [],
    ...wide ? [`weights of 16 bits (by "mdm convert --dtype f16")`] : [],
    "a smaller --size",
  ];
  throw new MdmError(
    `Cannot make a picture of ${size}x${size} in ${formatBytes(memory)} of the GPU: it takes ${
      formatBytes(total)
    } (${parts.join(", ")}). Use ${advice.join(", ")} or more --memory.`,
  );
}

function isRoom(
  estimate: Estimate,
  { limits, memory = Infinity, lowMemory }: Room,
): boolean {
  return gpuBytes(estimate, lowMemory) <= memory &&
    estimate.largestBuffer <= limits.maxBufferSize &&
    estimate.largestBinding <= limits.maxStorageBufferBindingSize;
}

/** The last number from `first` on, and before `end`, that passes; all before it pass as well. `first` - 1: none. */
function lastThat(passes: (n: number) => boolean, first: number, end: number): number {
  if (first >= end) return first - 1;
  const middle = Math.floor((first + end) / 2);
  return passes(middle) ? lastThat(passes, middle + 1, end) : lastThat(passes, first, middle);
}
