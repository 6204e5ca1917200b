/** The server: front ends behind what is the same for all of them. */
import { OpenAPIHono } from "@hono/zod-openapi";
import type { Context, ErrorHandler, MiddlewareHandler } from "hono";
import { bodyLimit } from "hono/body-limit";
import { cors } from "hono/cors";
import { methodNotAllowed } from "hono/method-not-allowed";
import { requestId, type RequestIdVariables } from "hono/request-id";
import { TrieRouter } from "hono/router/trie-router";
import { secureHeaders } from "hono/secure-headers";
import project from "../../deno.json" with { type: "json" };
import type { Jobs } from "../jobs/jobs.ts";
import { tokenCheck } from "./auth.ts";
import type { FrontEnd } from "./front_end.ts";
import { HttpError, isDefect } from "./http_error.ts";

/** Bytes of a body at most. */
const BODY_LIMIT = 1 << 20;

/** What probes ask, which have no token. */
const PROBES = ["/livez", "/readyz", "/ping", "/health-check"];

export interface AppOptions {
  readonly jobs: Jobs;
  /** The first one answers what belongs to none. */
  readonly frontEnds: readonly [FrontEnd, ...FrontEnd[]];
  /** What clients have to send; null: anybody who reaches the server may use it. */
  readonly token: string | null;
  /** Other paths than those of probes that need none: the page's, which asks people for the token. */
  readonly open?: readonly string[];
  /** Where clients reach the server, without a slash at the end; null: where a request says that it went. */
  readonly publicUrl?: string | null;
  /** Names of hosts that requests may be for, which keeps out pages that give their own name our address; absent: any. */
  readonly allowedHosts?: readonly string[];
  /** Origins whose pages may use the server. */
  readonly cors?: readonly string[];
  /** Told of every request. */
  readonly logRequest?: (line: string) => void;
  /** Told of every defect of ours. */
  readonly logDefect?: (line: string) => void;
}

type App = OpenAPIHono<{ Variables: RequestIdVariables }>;

/** Gives what answers requests, by `fetch`. */
export function createApp(options: AppOptions): App {
  const { jobs, token, publicUrl = null, allowedHosts, cors: origins = [] } = options;
  const base = (request: Request) => publicUrl ?? new URL(request.url).origin;
  const frontEnds = options.frontEnds.map((frontEnd) => frontEnd({ jobs, publicUrl: base }));
  const answerError = errorsByOwner(frontEnds);
  const app: App = new OpenAPIHono();
  app.onError(answerError);
  app.notFound((c) =>
    answerError(new HttpError(404, "There is nothing here: /openapi.json lists what there is."), c)
  );

  app.use(requestId());
  app.use(logs(options));
  app.use(secureHeaders({
    // A front end may say what its own answers need.
    overwrite: false,
    contentSecurityPolicy: {
      defaultSrc: ["'none'"],
      baseUri: ["'none'"],
      formAction: ["'none'"],
      frameAncestors: ["'none'"],
    },
    xFrameOptions: "DENY",
    crossOriginResourcePolicy: origins.length > 0 ? "cross-origin" : "same-origin",
    // It would hold for all that shares our name, which is not ours to decide.
    strictTransportSecurity: false,
  }));
  app.use(headHasNoBody);
  if (origins.length > 0) {
    app.use(cors({
      origin: [...origins],
      exposeHeaders: ["Location", "Retry-After", "X-Request-Id"],
      maxAge: 600,
    }));
  }
  app.use(methodNotAllowed({
    app,
    onMethodNotAllowed: (c, methods) => {
      const allow = methods.join(", ");
      return answerError(
        new HttpError(405, `${c.req.method} does nothing here: ${allow} would.`, {
          headers: { Allow: allow },
        }),
        c,
      );
    },
  }));
  const open = new Set([...PROBES, ...options.open ?? []]);
  const checkToken = token === null ? null : tokenCheck(token);
  app.use(async (c, next) => {
    if (allowedHosts !== undefined) checkHost(c.req.raw, allowedHosts);
    if (checkToken === null) checkOrigin(c.req.raw, [base(c.req.raw), ...origins]);
    else if (!open.has(c.req.path)) checkToken(c.req.raw);
    await next();
  });
  app.use(bodyLimit({
    maxSize: BODY_LIMIT,
    onError: () => {
      throw new HttpError(413, `The body is too large: ${BODY_LIMIT} bytes are the most.`);
    },
  }));

  for (const frontEnd of frontEnds) app.route("/", frontEnd);
  app.get(
    "/openapi.json",
    (c) => c.json(describe(app, base(c.req.raw), token === null ? null : open)),
  );
  return app;
}

