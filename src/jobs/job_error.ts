import { MdmError } from "../errors.ts";
import { imageError } from "../engine/image_error.ts";
import type { JobError } from "./job.ts";

/** Why a job ends whose deadline is over, whether it waits or runs. */
export const DEADLINE_PASSED: JobError = {
  code: "expired",
  message: "The deadline passed before the job was done: try again with a later one.",
};

/** A job or image that cannot go on, for a reason that clients are told. */
export class JobFailed extends MdmError {
  override name = "JobFailed";

  constructor(readonly error: JobError) {
    super(error.message);
  }
}

/** What a client is told of an error. */
export function jobError(error: unknown): JobError {
  return error instanceof JobFailed ? error.error : imageError(error);
}
