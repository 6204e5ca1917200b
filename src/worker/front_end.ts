/** What every front end is given, and gives. */
import type { OpenAPIHono } from "@hono/zod-openapi";
import type { Context } from "hono";
import type { Jobs } from "../jobs/jobs.ts";

/** What front ends share. */
export interface FrontEndOptions {
  readonly jobs: Jobs;
  /** Where clients reach this server, without a slash at the end; of a request where it is not configured: its own origin. */
  publicUrl(request: Request): string;
}

/** One protocol: routes, and how its errors look. It knows nothing of the others. */
export interface FrontEndApp {
  readonly app: OpenAPIHono;
  /**
   * Answers an error (`asHttpError` says what it is): one that a handler threw, and what is refused before any handler, such as a
   * request without the token. `createApp` sets it as the routes' own; nothing needs to be logged here.
   */
  readonly onError: (error: unknown, c: Context) => Response | Promise<Response>;
  /** Paths that need no token. */
  readonly open?: readonly string[];
}

export type FrontEnd = (options: FrontEndOptions) => FrontEndApp;
