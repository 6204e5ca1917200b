import { FeatureCacheSchedule } from "../diffusion/feature_cache.ts";
import type { Picture } from "../media/picture.ts";
import type { Batch, SampledImage } from "./batch.ts";
import type { ResolvedRequest } from "./request.ts";

/**
 * Steps that may be on the GPU before the oldest is waited for: a wait takes 11 ms in Deno, and the GPU should not idle
 * meanwhile.
 */
const STEPS_IN_FLIGHT = 2;

/** What a step has done. */
export interface DenoisingStep {
  /** The images that it was a step of, each with the number of steps that it has had. */
  readonly steps: ReadonlyMap<SampledImage, number>;
  /** Those whose last step it was, with all their resolutions: they have left the batch. */
  readonly finished: ReadonlyMap<SampledImage, Promise<Picture[]>>;
}

/** What {@link denoise} can be given. */
export interface DenoisingOptions {
  /** At which steps the inner UNets are run; absent or null: at all of them. */
  readonly schedule?: FeatureCacheSchedule | null;
  /** Stops between two steps. */
  readonly signal?: AbortSignal | undefined;
}

/** A step on the GPU. */
interface StepInFlight {
  /** Its place among the steps of the loop, from 0. */
  readonly index: number;
  /** Ends when the GPU has done it; where the relative change of features is measured, with that. */
  readonly done: Promise<number | void>;
}

/**
 * The denoising loop, the only one: submits steps of a batch for as long as images are in it, keeps the GPU busy, and reads images that
 * are done. Between two steps, that is, whenever it has yielded one, images may be added to the batch and removed.
 *
 * @throws What the GPU reports.
 * @throws The signal's reason, between two steps, when it is aborted.
 */
export async function* denoise(
  batch: Batch,
  { schedule = null, signal }: DenoisingOptions = {},
): AsyncGenerator<DenoisingStep, void, void> {
  const inFlight: StepInFlight[] = [];
  const wait = async () => {
    const { index, done } = inFlight.shift()!;
    const change = await done;
    // Taken when it is waited for, not when it is there: decisions must not depend on how fast the GPU is.
    if (change !== undefined) schedule?.measured(index, change);
  };
  try {
    for (let index = 0; batch.images.length > 0; index++) {
      signal?.throwIfAborted();
      const { done, ...step } = submit(batch, schedule);
      inFlight.push({ index, done });
      if (inFlight.length >= STEPS_IN_FLIGHT) await wait();
      yield step;
    }
    while (inFlight.length > 0) await wait();
  } finally {
    await Promise.allSettled(inFlight.map(({ done }) => done));
  }
}

/** The schedule of images that are denoised with a feature cache, together from their first step on; null: without one. */
export function cacheSchedule(
  { cache, plan }: Pick<ResolvedRequest, "cache" | "plan">,
): FeatureCacheSchedule | null {
  return cache === undefined ? null : new FeatureCacheSchedule(cache, plan.guidances);
}

/** Submits a step of all images of a batch; takes those out whose last it was. */
function submit(
  batch: Batch,
  schedule: FeatureCacheSchedule | null,
): DenoisingStep & Pick<StepInFlight, "done"> {
  const inner = schedule?.next() ?? true;
  const last = batch.step({ inner });
  const done = inner && batch.kind.inner === "measured" ? batch.readChange() : batch.finish();
  const steps = new Map(batch.images.map((image) => [image, batch.stepsOf(image)]));
  const finished = new Map(last.map((image) => [image, batch.read(image)]));
  for (const image of last) batch.remove(image);
  // These are looked at later, or never where a step before fails: until then they must not count as unhandled.
  for (const promise of [done, ...finished.values()]) promise.catch(() => {});
  return { done, steps, finished };
}
