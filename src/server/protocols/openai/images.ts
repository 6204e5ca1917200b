/** Pictures as OpenAI's API makes them: whoever asks waits for them. */
import { createRoute, type OpenAPIHono, z } from "../../../deps/zod_openapi.ts";
import type { SSEStreamingApi } from "../../../deps/hono.ts";
import { isEnded, type Job, type JobFile, type JobRequest } from "../../../jobs/job.ts";
import type { Jobs } from "../../../jobs/jobs.ts";
import { IMAGE_FORMATS } from "../../../media/output_format.ts";
import type { JobEvent } from "../../../jobs/queue/queue.ts";
import { fileAddress, fileBase64, inOrder } from "../file_address.ts";
import type { ProtocolOptions } from "../../http/protocol.ts";
import { HttpError } from "../../http/http_error.ts";
import { jobRequest, optionShape, optionsIn, promptField } from "../../input/options.ts";
import { EVENT_STREAM, streamJob } from "../job_events.ts";
import { failure, OpenAiError, openAiError } from "./error.ts";
import { fields } from "../../input/fields.ts";
import { checkModel, isAlias, modelField, seconds, Warnings, warningsOf } from "./fields.ts";
import { placeFor } from "./refusals.ts";
import { sizeFields, sizeOf } from "./size.ts";

const ImagesJson = z.object({
  created: z.int(),
  background: z.literal("opaque"),
  output_format: z.enum(IMAGE_FORMATS),
  size: z.string(),
  data: z.array(z.object({ b64_json: z.string().optional(), url: z.string().optional() })),
  warnings: Warnings,
}).openapi("OpenAIImages");

/** `POST /v1/images/generations`. */
export function images(app: OpenAPIHono, options: ProtocolOptions): void {
  const { jobs, publicUrl, sign } = options;
  app.openapi(
    createRoute({
      method: "post",
      path: "/v1/images/generations",
      tags: ["OpenAI"],
      summary: "Make pictures, and wait for them",
      description:
        "As OpenAI's own. With `stream` the answer is events: `image_generation.partial_image`, which are the inner resolutions as they " +
        "sharpen (small PNGs, whatever `output_format` says), and `image_generation.completed` for each picture. Whoever goes away " +
        "cancels what it asked for. What failed for its request, or was refused (`moderation_blocked`), is 400; what waited too long, ran " +
        "too long or was not there when the server stops waiting 503; all else 500.",
      request: {
        body: { required: true, content: { "application/json": { schema: imagesBody(options) } } },
      },
      responses: {
        200: {
          description: "The pictures.",
          content: {
            "application/json": { schema: ImagesJson },
            ...EVENT_STREAM,
          },
        },
        default: {
          description: "What went wrong.",
          content: { "application/json": { schema: OpenAiError } },
        },
      },
    }),
    async (c) => {
      const body = c.req.valid("json");
      checkModel(jobs.model, body.model);
      if (jobs.model.makes !== "pictures") {
        const message = `The model makes videos: ask for them at ${placeFor("videos")}.`;
        throw new HttpError(400, message, { code: "unsupported" });
      }
      const partials = body.stream ? body.partial_images ?? 0 : 0;
      const job = await jobs.submit(requestOf(body, partials > 0), { origin: "openai" });
      if (body.stream) {
        const send = imageEvents(jobs, partials);
        const onLeave = () => jobs.cancel(job.id);
        return streamJob(c, { jobs, id: job.id, send, onLeave });
      }
      const ended = await outcome(jobs, job, c.req.raw.signal);
      const ways = waysOf(body);
      const addressOf = (path: string) => publicUrl(c.req.raw) + sign(path);
      const data = inOrder(ended.files).map(async (file) => ({
        ...ways.b64_json && { b64_json: await fileBase64(jobs, job.id, file) ?? gone() },
        ...ways.url && { url: await fileAddress(jobs, job.id, file, addressOf) ?? gone() },
      }));
      return c.json({
        created: seconds(ended.createdAt),
        background: "opaque" as const,
        output_format: body.output_format ?? "png",
        size: sizeOf(jobs.model.levels[0]!),
        data: await Promise.all(data),
        ...warningsOf(ended),
      }, 200);
    },
  );
}

