import { MdmError, UsageError } from "../errors.ts";
import type { ImageError } from "./image_task.ts";

/** What a client is told of an error: a defect of ours does not speak for itself. */
export function imageError(error: unknown): ImageError {
  if (error instanceof UsageError) return { code: "request", message: error.message };
  if (error instanceof MdmError) return { code: "failed", message: error.message };
  console.error(error);
  return { code: "failed", message: "The image could not be made: the worker has a defect." };
}
