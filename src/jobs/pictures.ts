/** The pictures of a job. */
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
import { resolveRequest } from "../pipeline/request.ts";
import { encodingOf } from "../engine/encode_levels.ts";
import type { JobRequest } from "./job.ts";
import type { PictureOutput, PictureRequest } from "../engine/picture_task.ts";

/** What a job comes to: a request for each picture, in order, and how each is wanted. */
export interface PlannedJob {
  readonly pictures: readonly PictureRequest[];
  readonly output: PictureOutput;
  /** Steps of each picture. */
  readonly steps: number;
  /** Width and height of the outermost picture. */
  readonly size: number;
}

/** The seed of one of a job's pictures. */
export function seedOf({ seed }: JobRequest, picture: number): string {
  return String(BigInt.asUintN(64, BigInt(seed) + BigInt(picture)));
}

/**
 * Checks a job against a model and takes it apart. Nothing is loaded.
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
  const sampling = pick(SAMPLING, request);
  const whole = { ...sampling, prompt: prompts, count, seed };
  const { jobs, steps, size } = resolveRequest(whole, model.config, model.diffusion);
  const output = pick(OUTPUT, request);
  encodingOf(output, model.config);
  const pictures = jobs.map(({ prompt, seed }) => ({ ...sampling, prompt, seed }));
  return { pictures, output, steps, size };
}
