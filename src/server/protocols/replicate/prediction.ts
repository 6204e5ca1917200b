/** A job as Cog and Replicate see it. */
import { z } from "../../../deps/zod_openapi.ts";
import { isEnded, type Job, type JobFile, type JobState } from "../../../jobs/job.ts";
import type { Jobs } from "../../../jobs/jobs.ts";
import { fileAddress, inOrder } from "../file_address.ts";
import { modelName } from "./model.ts";

/** Where a client reaches predictions. */
export interface PredictionApi {
  /** Where it reaches the server. */
  readonly publicUrl: string;
  /** What paths begin with: nothing on Cog, "/v1" on Replicate. */
  readonly prefix: "" | "/v1";
}

/** What a job remembers of the request that made it. */
export interface PredictionNote {
  readonly input: unknown;
  /** The id of the version that the server had then; null in jobs of older servers. */
  readonly version: string | null;
  /** Where predictions were reached then: webhooks have no request to tell. */
  readonly api: PredictionApi;
}

/** Where nobody knows how clients reach the server. */
const NOWHERE: PredictionApi = { publicUrl: "", prefix: "" };

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
  version: z.string().describe("The SHA-256 of the model's files."),
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

/** What a prediction is told with. */
export interface PredictionOptions {
  readonly jobs: Pick<Jobs, "model" | "version" | "link" | "read">;
  readonly api: PredictionApi;
  readonly sign: (path: string) => string;
}

/** A job as a client that reaches predictions at `api` sees it. */
export async function prediction(job: Job, options: PredictionOptions): Promise<Prediction> {
  const { jobs, api: { publicUrl, prefix }, sign } = options;
  const note = noteOf(job);
  const path = `${prefix}/predictions/${job.id}`;
  const url = publicUrl + path;
  return {
    id: job.id,
    model: modelName(jobs.model),
    version: note?.version ?? (await jobs.version()).id,
    input: note?.input ?? job.request,
    output: await output(job, options),
    logs: logs(job),
    error: job.error?.message ?? null,
    status: STATUSES[job.state],
    created_at: time(job.createdAt)!,
    started_at: time(job.startedAt),
    completed_at: time(job.finishedAt),
    metrics: metrics(job),
    source: "api",
    data_removed: false,
    urls: {
      get: url,
      cancel: `${url}/cancel`,
      // Replicate's client sends no token there.
      stream: publicUrl + sign(`${path}/stream`),
    },
  };
}

/** What the webhooks of a prediction are told: all of it, as it was at the event. */
export async function cogWebhookBody(
  job: Job,
  options: Omit<PredictionOptions, "api">,
): Promise<Prediction> {
  return await prediction(job, { ...options, api: noteOf(job)?.api ?? NOWHERE });
}

/**
 * Where a result is. Cog gives files themselves, Replicate their addresses; but its clients make files of what begins with "https:" or
 * "data:" only, so that without TLS they get the files themselves as well.
 */
export async function resultAddress(
  id: string,
  file: JobFile,
  { jobs, api: { publicUrl, prefix }, sign }: PredictionOptions,
): Promise<string | null> {
  const isLinked = prefix === "/v1" && publicUrl.startsWith("https:");
  return await fileAddress(jobs, id, file, isLinked ? (path) => publicUrl + sign(path) : null);
}

/** The line of a log by which Replicate's client knows how far a prediction is; empty before its first step. */
export function progressLine({ progress: { step, steps } }: Job): string {
  if (steps === 0) return "";
  const share = Math.floor(100 * step / steps);
  const done = Math.round(share / 10);
  return `${share}%|${"█".repeat(done)}${" ".repeat(10 - done)}| ${step}/${steps}\n`;
}

/** A line of a log that says what should be known. */
export function warningLine(warning: string): string {
  return `Warning: ${warning}\n`;
}

function logs(job: Job): string {
  const warnings = job.warnings.map(warningLine).join("");
  return `Using seed: ${job.request.seed}\n${warnings}${progressLine(job)}`;
}

/** Null until there is something. */
async function output(
  { id, files }: Job,
  options: PredictionOptions,
): Promise<string[] | null> {
  if (files.length === 0) return null;
  const all = inOrder(files).map((file) => resultAddress(id, file, options));
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