/**
 * The document of all that is mounted.
 *
 * @param open Paths that need no token; null: none does.
 */
function describe(app: App, url: string, open: ReadonlySet<string> | null) {
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

/**
 * Answers an error as the front end does whose path was asked for, or one that begins like it; for what belongs to none, or to one that
 * does not say how, as the first one does.
 */
function errorsByOwner(frontEnds: readonly OpenAPIHono[]): ErrorHandler {
  const owners = new TrieRouter<OpenAPIHono>();
  const beginnings = new Map<string, OpenAPIHono>();
  for (const frontEnd of frontEnds) {
    if (errorHandler(frontEnd) === UNSET) continue;
    for (const { path, method } of frontEnd.routes) {
      if (method === "ALL") continue;
      owners.add("ALL", path, frontEnd);
      beginnings.set(firstPart(path), frontEnd);
    }
  }
  return (error, c) => {
    const [[exact]] = owners.match("ALL", c.req.path) as [[OpenAPIHono, unknown][]];
    const owner = exact?.[0] ?? beginnings.get(firstPart(c.req.path)) ?? frontEnds[0]!;
    return errorHandler(owner)(error, c);
  };
}

/** hono keeps what `onError` was given to itself, but errors may also come before any of the front end's handlers. */
function errorHandler(frontEnd: OpenAPIHono): ErrorHandler {
  return (frontEnd as unknown as { readonly errorHandler: ErrorHandler }).errorHandler;
}

/** What hono has where nothing was given. */
const UNSET = errorHandler(new OpenAPIHono());

function firstPart(path: string): string {
  return path.split("/", 2)[1]!;
}

/** Tells of requests, and once of each defect. A client that left is none. */
function logs(
  { logRequest, logDefect = console.error }: AppOptions,
): MiddlewareHandler<{ Variables: RequestIdVariables }> {
  return async (c, next) => {
    const start = performance.now();
    await next();
    // As it was sent: what hono decodes may have line breaks in it.
    const request = `${c.req.method} ${new URL(c.req.url).pathname}`;
    if (c.error !== undefined && isDefect(c.error) && !c.req.raw.signal.aborted) {
      logDefect(`${request} failed (request ${c.get("requestId")}): ${c.error.stack}`);
    }
    logRequest?.(`${request} ${c.res.status} ${Math.round(performance.now() - start)} ms`);
  };
}

/** hono drops the body of what GET gives without ending it: a stream would go on. */
async function headHasNoBody(c: Context, next: () => Promise<void>): Promise<void> {
  await next();
  if (c.req.method !== "HEAD" || c.res.body === null) return;
  await c.res.body.cancel();
  c.res = new Response(null, c.res);
}

/** @throws {HttpError} When the request is for another host. */
function checkHost({ url }: Request, allowed: readonly string[]): void {
  const { hostname } = new URL(url);
  if (allowed.includes(hostname)) return;
  throw new HttpError(421, `The server does not go by the name of ${hostname}.`);
}

/** @throws {HttpError} When the page of another server asks for a change, which a browser would let it without a token. */
function checkOrigin({ method, headers }: Request, allowed: readonly string[]): void {
  const origin = headers.get("Origin");
  if (method === "GET" || method === "HEAD" || origin === null) return;
  if (allowed.some((url) => new URL(url).origin === origin)) return;
  throw new HttpError(403, "A page of another server may not do this: allow its origin by --cors.");
}
