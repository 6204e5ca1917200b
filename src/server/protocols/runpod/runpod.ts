/**
 * The HTTP API of RunPod's serverless endpoints. What is wrong in a request is an error 400 with a sentence, which all of RunPod's
 * clients throw; a job that is not there is one that failed, for those that stream it go on asking otherwise.
 */
import { createRoute, z } from "../../../deps/zod_openapi.ts";
import type { ErrorHandler } from "../../../deps/hono.ts";
import type { Job } from "../../../jobs/job.ts";
import type { Health } from "../../../jobs/jobs.ts";
import { unlessAway } from "../../../jobs/unavailable.ts";
import { written } from "../../input/fields.ts";
import { JOB_ID } from "../find_job.ts";
import type { ProtocolFactory } from "../../http/protocol.ts";
import { asHttpError, notFound } from "../../http/http_error.ts";
import { json, newRoutes } from "../../http/routes.ts";
import {
  RunpodFile,
  RunpodJob,
  runpodJob,
  RunpodState,
  runpodState,
  runpodSummary,
} from "./job.ts";
import { runpodRequest, runpodSubmission } from "./input.ts";
import { RunpodStreams } from "./stream.ts";

/** Milliseconds that a synchronous request waits unless it says. */
const DEFAULT_WAIT = 90_000;

/** Milliseconds that a request for a stream waits for something new: RunPod's client for Python leaves after ten seconds. */
const STREAM_WAIT = 5000;

const WAIT = "Give the milliseconds to wait: a number from 0 on.";

export const runpod: ProtocolFactory = ({ jobs }) => {
  const app = newRoutes();
  const onError: ErrorHandler = (error, c) => {
    const { status, message, headers } = asHttpError(error);
    const isWrong = status === 415 || status === 422;
    return c.json({ error: message }, isWrong ? 400 : status, headers);
  };

  const body = { ...json(runpodRequest(jobs), "What to make"), required: true };
  const endpoint = z.object({ endpoint: z.string() });
  const byId = endpoint.extend({ id: z.string() });
  const query = z.object({
    wait: written(z.number({ error: WAIT }).min(0, WAIT)).optional().describe(
      "Milliseconds to wait for its end.",
    ),
  });
  const job = { 200: json(RunpodJob, "The job") };
  const full = { 429: json(Refusal, "The queue is full: `Retry-After` says when to try again") };
  const refused = { 400: json(Refusal, "Something asked for cannot be") };
  const held = (wait = DEFAULT_WAIT) => Math.min(wait, jobs.limits.waitMs);
  const streams = new RunpodStreams(jobs);
  /** What cannot be an id never reaches the queue. */
  const ask = async <T>(id: string, question: (id: string) => Promise<T | null>) =>
    JOB_ID.test(id) ? await question(id) : null;

  app.openapi(
    createRoute({
      tags: ["RunPod"],
      method: "post",
      path: "/v2/{endpoint}/run",
      request: { params: endpoint, body },
      responses: { ...job, ...refused, ...full },
    }),
    async (c) => {
      const { request, options } = runpodSubmission(c.req.valid("json"), jobs);
      return c.json(runpodSummary(await jobs.submit(request, options)), 200);
    },
  );

  app.openapi(
    createRoute({
      tags: ["RunPod"],
      method: "post",
      path: "/v2/{endpoint}/runsync",
      request: { params: endpoint, query, body },
      responses: { ...job, ...refused, ...full },
    }),
    async (c) => {
      const { request, options } = runpodSubmission(c.req.valid("json"), jobs);
      const submitted = await jobs.submit(request, options);
      const { wait } = c.req.valid("query");
      const waited = jobs.wait(submitted.id, held(wait), c.req.raw.signal);
      const seen = await unlessAway(waited, null);
      return c.json(await runpodJob(seen ?? submitted, jobs), 200);
    },
  );

  // RunPod's own local server takes POST for what its endpoints take GET for.
  for (const method of ["get", "post"] as const) {
    app.openapi(
      createRoute({
        tags: ["RunPod"],
        method,
        path: "/v2/{endpoint}/status/{id}",
        request: { params: byId },
        responses: job,
      }),
      async (c) => {
        const { id } = c.req.valid("param");
        const seen = await ask(id, (id) => jobs.get(id));
        return c.json(seen === null ? missing(id) : await runpodJob(seen, jobs), 200);
      },
    );

    app.openapi(
      createRoute({
        tags: ["RunPod"],
        method,
        path: "/v2/{endpoint}/status-sync/{id}",
        request: { params: byId, query },
        responses: { ...job, ...refused },
      }),
      async (c) => {
        const { id } = c.req.valid("param");
        const ms = held(c.req.valid("query").wait);
        const seen = await ask(id, (id) => jobs.wait(id, ms, c.req.raw.signal));
        return c.json(seen === null ? missing(id) : await runpodJob(seen, jobs), 200);
      },
    );

    app.openapi(
      createRoute({
        tags: ["RunPod"],
        method,
        path: "/v2/{endpoint}/stream/{id}",
        request: { params: byId },
        responses: { 200: json(Stream, "What is new since the last request") },
      }),
      async (c) => {
        const { id } = c.req.valid("param");
        const next = await ask(
          id,
          (id) => streams.next(id, held(STREAM_WAIT), c.req.raw.signal),
        );
        if (next === null) return c.json({ ...missing(id), stream: [] }, 200);
        return c.json({ id, ...streamEnd(next.job), stream: [...next.chunks] }, 200);
      },
    );
  }

  app.openapi(
    createRoute({
      tags: ["RunPod"],
      method: "post",
      path: "/v2/{endpoint}/cancel/{id}",
      request: { params: byId },
      responses: job,
    }),
    async (c) => {
      const { id } = c.req.valid("param");
      const canceled = await ask(id, (id) => jobs.cancel(id));
      return c.json(canceled === null ? missing(id) : runpodSummary(canceled), 200);
    },
  );

  app.openapi(
    createRoute({
      tags: ["RunPod"],
      method: "post",
      path: "/v2/{endpoint}/retry/{id}",
      request: { params: byId },
      responses: job,
    }),
    async (c) => {
      const { id } = c.req.valid("param");
      const queued = await ask(id, (id) => jobs.retry(id));
      return c.json(queued === null ? missing(id) : runpodSummary(queued), 200);
    },
  );

  app.openapi(
    createRoute({
      tags: ["RunPod"],
      method: "post",
      path: "/v2/{endpoint}/purge-queue",
      request: { params: endpoint },
      responses: { 200: json(Purged, "How many jobs that waited were canceled") },
    }),
    async (c) => c.json({ removed: await jobs.purge("runpod"), status: "completed" as const }, 200),
  );

  app.openapi(
    createRoute({
      tags: ["RunPod"],
      method: "get",
      path: "/v2/{endpoint}/health",
      request: { params: endpoint },
      responses: { 200: json(RunpodHealth, "Jobs and workers") },
    }),
    async (c) => c.json(health(await jobs.health()), 200),
  );

  return { routes: app, onError };
};

