import type { Job } from "../jobs/job.ts";
import type { Jobs } from "../jobs/jobs.ts";
import { jobJson } from "./job_json.ts";
import { cogWebhookBody } from "./prediction.ts";
import { runpodWebhookBody } from "./runpod_job.ts";

/**
 * What webhooks say: a job as the front end has it that it came by.
 *
 * @param publicUrl Where clients reach the server; without it addresses of files have no host.
 */
export function webhookBody(jobs: Jobs, publicUrl: string | null): (job: Job) => unknown {
  return (job) => {
    switch (job.origin) {
      case "cog":
        return cogWebhookBody(job, jobs);
      case "runpod":
        return runpodWebhookBody(job, jobs);
      default:
        return jobJson(job, null, publicUrl ?? "");
    }
  };
}
