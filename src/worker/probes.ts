/** Whether the server lives and can work, for those who start and stop it. */
import { createRoute, OpenAPIHono, z } from "@hono/zod-openapi";
import type { FrontEnd } from "./front_end.ts";
import { plainError } from "./plain_error.ts";

const Readiness = z.object({
  worker: z.enum(["starting", "ready", "draining", "failed", "none"]),
  reason: z.string().nullable().describe("Why it is not ready."),
}).openapi("Readiness");

/** `/livez`, `/readyz` and `/ping`. */
export const probes: FrontEnd = ({ jobs }) => {
  const app = new OpenAPIHono();
  app.onError(plainError);

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

  const readiness = { "application/json": { schema: Readiness } };
  app.openapi(
    createRoute({
      method: "get",
      path: "/readyz",
      tags: ["Probes"],
      summary: "Whether jobs can be taken, and why not yet",
      description: `A server without a worker of its own ("none") is ready: its queue takes jobs.`,
      responses: {
        200: { description: "They can.", content: readiness },
        503: { description: "Not yet, or not any more.", content: readiness },
      },
    }),
    async (c) => {
      const { worker, reason } = await jobs.health();
      return c.json({ worker, reason }, worker === "ready" || worker === "none" ? 200 : 503);
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
      const { worker } = await jobs.health();
      if (worker === "starting") return c.body(null, 204);
      return c.body(null, worker === "ready" || worker === "none" ? 200 : 503);
    },
  );

  return app;
};
