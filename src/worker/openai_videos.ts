/** Videos as OpenAI's API makes them: jobs, and their files. */
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import { isEnded, type Job, type JobOptions, type JobRequest } from "../jobs/job.ts";
import type { Jobs, ModelCard } from "../jobs/jobs.ts";
import { DEFAULT_FPS, FASTEST } from "../media/animation.ts";
import { findJob } from "./find_job.ts";
import { HttpError } from "./http_error.ts";
import { jobRequest, optionFields } from "./input.ts";
import { OpenAiError } from "./openai_error.ts";
import { checkModel, extraFields, modelFields, seconds, sizeOf } from "./openai_fields.ts";
import { FileHeaders, fileResponses, sendFile } from "./send_file.ts";

/** Jobs that a list is taken from. */
const LISTED = 1000;

/** MP4 is what this protocol makes; videos that came by another one may be of other types. */
const VIDEO_TYPES = ["video/mp4", "image/gif", "image/webp", "image/png"];

const VideoJson = z.object({
  id: z.string(),
  object: z.literal("video"),
  model: z.string(),
  status: z.enum(["queued", "in_progress", "completed", "failed"]),
  progress: z.number().describe("Percent."),
  created_at: z.int(),
  completed_at: z.int().nullable(),
  expires_at: z.null(),
  prompt: z.string().nullable(),
  seconds: z.string().describe("How long the video is."),
  size: z.string(),
  remixed_from_video_id: z.null(),
  error: z.object({ code: z.string(), message: z.string() }).nullable(),
}).openapi("OpenAIVideo");

type VideoJson = z.infer<typeof VideoJson>;

const Id = z.object({ id: z.string() });

const FAILED = {
  default: {
    description: "What went wrong.",
    content: { "application/json": { schema: OpenAiError } },
  },
};

/** `/v1/videos` and what is below. */
export function videos(app: OpenAPIHono, jobs: Jobs): void {
  const { model } = jobs;
  const schema = videoBody(jobs);
  const video = { content: { "application/json": { schema: VideoJson } } };

  app.openapi(
    createRoute({
      method: "post",
      path: "/v1/videos",
      tags: ["OpenAI"],
      summary: "Ask for a video",
      request: {
        headers: z.object({ "idempotency-key": z.string().min(1).max(255).optional() }),
        body: { content: { "multipart/form-data": { schema }, "application/json": { schema } } },
      },
      responses: { 200: { description: "The video, which waits.", ...video }, ...FAILED },
    }),
    async (c) => {
      // A body without a type is let through unread.
      const type = c.req.header("Content-Type");
      if (!type) throw new HttpError(415, "Send the request as JSON or as a form.");
      const body = c.req.valid(/^application\/(.*\+)?json/i.test(type) ? "json" : "form");
      checkModel(model, body.model);
      if (model.makes !== "videos") {
        throw new HttpError(400, "The model makes pictures: ask at /v1/images/generations.");
      }
      const key = c.req.valid("header")["idempotency-key"];
      const options: JobOptions = {
        origin: "openai",
        ...key !== undefined && { idempotencyKey: key },
      };
      return c.json(videoJson(await jobs.submit(requestOf(body, model, key), options), model), 200);
    },
  );

  app.openapi(
    createRoute({
      method: "get",
      path: "/v1/videos",
      tags: ["OpenAI"],
      summary: "List videos, of those that are kept the newest thousand",
      request: {
        query: z.object({
          after: z.string().optional().describe("The id of the last one that was seen."),
          limit: z.coerce.number().int().min(1).max(100).default(20),
          order: z.enum(["asc", "desc"]).default("desc"),
        }),
      },
      responses: {
        200: {
          description: "Videos.",
          content: {
            "application/json": {
              schema: z.object({
                object: z.literal("list"),
                data: z.array(VideoJson),
                first_id: z.string().nullable(),
                last_id: z.string().nullable(),
                has_more: z.boolean(),
              }),
            },
          },
        },
        ...FAILED,
      },
    }),
    async (c) => {
      const { after, limit, order } = c.req.valid("query");
      const all = model.makes === "videos" ? await jobs.list({ limit: LISTED }) : [];
      if (order === "asc") all.reverse();
      const start = after === undefined ? 0 : all.findIndex(({ id }) => id === after) + 1;
      const data = all.slice(start, start + limit).map((job) => videoJson(job, model));
      return c.json({
        object: "list" as const,
        data,
        first_id: data[0]?.id ?? null,
        last_id: data.at(-1)?.id ?? null,
        has_more: start + limit < all.length,
      }, 200);
    },
  );

  app.openapi(
    createRoute({
      method: "get",
      path: "/v1/videos/{id}",
      tags: ["OpenAI"],
      summary: "See how a video is",
      request: { params: Id },
      responses: { 200: { description: "The video.", ...video }, ...FAILED },
    }),
    async (c) => c.json(videoJson(await findJob(jobs, c.req.valid("param").id), model), 200),
  );

  app.openapi(
    createRoute({
      method: "get",
      path: "/v1/videos/{id}/content",
      tags: ["OpenAI"],
      summary: "Fetch a video",
      request: {
        params: Id,
        headers: FileHeaders,
        query: z.object({
          variant: z.literal("video", { error: `There is no variant but "video".` }).optional(),
        }),
      },
      responses: {
        ...fileResponses(VIDEO_TYPES),
        ...FAILED,
      },
    }),
    async (c) => {
      const job = await findJob(jobs, c.req.valid("param").id);
      const result = job.files.find(({ level }) => level === 0);
      if (job.state !== "succeeded" || result === undefined) {
        const why = isEnded(job) ? "was not made" : "is not ready yet";
        throw new HttpError(400, `The video ${why}.`, { code: "video_not_ready" });
      }
      return await sendFile(c, jobs, job, result.name);
    },
  );

  app.openapi(
    createRoute({
      method: "delete",
      path: "/v1/videos/{id}",
      tags: ["OpenAI"],
      summary: "Remove a video, or cancel one that is not ready",
      description: "`deleted` is false of one that is canceled: it is kept, and can be removed.",
      request: { params: Id },
      responses: {
        200: {
          description: "What was done.",
          content: {
            "application/json": {
              schema: z.object({
                id: z.string(),
                object: z.literal("video.deleted"),
                deleted: z.boolean(),
              }),
            },
          },
        },
        ...FAILED,
      },
    }),
    async (c) => {
      const job = await findJob(jobs, c.req.valid("param").id);
      const ended = isEnded(job);
      await (ended ? jobs.remove(job.id) : jobs.cancel(job.id));
      return c.json({ id: job.id, object: "video.deleted" as const, deleted: ended }, 200);
    },
  );
}

