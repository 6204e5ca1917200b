/** The server: protocols behind what is the same for all of them. */
import { OpenAPIHono } from "../../deps/zod_openapi.ts";
import {
  bodyLimit,
  type Context,
  cors,
  matchedRoutes,
  methodNotAllowed,
  type MiddlewareHandler,
  requestId,
  type RequestIdVariables,
  secureHeaders,
} from "../../deps/hono.ts";
import type { Jobs } from "../../jobs/jobs.ts";
import { withoutQueries } from "./without_queries.ts";
import { tokenCheck } from "./auth.ts";
import { errorsByOwner } from "./errors_by_owner.ts";
import type { ProtocolFactory } from "./protocol.ts";
import { HttpError, isDefect } from "./http_error.ts";
import { openApiDocument } from "./openapi.ts";
import { checkHost, checkOrigin } from "./origin.ts";
import type { SignedAddresses } from "./signed_address.ts";

/** Bytes of a body at most. */
const BODY_LIMIT = 1 << 20;

/** What probes ask, which have no token. */
const PROBES = ["/livez", "/readyz", "/ping", "/health-check"];

export interface AppOptions {
  readonly jobs: Jobs;
  /** The first one answers what belongs to none. */
  readonly protocols: readonly [ProtocolFactory, ...ProtocolFactory[]];
  /** What clients have to send; null: anybody who reaches the server may use it. */
  readonly token: string | null;
  /** What opens a path to whoever has no token. */
  readonly addresses: SignedAddresses;
  /** Other paths than those of probes that need none: the page's, which asks people for the token. */
  readonly open?: readonly string[];
  /** Where clients reach the server, without a slash at the end; null: where a request says that it went. */
  readonly publicUrl?: string | null;
  /** Names of hosts that requests may be for, which keeps out pages that give their own name our address; absent: any. */
  readonly allowedHosts?: readonly string[];
  /** Origins whose pages may use the server. */
  readonly cors?: readonly string[];
  /** Whether other sizes than the model's own are refused where a protocol has no model of one size; absent: no. */
  readonly strictSizes?: boolean;
  /** Told of every request. */
  readonly logRequest?: (line: string) => void;
  /** Told of every defect of ours. */
  readonly logDefect?: (line: string) => void;
}

type App = OpenAPIHono<{ Variables: RequestIdVariables }>;

/** Gives what answers requests, by `fetch`. */
export function createApp(options: AppOptions): App {
  const { jobs, token, addresses, publicUrl = null, allowedHosts, cors: origins = [] } = options;
  const base = (request: Request) => publicUrl ?? new URL(request.url).origin;
  const sign = (path: string) => token === null ? path : addresses.sign(path);
  const shared = {
    jobs,
    publicUrl: base,
    needsToken: token !== null,
    sign,
    strictSizes: options.strictSizes ?? false,
  };
  const protocols = options.protocols.map((protocol) => protocol(shared));
  const answerError = errorsByOwner(protocols);
  const app: App = new OpenAPIHono();
  app.onError(answerError);
  app.notFound((c) =>
    answerError(new HttpError(404, "There is nothing here: /openapi.json lists what there is."), c)
  );

  app.use(requestId());
  app.use(logs(options));
  app.use(secureHeaders(headers(origins.length > 0)));
  app.use(headHasNoBody);
  if (origins.length > 0) {
    app.use(cors({
      origin: [...origins],
      exposeHeaders: [
        "Accept-Ranges",
        "Content-Range",
        "ETag",
        "Location",
        "Retry-After",
        "X-Request-Id",
      ],
      maxAge: 600,
    }));
  }
  app.use(methodNotAllowed({
    app,
    onMethodNotAllowed: (c, methods) => answerError(wrongMethod(c.req.method, methods), c),
  }));
  const open = new Set([...PROBES, ...options.open ?? []]);
  const checkToken = token === null ? null : tokenCheck(token);
  app.use(async (c, next) => {
    const { method, path } = c.req;
    const { until, signature } = c.req.query();
    if (allowedHosts !== undefined) checkHost(c.req.raw, allowedHosts);
    if (checkToken === null) checkOrigin(c.req.raw, [base(c.req.raw), ...origins]);
    else if (addresses.isSigned({ method, path, until, signature })) {
      // Pages of other servers may show what they have the address of.
      c.header("Cross-Origin-Resource-Policy", "cross-origin");
    } else if (!open.has(path)) {
      const authorization = c.req.header("Authorization");
      checkToken({ authorization, isSigned: signature !== undefined });
    }
    await next();
  });
  const limit = bodyLimit({
    maxSize: BODY_LIMIT,
    onError: () => {
      throw new HttpError(413, `The body is too large: ${BODY_LIMIT} bytes are the most.`);
    },
  });
  // What no route takes is not read, and is told that rather than how large it may be.
  app.use((c, next) =>
    matchedRoutes(c).some(({ method }) => method !== "ALL") ? limit(c, next) : next()
  );

  for (const { routes } of protocols) app.route("/", routes);
  const document = openApiDocument(app, {
    open: token === null ? null : open,
    namesHosts: allowedHosts !== undefined,
  });
  app.get("/openapi.json", (c) => {
    return c.body(document(base(c.req.raw)), 200, { "Content-Type": "application/json" });
  });
  return app;
}

