/**
 * The HTTP API of Cog's containers, and those of its routes that Replicate has as well, under /v1. There they differ in little: Cog waits
 * for a prediction unless told not to, Replicate waits only when told to; and so in a status code, in how errors look, and in that
 * Replicate looks at the version.
 */
import { createRoute, type OpenAPIHono, z } from "../../../deps/zod_openapi.ts";
import type { Context, ErrorHandler } from "../../../deps/hono.ts";
import { isEnded, type Job, type Webhook, WEBHOOK_EVENTS } from "../../../jobs/job.ts";
import type { Jobs, KnownHealth } from "../../../jobs/jobs.ts";
import { unlessAway } from "../../../jobs/unavailable.ts";
import type { ProtocolFactory, ProtocolOptions } from "../../http/protocol.ts";
import { httpAddress, openFields } from "../../input/fields.ts";
import { findJob, JOB_ID } from "../find_job.ts";
import { asHttpError, HttpError } from "../../http/http_error.ts";
import { EVENT_STREAM } from "../job_events.ts";
import { preferredWait } from "../prefer_wait.ts";
import { json, newRoutes } from "../../http/routes.ts";
import {
  Prediction,
  prediction,
  type PredictionApi,
  type PredictionNote,
  type PredictionOptions,
} from "./prediction.ts";
import {
  cogEvents,
  LAST_ID,
  replicateEvents,
  replicateEventsWithPreviews,
  streamPrediction,
} from "./prediction_events.ts";
import { checkModel, checkVersion, pageOf } from "./model.ts";
import { serverlessInput, serverlessRequest } from "../../input/serverless_input.ts";

/** What differs. */
export interface Dialect {
  readonly name: "Cog" | "Replicate";
  readonly prefix: PredictionApi["prefix"];
  /** Whether the answer to a new prediction waits for it where the client says nothing. */
  readonly waits: boolean;
  /** The status of an answer to a new prediction that has ended. */
  readonly ended: 200 | 201;
  /** Whether a new prediction may name a version, which then has to be one of a model of this name. */
  readonly versions: boolean;
  /** An error, for the description of a route. */
  readonly error: (description: string) => {
    readonly description: string;
    readonly content: Readonly<Record<string, { readonly schema: z.ZodType }>>;
  };
}

const ERRORS = {
  400: "The body is no JSON",
  404: "There is none",
  409: "The ID belongs to another prediction",
  413: "The body is too large",
  415: "The body is of another type than JSON",
  422: "The request is wrong",
  429: "The queue is full: try again after as many seconds as Retry-After says",
  503: "The queue or the store is away, or the server takes no more: try again as with 429",
} as const;

const FieldErrors = z.array(
  z.object({
    loc: z.array(z.union([z.string(), z.int()])),
    msg: z.string(),
    type: z.string(),
  }),
);

const CogError = z.object({ detail: z.union([z.string(), FieldErrors]) }).openapi("CogError");

const COG: Dialect = {
  name: "Cog",
  prefix: "",
  waits: true,
  ended: 200,
  versions: false,
  error: (description) => json(CogError, description),
};

/** Predictions of a list. */
const PAGE = 100;

/** Of `Prefer: wait` that does not say how long, as on Replicate. */
const BARE_WAIT_MS = 60_000;

const Id = z.string().regex(/^[\w-]{1,64}$/, {
  error: `Give 1 to 64 letters, digits, "-" and "_".`,
});

/** Cog. */
export const cog: ProtocolFactory = (options) => {
  const onError: ErrorHandler = (error, c) => answerError(c, asHttpError(error));
  return { routes: predictions(options, COG), onError };
};

/** Clients read what a model takes from the component `Input` of /openapi.json. Null is as good as nothing. */
function predictionRequest(jobs: Jobs) {
  const webhook = httpAddress(2048).optional();
  return openFields({
    id: Id.optional(),
    version: z.string().max(256).optional(),
    input: serverlessInput(jobs).openapi("Input", { title: "Input" }),
    webhook,
    webhook_completed: webhook.describe(
      "As a webhook with the filter `completed`, where there is no other.",
    ),
    webhook_events_filter: z.array(z.enum(WEBHOOK_EVENTS)).max(16).optional(),
    stream: z.boolean().optional().describe("Every prediction can be streamed."),
    output_file_prefix: z.null({ error: "Files are sent to no other server: leave this out." })
      .optional(),
  }).openapi("PredictionRequest");
}

type PredictionRequest = z.infer<ReturnType<typeof predictionRequest>>;

/** What webhooks of a request are told of, and where; null: there is none. */
function webhookOf(
  { webhook, webhook_completed: completed, webhook_events_filter: events }: PredictionRequest,
): Webhook | null {
  if (webhook !== undefined) return { url: webhook, events: events ?? WEBHOOK_EVENTS };
  return completed === undefined ? null : { url: completed, events: ["completed"] };
}

