/** Replicate's API: predictions, the one model with its one version, and what else its clients ask for. */
import { createRoute, OpenAPIHono, z } from "../../../deps/zod_openapi.ts";
import type { Jobs } from "../../../jobs/jobs.ts";
import { cog, type Dialect, predictions } from "./cog.ts";
import type { ProtocolFactory, ProtocolOptions } from "../../http/protocol.ts";
import { HttpError } from "../../http/http_error.ts";
import { json, newRoutes } from "../../http/routes.ts";
import { answerReplicateError, problem } from "./error.ts";
import {
  checkModel,
  Model,
  model,
  modelName,
  OWNER,
  page,
  pageOf,
  Version,
  version,
  VERSION_ID,
} from "./model.ts";

const DIALECT: Dialect = {
  name: "Replicate",
  prefix: "/v1",
  waits: false,
  ended: 201,
  versions: true,
  error: problem,
};

const tags = [DIALECT.name];
const missing = { 404: problem("There is none") };

/** @param secret What webhooks are signed with. */
export function replicate({ secret }: { readonly secret: string }): ProtocolFactory {
  return (options) => {
    const app = new OpenAPIHono();
    app.route(DIALECT.prefix, predictions(options, DIALECT));
    app.route(DIALECT.prefix, models(options));
    app.route(DIALECT.prefix, account(secret));
    app.route(DIALECT.prefix, absences(options.jobs));
    return { routes: app, onError: answerReplicateError };
  };
}

/** Tells the model to who asks for it. */
export function replicateModel(
  options: ProtocolOptions,
  latest = latestVersion(options),
): (request: Request) => Promise<Model> {
  const { jobs, publicUrl } = options;
  return async (request) => await model(jobs, await latest(), `${publicUrl(request)}/`);
}

function latestVersion(options: ProtocolOptions): () => Promise<Version> {
  let schema: Version["openapi_schema"] | null = null;
  return async () => version(await options.jobs.version(), schema ??= cogSchema(options));
}

/** What Cog's /openapi.json says, with fields in the order in which forms show them. */
function cogSchema(options: ProtocolOptions): Version["openapi_schema"] {
  const document = cog(options).routes.getOpenAPIDocument({
    openapi: "3.0.2",
    info: { title: "Cog", version: "0.1.0" },
  });
  const { Input } = document.components!.schemas! as Record<string, { properties?: object }>;
  for (const [order, field] of Object.values(Input!.properties!).entries()) {
    field["x-order"] = order;
  }
  return document as unknown as Version["openapi_schema"];
}

/** The model and its version. */
function models(options: ProtocolOptions): OpenAPIHono {
  const { jobs } = options;
  const app = newRoutes();
  const latest = latestVersion(options);
  const modelJson = replicateModel(options, latest);
  const params = z.object({ owner: z.string(), name: z.string() });

  app.openapi(
    createRoute({
      tags,
      method: "get",
      path: "/models/{owner}/{name}",
      request: { params },
      responses: { 200: json(Model, "The model"), ...missing },
    }),
    async (c) => {
      const { owner, name } = c.req.valid("param");
      checkModel(jobs.model, owner, name);
      return c.json(await modelJson(c.req.raw), 200);
    },
  );

  app.openapi(
    createRoute({
      tags,
      method: "get",
      path: "/models/{owner}/{name}/versions",
      request: { params },
      responses: { 200: json(pageOf(Version), "The one version"), ...missing },
    }),
    async (c) => {
      const { owner, name } = c.req.valid("param");
      checkModel(jobs.model, owner, name);
      return c.json(page([await latest()]), 200);
    },
  );

  app.openapi(
    createRoute({
      tags,
      method: "get",
      path: "/models/{owner}/{name}/versions/{id}",
      request: { params: params.extend({ id: z.string() }) },
      responses: { 200: json(Version, "The version"), ...missing },
    }),
    async (c) => {
      const { owner, name, id } = c.req.valid("param");
      checkModel(jobs.model, owner, name);
      const here = await latest();
      // Programs ask for the one that they were written for.
      if (!VERSION_ID.test(id)) {
        throw new HttpError(404, `There is no such version: "${here.id}" is the one here.`);
      }
      return c.json(here, 200);
    },
  );

  return app;
}

const Account = z.object({
  type: z.literal("organization"),
  username: z.string(),
  name: z.string(),
  github_url: z.null(),
}).openapi("ReplicateAccount");

const Hardware = z.array(z.object({ sku: z.string(), name: z.string() }));

const Secret = z.object({ key: z.string() });

/** Whose the server is, what it runs on, and how its webhooks are signed. */
function account(secret: string): OpenAPIHono {
  const app = newRoutes();

  app.openapi(
    createRoute({
      tags,
      method: "get",
      path: "/account",
      responses: { 200: json(Account, "The only account") },
    }),
    (c) =>
      c.json(
        { type: "organization" as const, username: OWNER, name: OWNER, github_url: null },
        200,
      ),
  );

  app.openapi(
    createRoute({
      tags,
      method: "get",
      path: "/hardware",
      responses: { 200: json(Hardware, "What predictions are made on") },
    }),
    (c) => c.json([{ sku: "mdm", name: "This server" }], 200),
  );

  app.openapi(
    createRoute({
      tags,
      method: "get",
      path: "/webhooks/default/secret",
      responses: { 200: json(Secret, "What webhooks are signed with") },
    }),
    (c) => c.json({ key: secret }, 200),
  );

  return app;
}

/** What there is on Replicate and not here: lists are empty, and all else says what to do. */
function absences({ model }: Jobs): OpenAPIHono {
  const app = newRoutes();
  const here = modelName(model);
  const run = `run "${here}".`;

  for (const path of ["/collections", "/deployments", "/trainings", "/files"]) {
    app.openapi(
      createRoute({
        tags,
        method: "get",
        path,
        responses: { 200: json(pageOf(z.unknown()), "There are none") },
      }),
      (c) => c.json(page([]), 200),
    );
  }

  const absent = (method: "get" | "post" | "delete", path: string, error: () => HttpError) => {
    const names = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => [name!, z.string()]);
    const { status, message } = error();
    app.openapi(
      createRoute({
        tags,
        method,
        path,
        request: { params: z.object(Object.fromEntries(names)) },
        responses: { [status]: problem(message) },
      }),
      () => {
        throw error();
      },
    );
  };
  const none = (message: string) => () => new HttpError(404, message);
  const noCollection = none(`There are no collections here: ${run}`);
  const noDeployment = none(`There are no deployments here: ${run}`);
  const noTraining = none("Models are not trained here: give the server another one by --model.");
  const noFile = none("There is no such file: none are kept here.");
  absent("get", "/collections/{slug}", noCollection);
  absent("get", "/deployments/{owner}/{name}", noDeployment);
  absent("post", "/deployments/{owner}/{name}/predictions", noDeployment);
  absent("get", "/trainings/{id}", noTraining);
  absent("post", "/trainings/{id}/cancel", noTraining);
  absent("post", "/models/{owner}/{name}/versions/{id}/trainings", noTraining);
  absent("get", "/files/{id}", noFile);
  absent("delete", "/files/{id}", noFile);
  absent(
    "post",
    "/files",
    () => new HttpError(422, "No input of the model takes a file: leave it out."),
  );
  return app;
}
