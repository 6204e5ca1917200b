/** One OpenAPI document for all that is mounted. */
import type { OpenAPIHono } from "@hono/zod-openapi";
import type { RequestIdVariables } from "hono/request-id";
import project from "../../deno.json" with { type: "json" };

/**
 * The document of all that is mounted.
 *
 * @param open Paths that need no token; null: none does.
 */
export function openApiDocument(
  app: OpenAPIHono<{ Variables: RequestIdVariables }>,
  url: string,
  open: ReadonlySet<string> | null,
) {
  const { paths, ...document } = app.getOpenAPI31Document({
    openapi: "3.1.0",
    info: {
      title: "mdm",
      version: project.version,
      description: "Pictures and videos from text with Matryoshka Diffusion Models.",
    },
    servers: [{ url }],
    ...open !== null && { security: [{ token: [] }] },
  });
  if (open === null) return { ...document, paths };
  const securitySchemes = { token: { type: "http", scheme: "bearer" } };
  return {
    ...document,
    components: { ...document.components, securitySchemes },
    paths: Object.fromEntries(
      Object.entries(paths ?? {}).map(([path, item]) => [
        path,
        open.has(path) && item.get ? { ...item, get: { ...item.get, security: [] } } : item,
      ]),
    ),
  };
}