function videoBody(jobs: Jobs) {
  const { prompt, fps } = optionFields(jobs);
  const { steps, guidance, ...extras } = extraFields(jobs);
  return z.strictObject({
    prompt,
    ...modelFields(jobs.model),
    seconds: z.coerce.number().positive().max(3600).optional().describe(
      "How long the video shall be: its frames are shown as fast as comes nearest to that.",
    ),
    fps: written(fps.nullish()),
    ...extras,
    steps: written(steps),
    guidance: written(guidance),
  }).openapi("OpenAIVideoRequest");
}

type Body = z.infer<ReturnType<typeof videoBody>>;

/** Forms hold text alone: a number that is written there is one. */
function written<T extends z.ZodType>(schema: T) {
  return z.preprocess(
    (value) => typeof value === "string" && /^[\d.]+$/.test(value) ? Number(value) : value,
    schema,
  );
}

function requestOf(body: Body, { frames }: ModelCard, key: string | undefined): JobRequest {
  const wanted = body.seconds === undefined ? undefined : Math.round(frames / body.seconds);
  return jobRequest([body.prompt], {
    negative: body.negative_prompt ?? undefined,
    seed: body.seed ?? undefined,
    steps: body.steps ?? undefined,
    guidance: body.guidance ?? undefined,
    sampler: body.sampler ?? undefined,
    fps: body.fps ?? (wanted && Math.min(FASTEST, Math.max(1, wanted))),
    format: "mp4",
  }, key);
}

function videoJson(job: Job, { name, frames, levels: [outermost] }: ModelCard): VideoJson {
  const { progress: { step, steps }, request: { prompts, fps = DEFAULT_FPS }, error } = job;
  const done = job.state === "succeeded";
  return {
    id: job.id,
    object: "video",
    model: name,
    status: STATUSES[job.state],
    progress: done ? 100 : steps === 0 ? 0 : Math.floor(100 * step / steps),
    created_at: seconds(job.createdAt),
    completed_at: done && job.finishedAt !== null ? seconds(job.finishedAt) : null,
    expires_at: null,
    prompt: prompts[0] ?? null,
    seconds: String(Math.round(100 * frames / fps) / 100),
    size: sizeOf(outermost!),
    remixed_from_video_id: null,
    error: job.state === "canceled"
      ? { code: "canceled", message: "It was canceled." }
      : error && { code: error.code, message: error.message },
  };
}

const STATUSES = {
  queued: "queued",
  running: "in_progress",
  succeeded: "completed",
  failed: "failed",
  canceled: "failed",
} as const satisfies Record<Job["state"], VideoJson["status"]>;
