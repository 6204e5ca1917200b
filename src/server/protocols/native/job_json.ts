/** Jobs as the native protocol shows them. */
import { z } from "../../../deps/zod_openapi.ts";
import { type Job, JOB_STATES, type JobFile } from "../../../jobs/job.ts";
import { nativeJson } from "../../input/options.ts";
import { filePath } from "../file_address.ts";

const Time = z.iso.datetime();

export const FileJson = z.object({
  name: z.string().describe("Its name within the job."),
  url: z.string().describe("Where it is; it needs the token, as all else does."),
  picture: z.int().describe("Which picture of the job, from 0."),
  level: z.int().describe("Which resolution, 0 is the outermost."),
  seed: z.string(),
  type: z.string().meta({ examples: ["image/png"] }),
  width: z.int(),
  height: z.int(),
  frames: z.int().describe("1 for a picture."),
  bytes: z.int(),
}).openapi("File");

export const JobJson = z.object({
  id: z.string(),
  state: z.enum(JOB_STATES),
  origin: z.string().describe("The protocol that it came by."),
  createdAt: Time,
  startedAt: Time.nullable(),
  finishedAt: Time.nullable(),
  position: z.int().nullable().describe("Jobs that come before it; null: it does not wait."),
  attempts: z.int().describe("How often it was begun."),
  request: z.record(z.string(), z.unknown()).describe(
    "What is made, with the seed that was drawn: posted again, it gives the same pictures.",
  ),
  progress: z.object({
    step: z.int(),
    steps: z.int().describe("Of all pictures together."),
    etaMs: z.number().nullable().describe("Milliseconds that are left; null: not known."),
  }),
  files: z.array(FileJson).describe("Results, as they come."),
  previews: z.array(FileJson).describe("The newest preview of each picture and resolution."),
  error: z.object({ code: z.string(), message: z.string() }).nullable(),
  warnings: z.array(z.string()).describe(
    "What should be known although it is no error, such as that a prompt was cut: sentences.",
  ),
  timings: z.object({
    queueMs: z.number(),
    textMs: z.number(),
    stepsMs: z.number(),
    encodeMs: z.number(),
    gpuSeconds: z.number(),
  }).nullable(),
}).openapi("Job");

export type FileJson = z.infer<typeof FileJson>;
export type JobJson = z.infer<typeof JobJson>;

/** @param base Where clients reach the server. */
export function jobJson(job: Job, position: number | null, base: string): JobJson {
  const { step, steps, etaMs, previews } = job.progress;
  return {
    id: job.id,
    state: job.state,
    origin: job.origin,
    createdAt: iso(job.createdAt),
    startedAt: job.startedAt === null ? null : iso(job.startedAt),
    finishedAt: job.finishedAt === null ? null : iso(job.finishedAt),
    position,
    attempts: job.attempts,
    request: nativeJson(job.request),
    progress: { step, steps, etaMs },
    files: job.files.map((file) => fileJson(job.id, file, base)),
    previews: previews.map((file) => fileJson(job.id, file, base)),
    error: job.error,
    warnings: [...job.warnings],
    timings: job.timings,
  };
}

export function fileJson(job: string, file: JobFile, base: string): FileJson {
  return { ...file, url: base + filePath(job, file) };
}

function iso(time: number): string {
  return new Date(time).toISOString();
}
