/** A request as RunPod's clients send it and RunPod's queues pass it on. */
import { z } from "../../../deps/zod_openapi.ts";
import type { JobOptions, JobRequest } from "../../../jobs/job.ts";
import type { Jobs } from "../../../jobs/jobs.ts";
import { httpAddress, openFields } from "../../input/fields.ts";
import type { Offer } from "../../input/options.ts";
import { serverlessInput, serverlessRequest } from "../../input/serverless_input.ts";

/** The longest of RunPod: a week. */
const LONGEST = 7 * 24 * 3600_000;

export function runpodRequest(offer: Offer) {
  const ms = z.int().min(1).max(LONGEST).optional();
  return openFields({
    input: serverlessInput(offer),
    webhook: httpAddress(2048).optional().describe("Told when it has ended."),
    policy: openFields({
      executionTimeout: ms.describe("Milliseconds that it may take once it has begun."),
      ttl: ms.describe("Milliseconds until it has to have ended."),
      lowPriority: z.boolean().optional().describe("Whether others come first."),
    }).optional(),
  });
}

export type RunpodRequest = z.infer<ReturnType<typeof runpodRequest>>;

/** What is asked for of `jobs`, and how. */
export function runpodSubmission(
  { input, webhook, policy }: RunpodRequest,
  { limits }: Pick<Jobs, "limits">,
): { readonly request: JobRequest; readonly options: JobOptions } {
  const { executionTimeout, ttl, lowPriority } = policy ?? {};
  // When a job begins is not known yet: it may wait as long as any may.
  const left = Math.min(ttl ?? Infinity, limits.queueMs + (executionTimeout ?? Infinity));
  return {
    request: serverlessRequest(input),
    options: {
      origin: "runpod",
      ...lowPriority && { priority: -1 },
      ...left !== Infinity && { deadline: Date.now() + left },
      ...webhook && { webhook: { url: webhook, events: ["completed"] } },
    },
  };
}