/** What a request gets that cannot be: no job was made. */
const Refusal = z.object({ error: z.string() });

const Stream = z.object({
  id: z.string(),
  status: RunpodState,
  stream: z.array(z.object({ output: RunpodFile.extend({ preview: z.boolean() }) })),
  error: z.string().optional(),
});

const Purged = z.object({ removed: z.int(), status: z.literal("completed") });

const RunpodHealth = z.object({
  jobs: z.object({
    completed: z.int(),
    failed: z.int(),
    inProgress: z.int(),
    inQueue: z.int(),
    retried: z.int(),
  }),
  workers: z.object({
    idle: z.int(),
    initializing: z.int(),
    ready: z.int(),
    running: z.int(),
    throttled: z.int(),
    unhealthy: z.int(),
  }),
});

/** This process is one worker. */
function health({ worker, slots, jobs }: Health): z.infer<typeof RunpodHealth> {
  const ready = worker === "ready";
  const running = slots.busy > 0;
  return {
    jobs: {
      completed: jobs.succeeded,
      failed: jobs.failed,
      inProgress: jobs.running,
      inQueue: jobs.queued,
      retried: jobs.retried,
    },
    workers: {
      idle: Number(ready && !running),
      initializing: Number(worker === "starting"),
      ready: Number(ready),
      running: Number(running),
      throttled: 0,
      unhealthy: Number(worker === "failed"),
    },
  };
}

/** RunPod's client for Python would ask for ever for what is new in a job that is CANCELLED. */
function streamEnd(job: Job): Pick<RunpodJob, "status" | "error"> {
  const status = runpodState(job);
  return status === "CANCELLED" ? { status: "FAILED", error: "The job was canceled." } : { status };
}

function missing(id: string): RunpodJob {
  return { id, status: "FAILED", error: notFound().message };
}
