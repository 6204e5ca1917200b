/** What programs made for OpenAI's API ask for. */
import { createRoute, z } from "../../../deps/zod_openapi.ts";
import type { ErrorHandler } from "../../../deps/hono.ts";
import type { Jobs } from "../../../jobs/jobs.ts";
import type { ProtocolFactory } from "../../http/protocol.ts";
import { newRoutes } from "../../http/routes.ts";
import { answerOpenAiError, OpenAiError } from "./error.ts";
import { checkModel, seconds } from "./fields.ts";
import { images } from "./images.ts";
import { refusals, withAdvice } from "./refusals.ts";
import { videos } from "./videos.ts";

export const ModelJson = z.object({
  id: z.string(),
  object: z.literal("model"),
  created: z.int().describe("When the server began to offer it."),
  owned_by: z.string(),
}).openapi("OpenAIModel");

/** `/v1/images/generations`, `/v1/videos`, `/v1/models/{model}`, and what else such clients ask for; `modelList` has the list of models. */
export const openai: ProtocolFactory = (options) => {
  const { jobs } = options;
  const app = newRoutes();
  refusals(app, jobs.model);
  images(app, options);
  videos(app, options);

  const model = modelJson(jobs);

  app.openapi(
    createRoute({
      method: "get",
      path: "/v1/models/{model}",
      tags: ["OpenAI"],
      summary: "See a model",
      request: { params: z.object({ model: z.string() }) },
      responses: {
        200: {
          description: "The model.",
          content: { "application/json": { schema: ModelJson } },
        },
        404: {
          description: "There is none of that name.",
          content: { "application/json": { schema: OpenAiError } },
        },
      },
    }),
    (c) => {
      checkModel(jobs.model, c.req.valid("param").model);
      return c.json(model, 200);
    },
  );

  const onError: ErrorHandler = (error, c) => answerOpenAiError(withAdvice(error, jobs.model), c);
  return { routes: app, onError };
};

/** The model, which began to be offered now. */
export function modelJson({ model: { name } }: Pick<Jobs, "model">): z.infer<typeof ModelJson> {
  return { id: name, object: "model", created: seconds(Date.now()), owned_by: "mdm" };
}
