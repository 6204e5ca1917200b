/** Videos as OpenAI's API makes them: jobs, and their files. */
import { createRoute, type OpenAPIHono, z } from "../../../deps/zod_openapi.ts";
import type { MiddlewareHandler } from "../../../deps/hono.ts";
import { isEnded, type Job, type JobRequest } from "../../../jobs/job.ts";
import type { ModelCard } from "../../../jobs/jobs.ts";
import { DEFAULT_FPS } from "../../../media/animation.ts";
import { PARAMETERS, type ParameterType } from "../../../pipeline/parameters.ts";
import { fields, wholeNumber, written, writtenBoolean } from "../../input/fields.ts";
import { findJob } from "../find_job.ts";
import type { ProtocolOptions } from "../../http/protocol.ts";
import { HttpError, notFound } from "../../http/http_error.ts";
import {
  jobRequest,
  optionField,
  optionShape,
  optionsIn,
  promptField,
} from "../../input/options.ts";
import { OpenAiError } from "./error.ts";
import { checkModel, modelField, seconds, Warnings, warningsOf } from "./fields.ts";
import { placeFor } from "./refusals.ts";
import { fpsFor, lasts, nearestSeconds, secondsOf } from "./seconds.ts";
import { sizeFields, sizeOf } from "./size.ts";
import { FileHeaders, fileResponses, sendFile } from "../send_file.ts";

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
  warnings: Warnings,
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
export function videos(app: OpenAPIHono, options: ProtocolOptions): void {
  const { jobs } = options;
  const { model } = jobs;
  const schema = videoBody(options);
  const video = { content: { "application/json": { schema: VideoJson } } };

  // Before the body is read, which may be a form with pictures in it.
  const refusesPictures: MiddlewareHandler = async (_, next) => {
    if (model.makes === "videos") return await next();
    const message = `The model makes pictures: ask at ${placeFor("pictures")}.`;
    throw new HttpError(400, message, { code: "unsupported" });
  };

  const findVideo = async (id: string): Promise<Job> => {
    const job = await findJob(jobs, id);
    if (!isVideo(job, model)) {
      throw new HttpError(404, "That job makes no MP4 video: ask for it at /jobs.");
    }
    return job;
  };

  app.openapi(
    createRoute({
      method: "post",
      path: "/v1/videos",
      tags: ["OpenAI"],
      summary: "Ask for a video",
      description:
        "`seconds` is how long it lasts, or the request is refused: the model makes so many frames, shown 1 to 120 a second. " +
        "What the answer says of `seconds` and `size` is what is made.",
      middleware: refusesPictures,
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
      const key = c.req.valid("header")["idempotency-key"];
      const job = await jobs.submit(requestOf(body, model, key), {
        origin: "openai",
        ...key !== undefined && { idempotencyKey: key },
      });
      return c.json(videoJson(job, model), 200);
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
          limit: written(wholeNumber(1, 100)).default(20),
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
      const all = (await jobs.list({ limit: LISTED })).filter((job) => isVideo(job, model));
      if (order === "asc") all.reverse();
      const before = after === undefined ? -1 : all.findIndex(({ id }) => id === after);
      // From the start again a client that pages through them would never end.
      if (after !== undefined && before < 0) throw notFound();
      const start = before + 1;
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
    async (c) => c.json(videoJson(await findVideo(c.req.valid("param").id), model), 200),
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
          variant: z.literal("video", {
            error: `Thumbnails and spritesheets are not made: leave it out, or give "video".`,
          }).optional(),
        }),
      },
      responses: {
        ...fileResponses(VIDEO_TYPES),
        ...FAILED,
      },
    }),
    async (c) => {
      const job = await findVideo(c.req.valid("param").id);
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
      const job = await findVideo(c.req.valid("param").id);
      const ended = isEnded(job);
      await (ended ? jobs.remove(job.id) : jobs.cancel(job.id));
      return c.json({ id: job.id, object: "video.deleted" as const, deleted: ended }, 200);
    },
  );
}

