/** `/v1/models`, which OpenAI's clients and Replicate's both ask for: one answer has what either looks for. */
import { createRoute, z } from "../../deps/zod_openapi.ts";
import type { ErrorHandler } from "../../deps/hono.ts";
import type { ProtocolFactory } from "../http/protocol.ts";
import { asHttpError } from "../http/http_error.ts";
import { json, newRoutes } from "../http/routes.ts";
import { ModelJson, modelJson } from "./openai/openai.ts";
import { openAiError } from "./openai/error.ts";
import { replicateModel } from "./replicate/replicate.ts";
import { replicateError } from "./replicate/error.ts";
import { Model, page, pageOf } from "./replicate/model.ts";

const PATH = "/v1/models";

/** The list of the one model, and searching in it. */
export const modelList: ProtocolFactory = (options) => {
  const app = newRoutes();
  const onError: ErrorHandler = (error, c) => {
    const { status, headers } = asHttpError(error);
    return c.json({ ...openAiError(error), ...replicateError(error) }, status, headers);
  };
  const openai = modelJson(options.jobs);
  const replicate = replicateModel(options);

  app.openapi(
    createRoute({
      method: "get",
      path: PATH,
      tags: ["OpenAI", "Replicate"],
      summary: "List the models: there is one",
      description: "OpenAI's clients read `data`, Replicate's `results`.",
      responses: {
        200: json(
          z.object({
            object: z.literal("list"),
            data: z.array(ModelJson),
            ...pageOf(Model).shape,
          }),
          "Models.",
        ),
      },
    }),
    async (c) => {
      const results = [await replicate(c.req.raw)];
      return c.json({ object: "list" as const, data: [openai], ...page(results) }, 200);
    },
  );

  // Replicate's own method: its body is what is looked for. OpenAPI has no word for it yet.
  app.on("QUERY", PATH, async (c) => {
    const found = await replicate(c.req.raw);
    // The newest client quotes it.
    const words = (await c.req.text()).toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [];
    const text = `${found.owner}/${found.name} ${found.description}`.toLowerCase();
    return c.json(page(words.every((word) => text.includes(word)) ? [found] : []));
  });

  return { routes: app, onError };
};
