/** What every front end is given, and gives. */
import type { OpenAPIHono } from "@hono/zod-openapi";
import type { Jobs } from "../../jobs/jobs.ts";

/** What front ends share. */
export interface FrontEndOptions {
  readonly jobs: Jobs;
  /** Where clients reach this server, without a slash at the end; of a request where it is not configured: its own origin. */
  publicUrl(request: Request): string;
  /** Whether clients need the token. */
  readonly needsToken: boolean;
  /** A path of this server with what opens it for a while to whoever has no token; see `SignedAddresses`. */
  sign(path: string): string;
  /** Whether another size than the model's own is refused; else what asks for one gets the model's own, and is told so. */
  readonly strictSizes: boolean;
}

/**
 * One protocol: routes, and with `onError` how its errors look: those that its handlers throw, and what is refused before any handler,
 * such as a request without the token. `asHttpError` says what an error is. It knows nothing of the others.
 */
export type FrontEnd = (options: FrontEndOptions) => OpenAPIHono;