/** Whether a job is one of these, by whatever protocol it came: others are pictures, or animations of another format. */
function isVideo({ request: { format = "mp4" }, files }: Job, { makes }: ModelCard): boolean {
  return makes === "videos" && format === "mp4" &&
    files.every(({ level, type }) => level > 0 || type === "video/mp4");
}

function videoBody({ jobs, strictSizes }: Pick<ProtocolOptions, "jobs" | "strictSizes">) {
  const { frames } = jobs.model;
  const { size, aspect_ratio, aspectRatio } = sizeFields(jobs.model, strictSizes);
  return fields({
    prompt: promptField(jobs),
    ...optionShape("openai", jobs, inForm),
    model: orNull(modelField(jobs.model)),
    size: orNull(size),
    aspect_ratio: orNull(aspect_ratio),
    aspectRatio: orNull(aspectRatio),
    seconds: written(orNull(
      z.number({ error: `Give a number of seconds, such as "${secondsOf(frames, DEFAULT_FPS)}".` })
        .positive().max(3600).refine((seconds) => fpsFor(seconds, frames) !== null, {
          error: ({ input }) => impossible(Number(input), frames),
        }).optional(),
    )).describe(`How long the video is: of ${frames} frames, of which so many are shown a second.`),
    fps: inForm(optionField("fps", "native", jobs).optional(), PARAMETERS.fps.type),
    user: z.string().max(1000).optional().describe("Changes nothing."),
    input_reference: reference,
    // As the official clients put what is in it into forms.
    "input_reference[image_url]": reference,
    "input_reference[file_id]": reference,
  }).refine(
    ({ seconds, fps }) => seconds === undefined || fps === undefined || lasts(frames, fps, seconds),
    {
      path: ["fps"],
      error: `It says another length than "seconds": leave one of them out.`,
    },
  ).openapi("OpenAIVideoRequest");
}

type Body = z.infer<ReturnType<typeof videoBody>>;

/** Forms hold text alone: what is absent may be written so. */
function orNull<T extends z.ZodType>(schema: T) {
  return z.preprocess((value) => value === "null" ? undefined : value, schema);
}

/** The field of a parameter, which may stand in a form. */
function inForm<T>(schema: z.ZodType<T>, { kind }: ParameterType): z.ZodType<T> {
  switch (kind) {
    case "text":
      return schema;
    case "integer":
    case "number":
    case "size":
      return written(orNull(schema));
    case "boolean":
      return writtenBoolean(orNull(schema));
    default:
      return orNull(schema);
  }
}

const reference = orNull(
  z.null({ error: "The model makes videos from text alone: leave the reference out." }).optional(),
);

function impossible(seconds: number, frames: number): string {
  const possible = nearestSeconds(seconds, frames).join(" or ");
  return `The model makes ${frames} frames, which cannot last ${seconds} seconds: ${possible} can be.`;
}

function requestOf(body: Body, { frames }: ModelCard, key: string | undefined): JobRequest {
  const fps = body.seconds === undefined ? null : fpsFor(body.seconds, frames);
  return jobRequest([body.prompt], {
    ...optionsIn("openai", body),
    fps: body.fps ?? fps ?? undefined,
    format: "mp4",
  }, key);
}

function videoJson(job: Job, { name, frames, levels: [outermost] }: ModelCard): VideoJson {
  const { progress: { step, steps }, request, error } = job;
  const { prompts, fps = DEFAULT_FPS } = request;
  // One that came by another protocol may have a size, which is that of all frames side by side.
  const side = request.size === undefined ? null : request.size / Math.sqrt(frames);
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
    seconds: String(secondsOf(frames, fps)),
    size: sizeOf(side === null ? outermost! : { width: side, height: side }),
    remixed_from_video_id: null,
    error: job.state === "canceled"
      ? { code: "canceled", message: "It was canceled." }
      : error && { code: error.code, message: error.message },
    ...warningsOf(job),
  };
}

const STATUSES = {
  queued: "queued",
  running: "in_progress",
  succeeded: "completed",
  failed: "failed",
  canceled: "failed",
} as const satisfies Record<Job["state"], VideoJson["status"]>;
