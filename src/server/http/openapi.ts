/** One OpenAPI document for all that is mounted. */
import type { OpenAPIHono } from "../../deps/zod_openapi.ts";
import type { RequestIdVariables } from "../../deps/hono.ts";
import project from "../../../deno.json" with { type: "json" };

type App = OpenAPIHono<{ Variables: RequestIdVariables }>;
type Paths = NonNullable<ReturnType<App["getOpenAPI31Document"]>["paths"]>;
type Operation = NonNullable<Paths[string]["get"]>;
type Content = NonNullable<NonNullable<Operation["responses"]>[string]["content"]>;

/** What the server does with requests before any route has them. */
export interface Door {
  /** Paths that need no token; null: none does. */
  readonly open: ReadonlySet<string> | null;
  /** Whether it answers for some hosts only. */
  readonly namesHosts: boolean;
}

const METHODS = ["get", "post", "put", "delete"] as const;

/**
 * Describes all that is mounted.
 *
 * @returns What gives the document, as JSON, of a server at a URL: all else in it is written once, when it is first asked for.
 */
export function openApiDocument(app: App, door: Door): (url: string) => string {
  let text: string | undefined;
  return (url) => {
    text ??= JSON.stringify(describe(app, door));
    return `{"servers":${JSON.stringify([{ url }])},${text.slice(1)}`;
  };
}

function describe(app: App, door: Door) {
  const { paths = {}, ...document } = app.getOpenAPI31Document({
    openapi: "3.1.0",
    info: {
      title: "mdm",
      version: project.version,
      description: "Pictures and videos from text with Matryoshka Diffusion Models.",
    },
    ...door.open !== null && { security: [{ token: [] }] },
  });
  describeDoor(paths, door);
  const securitySchemes = { token: { type: "http", scheme: "bearer" } };
  const components = {
    ...document.components,
    ...door.open !== null && { securitySchemes },
  };
  return { ...document, components, paths };
}

/** Adds what may be answered before an operation is asked; its own words go before. */
function describeDoor(paths: Paths, door: Door): void {
  const operations = Object.entries(paths).flatMap(([path, item]) =>
    METHODS.flatMap((method) => {
      const operation = item[method];
      return operation === undefined ? [] : [{ path, item, method, operation }];
    })
  );
  const shapes = errorShapes(operations.map(({ operation }) => operation));
  for (const { path, item, method, operation } of operations) {
    const isOpen = method === "get" && door.open?.has(path) === true;
    const content = shapes.get(protocolOf(operation));
    // "default" says all that is not said otherwise.
    const answers = operation.responses?.default === undefined
      ? Object.entries(doorAnswers({ path, method, operation }, door, isOpen))
      : [];
    const added = answers.map(([status, description]) =>
      [status, { description, ...content && { content } }] as const
    );
    item[method] = {
      ...operation,
      ...isOpen && { security: [] },
      responses: { ...Object.fromEntries(added), ...operation.responses },
    };
  }
}

/** Descriptions by status. */
function doorAnswers(
  { path, method, operation: { requestBody, parameters } }: {
    readonly path: string;
    readonly method: typeof METHODS[number];
    readonly operation: Operation;
  },
  { open, namesHosts }: Door,
  isOpen: boolean,
): Record<string, string> {
  const hasBody = requestBody !== undefined;
  const isGuarded = open === null && method !== "get";
  return {
    400: "The address, a header or the body cannot be read.",
    ...open !== null && !isOpen && { 401: "The token is missing, or is not the server's." },
    ...isGuarded && { 403: "A page of another server may not ask for this." },
    ...path.includes("{") && { 404: "There is no such thing." },
    ...hasBody &&
      { 413: "The body is too large.", 415: "The body is of a type that is not taken." },
    ...namesHosts && { 421: "The server does not go by the name that was asked for." },
    ...(hasBody || parameters !== undefined) && { 422: "Something asked for cannot be." },
    503: "Something that the server needs is away: `Retry-After` says when to try again.",
  };
}

/** How errors look in each protocol: as in the first one that its routes describe. */
function errorShapes(operations: readonly Operation[]): Map<string, Content> {
  const shapes = new Map<string, Content>();
  for (const operation of operations) {
    const protocol = protocolOf(operation);
    const errors = Object.entries<{ content?: Content }>(operation.responses ?? {})
      .flatMap(([status, { content }]) => /^4|default/.test(status) ? content ?? [] : []);
    if (errors[0] !== undefined && !shapes.has(protocol)) shapes.set(protocol, errors[0]);
  }
  return shapes;
}

function protocolOf({ tags: [tag = ""] = [] }: Operation): string {
  return tag;
}
