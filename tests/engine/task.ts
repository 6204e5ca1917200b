/** A task for an engine. */
import type { ImageTask, NewImageTask } from "../../src/engine/image_task.ts";
import { planJob } from "../../src/jobs/plan_job.ts";
import { MODEL, requestOf } from "../jobs/job_place.ts";

/** A small image of three steps, but for what is given. */
export function task(
  different: Parameters<typeof requestOf>[0] = {},
  more: Partial<ImageTask> = {},
): NewImageTask {
  const request = requestOf({ prompts: ["a red circle"], steps: 3, size: 16, ...different });
  const { images: [resolved], output } = planJob(request, MODEL);
  return { resolved: resolved!, output, priority: 0, createdAt: 0, ...more };
}
