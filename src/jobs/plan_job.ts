import { UsageError } from "../errors.ts";
import { shown } from "../quoted.ts";
import type { DescribedModel } from "../pipeline/models/built_in.ts";
import {
  allowedValues,
  OUTPUT,
  PARAMETERS,
  parseSeed,
  pick,
  SAMPLING,
} from "../pipeline/parameters.ts";
import { type ResolvedRequest, resolveRequest } from "../pipeline/request.ts";
import { encodingOf } from "../engine/encode_levels.ts";
import type { ImageOutput } from "../engine/image_task.ts";
import type { JobRequest } from "./job.ts";

/** What a job comes to. */
export interface PlannedJob {
  /** The resolved request of each image alone, in order. */
  readonly images: readonly ResolvedRequest[];
  readonly output: ImageOutput;
  /** Steps of each image. */
  readonly steps: number;
  /** Width and height of the outermost resolution. */
  readonly size: number;
}

/** The seed of one of a job's images. */
export function seedOf({ seed }: JobRequest, image: number): string {
  return String(BigInt.asUintN(64, BigInt(seed) + BigInt(image)));
}

/**
 * Resolves a job's request against a model and takes it apart. Nothing is loaded. It is done when a job is submitted, so that what cannot
 * be is refused at once, and when a worker begins it: queues keep requests, and the worker may be another process, of another version.
 * From there on, what was resolved is what the engine gets.
 *
 * @throws {UsageError} When the model cannot do what is asked for.
 */
export function planJob(
  request: JobRequest,
  model: Pick<DescribedModel, "config" | "diffusion">,
): PlannedJob {
  const { prompts, count } = request;
  const seed = parseSeed(request.seed);
  if (seed === null) {
    throw new UsageError(
      `Cannot use seed ${shown(request.seed)}: give ${allowedValues(PARAMETERS.seed.type)}.`,
    );
  }
  const whole = { ...pick(SAMPLING, request), prompt: prompts, count, seed };
  const resolved = resolveRequest(whole, model.config, model.diffusion);
  const { levels, preview, ...format } = pick(OUTPUT, request);
  const encoding = encodingOf(format, model.config);
  const images = resolved.jobs.map((job): ResolvedRequest => {
    return { ...resolved, jobs: [{ ...job, index: 0, promptIndex: 0 }], batch: 1 };
  });
  const { steps, size } = resolved;
  return { images, output: { levels, preview, encoding }, steps, size };
}