function imagesBody({ jobs, strictSizes }: Pick<ProtocolOptions, "jobs" | "strictSizes">) {
  // Hints, whose values become more with each model of OpenAI.
  const ignored = z.string().max(1000).optional().describe("Changes nothing.");
  return fields({
    prompt: promptField(jobs),
    model: modelField(jobs.model),
    ...sizeFields(jobs.model, strictSizes),
    n: z.int().min(1).max(Math.min(10, jobs.limits.pictures)).optional().describe("Pictures."),
    response_format: z.enum(["url", "b64_json"], { error: `Give "url" or "b64_json".` }).optional()
      .describe(
        `Without it: an address where the model's name is one of dall-e, the picture itself where it is another of OpenAI, else both. ` +
          "An address needs no token, for an hour.",
      ),
    output_format: z.enum(IMAGE_FORMATS, { error: `Give "png", "jpeg" or "webp".` }).optional(),
    stream: z.boolean().optional(),
    partial_images: z.int().min(0).max(3).optional().describe(
      "Of each picture, how often its inner resolutions are shown on the way, with `stream`.",
    ),
    ...optionShape("openai", jobs),
    background: z.enum(["opaque", "auto"], {
      error: `Pictures have no transparency: give "opaque" or "auto".`,
    }).optional().describe("Changes nothing."),
    quality: ignored,
    style: ignored,
    complexity: ignored,
    moderation: ignored,
    output_compression: z.int().min(0).max(100).optional().describe("Changes nothing."),
    user: ignored,
    safety_identifier: ignored,
  }).openapi("OpenAIImageRequest");
}

type Body = z.infer<ReturnType<typeof imagesBody>>;

/** How pictures are answered: programs that name no model of OpenAI may be made for either way. */
function waysOf({ response_format: asked, model }: Body) {
  const addresses = model?.startsWith("dall-e") ?? false;
  return {
    url: asked === undefined ? addresses || !isAlias(model) : asked === "url",
    b64_json: asked === undefined ? !addresses : asked === "b64_json",
  };
}

function requestOf(body: Body, preview: boolean): JobRequest {
  return jobRequest([body.prompt], {
    count: body.n,
    ...optionsIn("openai", body),
    format: body.output_format,
    preview,
  });
}

/**
 * The job when it has succeeded. When it has not by the time that a request is held at most, or nobody waits any more, it is canceled.
 *
 * @throws {HttpError} When there is nothing to show.
 */
async function outcome(jobs: Jobs, { id }: Job, signal: AbortSignal): Promise<Job> {
  let seen: Job | null = null;
  try {
    seen = await jobs.wait(id, jobs.limits.waitMs, signal);
  } finally {
    if (seen === null || !isEnded(seen)) await jobs.cancel(id);
  }
  if (seen?.state === "succeeded") return seen;
  throw failureOf(seen);
}

function failureOf(job: Job | null): HttpError {
  if (job?.error) return failure(job.error);
  if (job?.state === "canceled") {
    return new HttpError(400, "The job was canceled.", { code: "canceled" });
  }
  const message =
    "The pictures were not there in time: ask for fewer, or at /jobs, which does not wait.";
  return new HttpError(503, message, { code: "timeout", headers: { "x-should-retry": "false" } });
}

/** Gives what sends a job's changes as OpenAI's API tells them: so many partial images of each picture, evenly among the steps. */
function imageEvents(jobs: Jobs, partials: number) {
  const sent = new Map<number, number>();
  const completed = new Set<string>();
  const size = sizeOf(jobs.model.levels[0]!);
  return async ({ change, job, file }: JobEvent, stream: SSEStreamingApi): Promise<void> => {
    const tell = async (type: string, shown: JobFile, more: object) => {
      const b64_json = await fileBase64(jobs, job.id, shown);
      // The job was removed while it was read.
      if (b64_json === null) return;
      const event = {
        type,
        b64_json,
        created_at: seconds(Date.now()),
        size,
        quality: "auto",
        background: "opaque",
        output_format: shown.type.replace("image/", ""),
        ...more,
      };
      await stream.writeSSE({ event: type, data: JSON.stringify(event) });
    };
    if (change === "preview" && file?.level === 1) {
      const index = sent.get(file.picture) ?? 0;
      const { step, steps } = job.progress;
      if (index < partials && step * (partials + 1) >= steps * (index + 1)) {
        sent.set(file.picture, index + 1);
        await tell("image_generation.partial_image", file, { partial_image_index: index });
      }
    }
    // Of a job that was quicker than its events, the first one tells all.
    for (const result of inOrder(job.files)) {
      if (result.level !== 0 || completed.has(result.name)) continue;
      completed.add(result.name);
      await tell("image_generation.completed", result, { usage: NO_USAGE, ...warningsOf(job) });
    }
    if (change === "state" && isEnded(job) && job.state !== "succeeded") {
      const data = JSON.stringify(openAiError(failureOf(job)));
      await stream.writeSSE({ event: "error", data });
    }
  };
}

/** Nothing here is counted in tokens, but clients expect to be told. */
const NO_USAGE = {
  total_tokens: 0,
  input_tokens: 0,
  output_tokens: 0,
  input_tokens_details: { text_tokens: 0, image_tokens: 0 },
};

function gone(): never {
  throw new HttpError(404, "The picture was removed before it could be sent.");
}
