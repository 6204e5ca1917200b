/** What goes wrong, as protocols tell it: a status, a code for programs and a sentence for people. */
import type { z } from "../../deps/zod_openapi.ts";
import { type ContentfulStatusCode, HTTPException } from "../../deps/hono.ts";
import { MdmError, UsageError } from "../../errors.ts";
import { JobConflict, NotTaking, QueueFull } from "../../jobs/queue/queue.ts";
import { Unavailable } from "../../jobs/unavailable.ts";
import { fieldName, MOST_TOLD } from "../input/sentences.ts";

/** What is wrong with one field of a body. */
export interface FieldError {
  readonly path: readonly (string | number)[];
  readonly message: string;
}

const CODES = {
  400: "malformed",
  401: "unauthorized",
  403: "forbidden",
  404: "not_found",
  405: "method_not_allowed",
  409: "conflict",
  412: "precondition_failed",
  413: "too_large",
  415: "unsupported_media_type",
  416: "no_such_part",
  421: "wrong_host",
  422: "invalid",
  429: "queue_full",
  500: "internal",
  503: "unavailable",
} as const satisfies Partial<Record<ContentfulStatusCode, string>>;

/** An answer that is not what was asked for. */
export class HttpError extends MdmError {
  override name = "HttpError";
  /** One word for programs. */
  readonly code: string;
  readonly fields: readonly FieldError[];
  readonly headers: Readonly<Record<string, string>>;

  constructor(
    readonly status: keyof typeof CODES,
    message: string,
    { code = CODES[status], fields = [], headers = {} }: {
      readonly code?: string;
      readonly fields?: readonly FieldError[];
      readonly headers?: Readonly<Record<string, string>>;
    } = {},
  ) {
    super(message);
    this.code = code;
    this.fields = fields;
    this.headers = headers;
  }
}

/** There is no such job. */
export function notFound(): HttpError {
  return new HttpError(404, "There is no such job: it never was, or it ended too long ago.");
}

/** What a schema found wrong. */
export function invalid({ issues }: Pick<z.ZodError, "issues">): HttpError {
  // A name that is not known often says why another one is missing.
  const [unknown, others] = [true, false].map((first) =>
    issues.filter(({ code }) => (code === "unrecognized_keys") === first)
  );
  const told = [...unknown!, ...others!].slice(0, MOST_TOLD);
  const fields = told.flatMap(({ path, message, ...issue }): FieldError[] => {
    const at = path.map((key) => typeof key === "number" ? key : String(key));
    if (issue.code !== "unrecognized_keys") return [{ path: at, message }];
    const keys = issue.keys as readonly string[];
    return message.split("\n").map((line, i) => ({ path: [...at, keys[i]!], message: line }));
  });
  const [first] = fields;
  return new HttpError(422, first === undefined ? "The request is wrong." : named(first), {
    fields,
  });
}

/** A sentence that says which field is meant. */
function named({ path, message }: FieldError): string {
  const name = fieldName(path);
  return path.length === 0 || message.includes(name) ? message : `${name}: ${message}`;
}

/** Whether an error is a defect of ours, of which clients are told nothing. */
export function isDefect(error: unknown): boolean {
  return !(error instanceof HttpError) && asHttpError(error).status === 500;
}

/** What an error is to the client. What is not a person's mistake says nothing of itself. */
export function asHttpError(error: unknown): HttpError {
  if (error instanceof HttpError) return error;
  if (error instanceof UsageError) return new HttpError(422, error.message);
  if (error instanceof JobConflict) return new HttpError(409, error.message);
  if (
    error instanceof QueueFull || error instanceof NotTaking || error instanceof Unavailable
  ) {
    const headers = { "Retry-After": String(Math.max(1, Math.ceil(error.retryAfter))) };
    return new HttpError(error instanceof QueueFull ? 429 : 503, error.message, { headers });
  }
  // What hono and its validators throw about a body that they cannot read.
  if (error instanceof HTTPException && error.status === 415) {
    return new HttpError(
      415,
      "Send a body of a Content-Type that this route takes: see /openapi.json.",
    );
  }
  if (error instanceof HTTPException && error.status < 500) {
    return new HttpError(400, "The body is not what its Content-Type says: it cannot be read.");
  }
  return new HttpError(500, "The server failed, and it is not the request's fault: try again.");
}
