/** A job as Cog and Replicate see it. */
import { z } from "@hono/zod-openapi";
import { isEnded, type Job, type JobState } from "../jobs/job.ts";
import type { Jobs } from "../jobs/jobs.ts";
import { fileAddress, inOrder } from "./file_address.ts";

/** What a job remembers of the request that made it. */
export interface PredictionNote {
  readonly input: unknown;
  readonly version: string | null;
  /** Where predictions were reached then: webhooks have no request to tell. */
  readonly base: string;
}

const STATUSES = {
  queued: "starting",
  running: "processing",
  succeeded: "succeeded",
  failed: "failed",
  canceled: "canceled",
} as const satisfies Record<JobState, string>;

const Output = z.array(z.url()).openapi("Output", { title: "Output" });

export const Prediction = z.object({
  id: z.string(),
  model: z.string(),
  version: z.string().nullable(),
  input: z.unknown(),
  // Not `nullable`, which would make a null of the component as well.
  output: z.union([Output, z.null()]),
  logs: z.string(),
  error: z.string().nullable(),
  status: z.enum(Object.values(STATUSES)),
  created_at: z.iso.datetime(),
  started_at: z.iso.datetime().nullable(),
  completed_at: z.iso.datetime().nullable(),
  metrics: z.record(z.string(), z.number()),
  source: z.literal("api"),
  data_removed: z.boolean(),
  urls: z.object({ get: z.string(), cancel: z.string(), stream: z.string() }),
}).openapi("PredictionResponse");

export type Prediction = z.infer<typeof Prediction>;

/**
 * @param base Where predictions are reached, without a slash at the end.
 * @param addresses Says where results are.
 */
export async function prediction(
  job: Job,
  { jobs, base, addresses = jobs }: {
    readonly jobs: Pick<Jobs, "model" | "link" | "read">;
    readonly base: string;
    readonly addresses?: Pick<Jobs, "link" | "read">;
  },
): Promise<Prediction> {
  const note = noteOf(job);
  const url = `${base}/predictions/${job.id}`;
  return {
    id: job.id,
    model: `mdm/${jobs.model.name}`,
    version: note?.version ?? null,
    input: note?.input ?? job.request,
    output: await output(job, addresses),
    logs: logs(job),
    error: job.error?.message ?? null,
    status: STATUSES[job.state],
    created_at: time(job.createdAt)!,
    started_at: time(job.startedAt),
    completed_at: time(job.finishedAt),
    metrics: metrics(job),
    source: "api",
    data_removed: false,
    urls: { get: url, cancel: `${url}/cancel`, stream: `${url}/stream` },
  };
}

/** What the webhooks of a prediction are told: all of it, as it was at the event. */
export async function cogWebhookBody(
  job: Job,
  jobs: Pick<Jobs, "model" | "link" | "read">,
): Promise<Prediction> {
  return await prediction(job, { jobs, base: noteOf(job)?.base ?? "" });
}

/** The line of a log by which Replicate's client knows how far a prediction is; empty before its first step. */
export function progressLine({ progress: { step, steps } }: Job): string {
  if (steps === 0) return "";
  const share = Math.floor(100 * step / steps);
  const done = Math.round(share / 10);
  return `${share}%|${"█".repeat(done)}${" ".repeat(10 - done)}| ${step}/${steps}\n`;
}

function logs(job: Job): string {
  return `Using seed: ${job.request.seed}\n${progressLine(job)}`;
}

/** Null until there is something. */
async function output(
  { id, files }: Job,
  addresses: Pick<Jobs, "link" | "read">,
): Promise<string[] | null> {
  if (files.length === 0) return null;
  const all = inOrder(files).map((file) => fileAddress(addresses, id, file));
  return (await Promise.all(all)).filter((address) => address !== null);
}

/** In seconds. */
function metrics(job: Job): Record<string, number> {
  const { createdAt, startedAt, finishedAt, timings } = job;
  if (!isEnded(job) || startedAt === null || finishedAt === null) return {};
  return {
    predict_time: (finishedAt - startedAt) / 1000,
    total_time: (finishedAt - createdAt) / 1000,
    ...timings !== null && { gpu_time: timings.gpuSeconds },
  };
}

function noteOf({ origin, note }: Job): PredictionNote | null {
  return origin === "cog" ? note as PredictionNote : null;
}

function time(ms: number | null): string | null {
  return ms === null ? null : new Date(ms).toISOString();
}
