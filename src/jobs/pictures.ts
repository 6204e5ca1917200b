/** The pictures of a job. */
import { UsageError } from "../errors.ts";
import type { DescribedModel } from "../pipeline/models/built_in.ts";
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
  const { prompts, count, seed, levels, preview, format, fps, ...settings } = request;
  if (!/^\d{1,20}$/.test(seed)) {
    throw new UsageError(`Cannot use seed "${seed}": give a whole number from 0 to 2^64 - 1.`);
  }
  const whole = { ...settings, prompt: prompts, count, seed: BigInt(seed) };
  const { jobs, steps, size } = resolveRequest(whole, model.config, model.diffusion);
  const output = {
    levels,
    preview,
    ...format !== undefined && { format },
    ...fps !== undefined && { fps },
  };
  encodingOf(output, model.config);
  const pictures = jobs.map(({ prompt, seed }) => ({ ...settings, prompt, seed }));
  return { pictures, output, steps, size };
}
