import type { Job } from "../../jobs/job.ts";
import type { Jobs } from "../../jobs/jobs.ts";
import { jobJson } from "./native/job_json.ts";
import { cogWebhookBody } from "./replicate/prediction.ts";
import { runpodWebhookBody } from "./runpod/job.ts";

/**
 * What webhooks say: a job as the protocol has it that it came by.
 *
 * `publicUrl` is where clients reach the server; without it addresses of files have no host. Whether it wants a token nobody knows where
 * pictures are made for a server elsewhere, so `sign` signs in any case.
 */
export function webhookBody(
  jobs: Jobs,
  { publicUrl, sign }: {
    readonly publicUrl: string | null;
    readonly sign: (path: string) => string;
  },
): (job: Job) => unknown {
  return (job) => {
    switch (job.origin) {
      case "cog":
        return cogWebhookBody(job, { jobs, sign });
      case "runpod":
        return runpodWebhookBody(job, jobs);
      default:
        return jobJson(job, null, publicUrl ?? "");
    }
  };
}