/** What browsers may do with answers. */
function headers(crossOrigin: boolean): Parameters<typeof secureHeaders>[0] {
  return {
    // A protocol may say what its own answers need.
    overwrite: false,
    contentSecurityPolicy: {
      defaultSrc: ["'none'"],
      baseUri: ["'none'"],
      formAction: ["'none'"],
      frameAncestors: ["'none'"],
    },
    xFrameOptions: "DENY",
    crossOriginResourcePolicy: crossOrigin ? "cross-origin" : "same-origin",
    // It would hold for all that shares our name, which is not ours to decide.
    strictTransportSecurity: false,
  };
}

function wrongMethod(method: string, methods: readonly string[]): HttpError {
  const allow = methods.join(", ");
  const message = `${method} does nothing here: ${allow} would.`;
  return new HttpError(405, message, { headers: { Allow: allow } });
}

/** Tells of requests, and once of each defect. A client that left is none. */
function logs(
  { logRequest, logDefect = console.error }: AppOptions,
): MiddlewareHandler<{ Variables: RequestIdVariables }> {
  return async (c, next) => {
    const start = performance.now();
    await next();
    const request = `${c.req.method} ${loggedPath(c.req.path)}`;
    if (c.error !== undefined && isDefect(c.error) && !c.req.raw.signal.aborted) {
      logDefect(
        `${request} failed (request ${c.get("requestId")}): ${withoutQueries(`${c.error.stack}`)}`,
      );
    }
    logRequest?.(`${request} ${c.res.status} ${Math.round(performance.now() - start)} ms`);
  };
}

/**
 * What a request was routed by, so that the log tells the truth. It was decoded: line breaks may be in it, and where a client encoded a
 * signed address once too often, a query. So it ends where a query may begin, and before what is as long as a signature.
 */
function loggedPath(path: string): string {
  return path.replace(/(\?|%(25)*3f|[\w-]{43}).*/is, "...").replace(/[^!-~]/gu, encodeURIComponent);
}

/**
 * hono drops the body of what GET gives without ending it: a stream would go on. That GET gives nothing either would be said then, so the
 * length is; events have none.
 */
async function headHasNoBody(c: Context, next: () => Promise<void>): Promise<void> {
  await next();
  const { res } = c;
  if (c.req.method !== "HEAD" || res.body === null) return;
  const isStream = res.headers.get("Content-Type")?.startsWith("text/event-stream") === true;
  if (isStream || res.headers.has("Content-Length")) {
    await res.body.cancel();
    c.res = new Response(null, res);
  } else {
    const { byteLength } = await res.arrayBuffer();
    c.res = new Response(null, res);
    c.res.headers.set("Content-Length", String(byteLength));
  }
}
