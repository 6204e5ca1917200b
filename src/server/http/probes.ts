/** Whether the server lives and can work, for those who start and stop it. */
import { createRoute, OpenAPIHono, z } from "../../deps/zod_openapi.ts";
import { takesJobs } from "../../jobs/jobs.ts";
import type { ProtocolFactory } from "./protocol.ts";
import { nativeError } from "../protocols/native/error.ts";

const Readiness = z.object({
  worker: z.enum(["starting", "ready", "draining", "failed", "none"]),
  reason: z.string().nullable().describe("Why it is not ready, or what it needs and is away."),
}).openapi("Readiness");

/** `/livez`, `/readyz` and `/ping`. */
export const probes: ProtocolFactory = ({ jobs }) => {
  const app = new OpenAPIHono();

  /** How the worker is, and whether jobs can be taken: the queue and the store have to be there, too. */
  const readiness = async () => {
    await jobs.look();
    const health = jobs.knownHealth();
    const { worker, reason, away } = health;
    return { worker, reason: reason ?? away, isReady: takesJobs(health) };
  };

  app.openapi(
    createRoute({
      method: "get",
      path: "/livez",
      tags: ["Probes"],
      summary: "Whether the process answers",
      responses: {
        200: { description: "It does.", content: { "text/plain": { schema: z.string() } } },
      },
    }),
    (c) => c.text("ok", 200),
  );

  const content = { "application/json": { schema: Readiness } };
  app.openapi(
    createRoute({
      method: "get",
      path: "/readyz",
      tags: ["Probes"],
      summary: "Whether jobs can be taken, and why not yet",
      description:
        `A server without a worker of its own ("none") is ready where its queue takes jobs. While the queue or the store is away it is not.`,
      responses: {
        200: { description: "They can.", content },
        503: { description: "Not yet, or not any more.", content },
      },
    }),
    async (c) => {
      const { worker, reason, isReady } = await readiness();
      return c.json({ worker, reason }, isReady ? 200 : 503);
    },
  );

  app.openapi(
    createRoute({
      method: "get",
      path: "/ping",
      tags: ["Probes"],
      summary: "The same, as RunPod's load balancer asks it",
      responses: {
        200: { description: "Jobs can be taken." },
        204: { description: "Not yet: it is starting." },
        503: { description: "Not any more." },
      },
    }),
    async (c) => {
      const { worker, isReady } = await readiness();
      if (worker === "starting") return c.body(null, 204);
      return c.body(null, isReady ? 200 : 503);
    },
  );

  return { routes: app, onError: nativeError };
};
