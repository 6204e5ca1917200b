/** Our own protocol: jobs as they are. */
import { createRoute, z } from "../../../deps/zod_openapi.ts";
import type { Context } from "../../../deps/hono.ts";
import { isEnded, type Job, type JobOptions, WEBHOOK_EVENTS } from "../../../jobs/job.ts";
import type { JobEvent } from "../../../jobs/queue/queue.ts";
import { unlessAway } from "../../../jobs/unavailable.ts";
import { fields, httpAddress, wholeNumber, written } from "../../input/fields.ts";
import { findJob } from "../find_job.ts";
import type { ProtocolFactory } from "../../http/protocol.ts";
import {
  jobRequest,
  type Offer,
  optionShape,
  optionsIn,
  promptField,
} from "../../input/options.ts";
import { EVENT_STREAM, streamJob } from "../job_events.ts";
import { fileJson, JobJson, jobJson } from "./job_json.ts";
import { newRoutes } from "../../http/routes.ts";
import { NativeError, nativeError } from "./error.ts";
import { FileHeaders, fileResponses, sendFile } from "../send_file.ts";
import { preferredWait } from "../prefer_wait.ts";
import { hasToBe } from "../../input/sentences.ts";

/** Jobs of a list at most. */
const LIST_LIMIT = 1000;

/** Of results and previews. */
const FILE_TYPES = ["image/png", "image/jpeg", "image/webp", "image/gif", "video/mp4"];

const JOB = { content: { "application/json": { schema: JobJson } } };
/** What `JOB_ID` is, up to a hundred times. */
const JOB_IDS = /^[\w-]{1,128}(,[\w-]{1,128}){0,99}$/;

const Id = z.object({ id: z.string() });

/** `/jobs` and what is below. */
export const native: ProtocolFactory = ({ jobs, publicUrl }) => {
  const app = newRoutes();
  const json = async (job: Job, c: Context) => {
    // That it was accepted is told, though its place cannot be found out.
    const position = job.state === "queued" ? await unlessAway(jobs.position(job.id), null) : null;
    return jobJson(job, position, publicUrl(c.req.raw));
  };

  app.openapi(
    createRoute({
      method: "post",
      path: "/jobs",
      tags: ["Jobs"],
      summary: "Ask for pictures or videos",
      description:
        "Answers at once with the job as it is; `GET /jobs/{id}/events` tells what becomes of it. With `Prefer: wait=n` the answer " +
        "comes when the job has ended, or after n seconds.",
      request: {
        headers: z.object({
          "idempotency-key": z.string().min(1).max(255).optional().describe(
            "The same key gives the job that was asked for with it before: repeat a request of which the answer was lost with its key.",
          ),
          prefer: z.string().optional().describe(
            "`wait` or `wait=n`: answer when the job has ended, or after n seconds.",
          ),
        }),
        body: { required: true, content: { "application/json": { schema: jobBody(jobs) } } },
      },
      responses: {
        201: { description: "The job has ended.", ...JOB },
        202: { description: "The job waits or runs.", ...JOB },
        ...errors(400, 409, 413, 415, 422, 429),
      },
    }),
    async (c) => {
      const { prefer, "idempotency-key": key } = c.req.valid("header");
      const { request, options } = jobOf(c.req.valid("json"), key);
      const job = await jobs.submit(request, options);
      const ms = Math.min(preferredWait(prefer, { bare: Infinity, silent: 0 }), jobs.limits.waitMs);
      const waited = ms > 0
        ? await unlessAway(jobs.wait(job.id, ms, c.req.raw.signal), null)
        : null;
      const seen = waited ?? job;
      c.header("Location", `${publicUrl(c.req.raw)}/jobs/${job.id}`);
      return c.json(await json(seen, c), ms > 0 && isEnded(seen) ? 201 : 202);
    },
  );

  app.openapi(
    createRoute({
      method: "get",
      path: "/jobs",
      tags: ["Jobs"],
      summary: "List jobs, the newest first, by whatever protocol they came",
      request: {
        query: z.object({
          limit: written(wholeNumber(1, LIST_LIMIT)).default(20),
          ids: z.string().regex(JOB_IDS).optional().describe(
            "Up to a hundred ids, with commas: those of these jobs that there are, instead of the newest.",
          ),
        }),
      },
      responses: {
        200: {
          description: "Jobs.",
          content: { "application/json": { schema: z.object({ jobs: z.array(JobJson) }) } },
        },
        ...errors(422),
      },
    }),
    async (c) => {
      const { ids, limit } = c.req.valid("query");
      const listed = ids === undefined
        ? await jobs.list({ limit })
        : (await Promise.all(ids.split(",").map((id) => jobs.get(id)))).filter((job) =>
          job !== null
        );
      return c.json({ jobs: await Promise.all(listed.map((job) => json(job, c))) }, 200);
    },
  );

  app.openapi(
    createRoute({
      method: "get",
      path: "/jobs/{id}",
      tags: ["Jobs"],
      summary: "See how a job is",
      request: { params: Id },
      responses: { 200: { description: "The job.", ...JOB }, ...errors(404) },
    }),
    async (c) => c.json(await json(await findJob(jobs, c.req.valid("param").id), c), 200),
  );

  app.openapi(
    createRoute({
      method: "delete",
      path: "/jobs/{id}",
      tags: ["Jobs"],
      summary: "Cancel a job, or remove one that has ended and its files",
      request: { params: Id },
      responses: { 204: { description: "It is canceled, or removed." }, ...errors(404) },
    }),
    async (c) => {
      const job = await findJob(jobs, c.req.valid("param").id);
      await (isEnded(job) ? jobs.remove(job.id) : jobs.cancel(job.id));
      return c.body(null, 204);
    },
  );

  app.openapi(
    createRoute({
      method: "get",
      path: "/jobs/{id}/events",
      tags: ["Jobs"],
      summary: "Be told what becomes of a job",
      description:
        "Server-sent events: `state` first and at every change, `progress`, `preview` and `file` (with the new one as `file`), and `end` " +
        "when the job has ended, which is the last. The data of each is the job. Whoever reads slowly misses what newer events say anyway.",
      request: { params: Id },
      responses: {
        200: { description: "Events.", content: EVENT_STREAM },
        ...errors(404),
      },
    }),
    async (c) => {
      const { id } = await findJob(jobs, c.req.valid("param").id);
      return streamJob(c, {
        jobs,
        id,
        send: async ({ change, job, file }: JobEvent, stream) => {
          const event = change === "state" && isEnded(job) ? "end" : change;
          const added = file && { file: fileJson(id, file, publicUrl(c.req.raw)) };
          await stream.writeSSE({
            event,
            data: JSON.stringify({ ...await json(job, c), ...added }),
          });
        },
      });
    },
  );

  app.openapi(
    createRoute({
      method: "get",
      path: "/jobs/{id}/files/{name}",
      tags: ["Jobs"],
      summary: "Fetch a result or a preview",
      request: { params: Id.extend({ name: z.string() }), headers: FileHeaders },
      responses: { ...fileResponses(FILE_TYPES), ...errors(404, 412, 416) },
    }),
    async (c) => {
      const { id, name } = c.req.valid("param");
      return await sendFile(c, jobs, await findJob(jobs, id), name);
    },
  );

  return { routes: app, onError: nativeError };
};