/** The routes that both have. */
export function predictions(
  { jobs, publicUrl, sign }: ProtocolOptions,
  dialect: Dialect,
): OpenAPIHono {
  const app = newRoutes();
  const schema = predictionRequest(jobs);
  const tags = [dialect.name];
  const api = (c: Context): PredictionApi => ({
    publicUrl: publicUrl(c.req.raw),
    prefix: dialect.prefix,
  });
  const shown = (c: Context, job: Job) => prediction(job, { jobs, api: api(c), sign });
  const byId = { params: z.object({ id: z.string() }) };
  const errors = (...statuses: readonly (keyof typeof ERRORS)[]) =>
    Object.fromEntries(statuses.map((status) => [status, dialect.error(ERRORS[status])]));
  const body = { body: { ...json(schema, "What to predict"), required: true } };
  const created = {
    200: { description: "Its events, for who accepts them", content: EVENT_STREAM },
    [dialect.ended]: {
      description: "The prediction, which has ended",
      content: {
        "application/json": { schema: Prediction },
        ...dialect.ended === 200 && EVENT_STREAM,
      },
    },
    202: json(Prediction, "The prediction, which has not ended"),
    ...errors(400, 409, 413, 415, 422, 429, 503),
  };

  async function create(
    c: Context,
    request: PredictionRequest,
    { id, waits, cancels }: {
      readonly id: string | undefined;
      readonly waits: boolean;
      readonly cancels: boolean;
    },
  ): Promise<Response> {
    const { input, version } = request;
    const webhook = webhookOf(request);
    const here = await jobs.version();
    if (dialect.versions && version !== undefined) checkVersion(jobs.model, here, version);
    const job = await jobs.submit(serverlessRequest(input, id), {
      origin: "cog",
      note: { input, version: here.id, api: api(c) } satisfies PredictionNote,
      ...id !== undefined && { id },
      ...webhook !== null && { webhook },
    });
    if (c.req.header("accept")?.includes("text/event-stream")) {
      return streamPrediction(c, job.id, { jobs, dialect: cogEvents, api: api(c), sign });
    }
    const ms = preferredWait(c.req.header("prefer"), {
      bare: BARE_WAIT_MS,
      silent: waits ? Infinity : 0,
    });
    const { signal } = c.req.raw;
    const seen = ms === 0
      ? job
      : await unlessAway(jobs.wait(job.id, Math.min(ms, jobs.limits.waitMs), signal), null) ?? job;
    if (ms > 0 && cancels && signal.aborted && !isEnded(seen)) await jobs.cancel(job.id);
    const answer = await shown(c, seen);
    if (isEnded(seen)) return c.json(answer, dialect.ended);
    // Replicate's client asks again only where the status is "starting".
    return c.json({ ...answer, status: "starting" } satisfies Prediction, 202);
  }

  app.openapi(
    createRoute({
      tags,
      method: "get",
      path: "/health-check",
      responses: { 200: json(HealthCheck, "Whether predictions can be made") },
    }),
    (c) => c.json(healthCheck(jobs.knownHealth()), 200),
  );

  app.openapi(
    createRoute({
      tags,
      method: "post",
      path: "/predictions",
      request: body,
      responses: created,
    }),
    (c) => {
      const request = c.req.valid("json");
      return create(c, request, { id: request.id, waits: dialect.waits, cancels: true });
    },
  );

  app.openapi(
    createRoute({
      tags,
      method: "post",
      path: "/models/{owner}/{name}/predictions",
      request: { ...body, params: z.object({ owner: z.string(), name: z.string() }) },
      responses: { ...created, ...errors(404) },
    }),
    (c) => {
      const { owner, name } = c.req.valid("param");
      checkModel(jobs.model, owner, name);
      const request = c.req.valid("json");
      return create(c, request, { id: request.id, waits: false, cancels: true });
    },
  );

  app.openapi(
    createRoute({
      tags,
      method: "put",
      path: "/predictions/{id}",
      request: { ...body, params: z.object({ id: Id }) },
      responses: created,
    }),
    (c) => {
      const { id } = c.req.valid("param");
      const request = c.req.valid("json");
      if ((request.id ?? id) !== id) {
        throw new HttpError(422, "The ID must be the one in the address.", {
          fields: [{ path: ["id"], message: "Give the ID that is in the address." }],
        });
      }
      // Whoever chose an id can come back for it, so leaving cancels nothing.
      return create(c, request, { id, waits: dialect.waits, cancels: false });
    },
  );

  app.openapi(
    createRoute({
      tags,
      method: "get",
      path: "/predictions",
      request: {
        query: z.object({
          cursor: z.string().optional().describe(
            "As in the `next` of a page: the predictions that are older than this one.",
          ),
        }),
      },
      responses: {
        200: json(Page, "The newest predictions, without results that have no address"),
        ...errors(422),
      },
    }),
    async (c) => {
      const { cursor } = c.req.valid("query");
      // Files would come along where they have no address: of a hundred predictions too much at once.
      const options: PredictionOptions = {
        jobs: {
          model: jobs.model,
          version: () => jobs.version(),
          link: (id, name) => jobs.link(id, name),
          read: () => Promise.resolve(null),
        },
        api: api(c),
        sign,
      };
      const found = cursor !== undefined && !JOB_ID.test(cursor) ? [] : await jobs.list({
        limit: PAGE + 1,
        ...cursor !== undefined && { before: cursor },
      });
      const newest = found.slice(0, PAGE);
      const next = found.length > newest.length
        ? `${options.api.publicUrl}${dialect.prefix}/predictions?cursor=${newest.at(-1)!.id}`
        : null;
      const results = await Promise.all(newest.map((job) => prediction(job, options)));
      return c.json({ previous: null, next, results }, 200);
    },
  );

  app.openapi(
    createRoute({
      tags,
      method: "get",
      path: "/predictions/{id}",
      request: byId,
      responses: { 200: json(Prediction, "The prediction"), ...errors(404) },
    }),
    async (c) => {
      const job = await findJob(jobs, c.req.valid("param").id);
      return c.json(await shown(c, job), 200);
    },
  );

  app.openapi(
    createRoute({
      tags,
      method: "get",
      path: "/predictions/{id}/stream",
      request: {
        ...byId,
        headers: z.object({
          "last-event-id": z.string().optional().describe("What comes after it is told."),
        }),
        query: z.object({
          previews: z.enum(["true", "false"]).optional().describe(
            "Whether previews are events as well, called `preview`: Replicate's clients do not know them. Without it: false.",
          ),
        }),
      },
      responses: {
        200: {
          description:
            "All that happened to it and happens until its end: `output`, `logs`, and `error` or `done`",
          content: EVENT_STREAM,
        },
        204: { description: "The client has heard its end" },
        ...errors(404, 422),
      },
    }),
    async (c) => {
      const job = await findJob(jobs, c.req.valid("param").id);
      const after = c.req.valid("header")["last-event-id"];
      // Browsers come again after the end, unless they are told that there is no more.
      if (after === LAST_ID && isEnded(job)) return c.body(null, 204);
      const { previews } = c.req.valid("query");
      return streamPrediction(c, job.id, {
        jobs,
        dialect: previews === "true" ? replicateEventsWithPreviews : replicateEvents,
        after,
        api: api(c),
        sign,
      });
    },
  );

  app.openapi(
    createRoute({
      tags,
      method: "post",
      path: "/predictions/{id}/cancel",
      request: byId,
      responses: { 200: json(Prediction, "The prediction"), ...errors(404) },
    }),
    async (c) => {
      const job = await findJob(jobs, c.req.valid("param").id);
      return c.json(await shown(c, await jobs.cancel(job.id) ?? job), 200);
    },
  );

  return app;
}

