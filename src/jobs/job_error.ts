import { MdmError, UsageError } from "../errors.ts";
import type { JobError } from "./job.ts";

/** Why a job ends whose deadline is over, whether it waits or runs. */
export const DEADLINE_PASSED: JobError = {
  code: "expired",
  message: "The deadline passed before the job was done: try again with a later one.",
};

/** A job or picture that cannot go on, for a reason that clients are told. */
export class JobFailed extends MdmError {
  override name = "JobFailed";

  constructor(readonly error: JobError) {
    super(error.message);
  }
}

/** What a client is told of an error: a defect of ours does not speak for itself. */
export function jobError(error: unknown): JobError {
  if (error instanceof JobFailed) return error.error;
  if (error instanceof UsageError) return { code: "request", message: error.message };
  if (error instanceof MdmError) return { code: "failed", message: error.message };
  console.error(error);
  return { code: "failed", message: "The picture could not be made: the worker has a defect." };
}