type Body = z.infer<ReturnType<typeof jobBody>>;

function jobBody(offer: Offer) {
  const prompt = promptField(offer);
  return fields({
    prompt: prompt.optional(),
    prompts: z.array(prompt).min(1).max(offer.limits.pictures).optional().describe(
      "Several prompts, instead of one.",
    ),
    ...optionShape("native", offer),
    priority: wholeNumber(-100, 100).optional().describe(
      "Jobs with a higher one come first. Without it: 0.",
    ),
    deadline: time().optional().describe(
      "When it has to have ended, as in ISO 8601 or in milliseconds since 1970: later it fails.",
    ),
    webhook: fields({
      url: httpAddress(2000),
      events: z.array(z.enum(WEBHOOK_EVENTS)).min(1).max(WEBHOOK_EVENTS.length)
        .default(["completed"]).describe("What it is told of."),
    }).optional().describe("Whom to tell of the job, by POST."),
    id: z.string().regex(/^[\w-]{1,64}$/, {
      error: hasToBe(`1 to 64 letters, digits, "-" and "_"`),
    }).optional().describe(
      `The job's id: letters, digits, "-" and "_". Without it: one of ours.`,
    ),
  }).refine(({ prompt, prompts }) => (prompt === undefined) !== (prompts === undefined), {
    path: ["prompt"],
    error: `Give either "prompt" or "prompts".`,
  }).openapi("JobRequest", { oneOf: [given("prompt", "string"), given("prompts", "array")] });
}

/** Says in a schema that a field is there, and is not null, which would be as if it were not. */
function given(name: string, type: "string" | "array") {
  return { required: [name], properties: { [name]: { type } } };
}

function time() {
  const error = hasToBe("a time as in ISO 8601, or milliseconds since 1970");
  const ms = z.int({ error }).min(0, { error }).max(8.64e15, { error });
  return z.union([z.iso.datetime({ offset: true, error }), ms], { error });
}

function jobOf(body: Body, key: string | undefined) {
  const { prompt, prompts, priority, deadline, webhook, id } = body;
  const options: JobOptions = {
    origin: "plain",
    ...priority !== undefined && { priority },
    ...deadline !== undefined && { deadline: new Date(deadline).getTime() },
    ...webhook !== undefined && { webhook },
    ...id !== undefined && { id },
    ...key !== undefined && { idempotencyKey: key },
  };
  const request = jobRequest(prompts ?? [prompt!], optionsIn("native", body), key ?? id);
  return { request, options };
}

function errors(...statuses: readonly (keyof typeof ERRORS)[]) {
  const content = { "application/json": { schema: NativeError } };
  return Object.fromEntries(
    ([...statuses, 503] as const).map((
      status,
    ) => [status, { description: ERRORS[status], content }]),
  );
}

const ERRORS = {
  400: "The body is no JSON.",
  404: "There is no such job or file.",
  412: "The file is not the one that `If-Match` names.",
  409: "The id or the idempotency key belongs to another request.",
  413: "The body is too large.",
  415: "The body is of another type than JSON.",
  416: "The file ends before the part that was asked for.",
  422: "Something asked for cannot be.",
  429: "The queue is full: `Retry-After` says when to try again.",
  503: "The queue or the store is away: `Retry-After` says when to try again.",
} as const;