const Page = pageOf(Prediction);

const HealthCheck = z.object({
  status: z.enum(["STARTING", "READY", "BUSY", "SETUP_FAILED", "DEFUNCT", "UNHEALTHY"]),
  setup: z.object({ status: z.enum(["starting", "succeeded", "failed"]), logs: z.string() }),
  user_healthcheck_error: z.string().optional().describe("What is away, and why."),
});

function healthCheck(
  { worker, reason, slots, stepMs, away }: KnownHealth,
): z.infer<typeof HealthCheck> {
  const logs = reason ?? "";
  switch (worker) {
    case "starting":
      return { status: "STARTING", setup: { status: "starting", logs } };
    case "failed":
      // A worker that has made steps was set up well.
      return stepMs === null
        ? { status: "SETUP_FAILED", setup: { status: "failed", logs } }
        : { status: "DEFUNCT", setup: { status: "succeeded", logs } };
    case "draining":
      return { status: "BUSY", setup: { status: "succeeded", logs } };
    case "ready":
    case "none": {
      if (away !== null) {
        const setup = { status: "succeeded", logs } as const;
        return { status: "UNHEALTHY", setup, user_healthcheck_error: away };
      }
      const busy = slots.all > 0 && slots.busy >= slots.all;
      return { status: busy ? "BUSY" : "READY", setup: { status: "succeeded", logs } };
    }
  }
}

function answerError(c: Context, error: HttpError): Response {
  const { status, message, fields, headers } = error;
  const detail = (path: FieldPath, msg: string, type: string) => ({
    loc: ["body", ...path],
    msg,
    type,
  });
  if (status === 400) return c.json({ detail: [detail([], message, "json_invalid")] }, 422);
  if (status !== 422) return c.json({ detail: message }, status, headers);
  const all = fields.length === 0 ? [{ path: ["input"], message }] : fields;
  return c.json(
    { detail: all.map(({ path, message }) => detail(path, message, "value_error")) },
    422,
  );
}

type FieldPath = HttpError["fields"][number]["path"];
