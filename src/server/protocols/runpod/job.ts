/** A job as RunPod sees it. */
import { z } from "../../../deps/zod_openapi.ts";
import { isEnded, type Job, type JobFile } from "../../../jobs/job.ts";
import type { Jobs } from "../../../jobs/jobs.ts";
import { fileAddress, inOrder } from "../file_address.ts";

type Files = Pick<Jobs, "model" | "link" | "read">;

export const RunpodState = z.enum([
  "IN_QUEUE",
  "IN_PROGRESS",
  "COMPLETED",
  "FAILED",
  "CANCELLED",
  "TIMED_OUT",
]);

/** A picture or a video: `image` or `video` is its address, or a data: URL that is the file itself. */
export const RunpodFile = z.object({
  image: z.url().optional(),
  video: z.url().optional(),
  picture: z.int().describe("Which one of the job, from 0."),
  level: z.int().describe("Which resolution; 0 is the outermost."),
  seed: z.union([z.int(), z.string()]).describe("In digits where JSON's numbers do not hold it."),
  width: z.int(),
  height: z.int(),
  frames: z.int().optional(),
});

export type RunpodFile = z.infer<typeof RunpodFile>;

export const RunpodOutput = z.object({
  images: z.array(RunpodFile).optional(),
  videos: z.array(RunpodFile).optional(),
  warnings: z.array(z.string()).optional().describe(
    "What should be known, such as that a prompt was cut; absent: nothing.",
  ),
});

export type RunpodOutput = z.infer<typeof RunpodOutput>;

/** What a running job says of itself. */
export const RunpodProgress = z.object({
  step: z.int(),
  steps: z.int(),
  etaMs: z.number().nullable(),
});

export const RunpodJob = z.object({
  id: z.string(),
  status: RunpodState,
  delayTime: z.number().optional().describe("Milliseconds until it was begun."),
  executionTime: z.number().optional().describe("Milliseconds from then to its end."),
  output: z.union([RunpodOutput, RunpodProgress]).optional(),
  error: z.string().optional(),
}).openapi("RunpodJob");

export type RunpodJob = z.infer<typeof RunpodJob>;

export function runpodState({ state, error }: Pick<Job, "state" | "error">): RunpodJob["status"] {
  switch (state) {
    case "queued":
      return "IN_QUEUE";
    case "running":
      return "IN_PROGRESS";
    case "succeeded":
      return "COMPLETED";
    case "canceled":
      return "CANCELLED";
    case "failed":
      return error?.code === "expired" || error?.code === "timeout" ? "TIMED_OUT" : "FAILED";
  }
}

/** All but what came of it. */
export function runpodSummary(job: Job): RunpodJob {
  const { id, createdAt, startedAt, finishedAt, error } = job;
  const begun = startedAt ?? finishedAt;
  return {
    id,
    status: runpodState(job),
    ...begun !== null && { delayTime: begun - createdAt },
    ...begun !== null && finishedAt !== null && { executionTime: finishedAt - begun },
    ...error !== null && { error: error.message },
  };
}

/** All of it: the results of one that succeeded, how far one is that runs. */
export async function runpodJob(job: Job, jobs: Files): Promise<RunpodJob> {
  const summary = runpodSummary(job);
  if (job.state === "succeeded") return { ...summary, output: await runpodOutput(job, jobs) };
  return isEnded(job) || job.progress.steps === 0
    ? summary
    : { ...summary, output: runpodProgress(job) };
}

/** What the webhook of a job is told at its end. */
export const runpodWebhookBody = runpodJob;

export function runpodProgress({ progress: { step, steps, etaMs } }: Job) {
  return { step, steps, etaMs };
}

export async function runpodOutput(
  { id, files, warnings }: Job,
  jobs: Files,
): Promise<RunpodOutput> {
  const all = await Promise.all(inOrder(files).map((file) => runpodFile(jobs, id, file)));
  const there = all.filter((file) => file !== null);
  return {
    ...jobs.model.makes === "videos" ? { videos: there } : { images: there },
    ...warnings.length > 0 && { warnings: [...warnings] },
  };
}

/** Null where it is gone. */
export async function runpodFile(
  jobs: Files,
  id: string,
  file: JobFile,
): Promise<RunpodFile | null> {
  // Without a store that has addresses RunPod's own workers give files themselves too.
  const address = await fileAddress(jobs, id, file);
  if (address === null) return null;
  const { picture, level, seed, width, height, frames } = file;
  const number = Number(seed);
  return {
    ...file.type.startsWith("video/") ? { video: address } : { image: address },
    picture,
    level,
    seed: Number.isSafeInteger(number) ? number : seed,
    width,
    height,
    ...jobs.model.makes === "videos" && { frames },
  };
}
