/** What every protocol is given, and gives. */
import type { OpenAPIHono } from "../../deps/zod_openapi.ts";
import type { ErrorHandler } from "../../deps/hono.ts";
import type { Jobs } from "../../jobs/jobs.ts";

/** What protocols share. */
export interface ProtocolOptions {
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

/** Routes, and how their errors look. */
export interface Protocol {
  readonly routes: OpenAPIHono;
  /**
   * Answers errors: those that handlers throw, and what is refused before any handler, such as a request without the token.
   * `asHttpError` says what an error is. Absent: errors look as those of the first protocol.
   */
  readonly onError?: ErrorHandler;
}

/** Makes one protocol, which knows nothing of the others. */
export type ProtocolFactory = (options: ProtocolOptions) => Protocol;
