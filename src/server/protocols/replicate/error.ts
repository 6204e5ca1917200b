/** How Replicate's API tells errors. */
import { STATUS_CODES } from "node:http";
import { z } from "../../../deps/zod_openapi.ts";
import type { Context } from "../../../deps/hono.ts";
import { asHttpError } from "../../http/http_error.ts";

const PROBLEM = "application/problem+json";

const ReplicateError = z.object({
  title: z.string(),
  detail: z.string().describe("What to do, in a sentence; of several wrong fields a line each."),
  status: z.int(),
  invalid_fields: z.array(z.object({
    type: z.string(),
    field: z.string().describe("Where in the body, with dots between."),
    description: z.string(),
  })).optional(),
}).openapi("ReplicateError");

/** An error, for the description of a route. */
export function problem(description: string) {
  return { description, content: { [PROBLEM]: { schema: ReplicateError } } };
}

type ReplicateError = z.infer<typeof ReplicateError>;

/** Answers an error. */
export function answerReplicateError(error: unknown, c: Context): Response {
  const { status, headers } = asHttpError(error);
  return c.json(replicateError(error), status, {
    ...headers,
    "Content-Type": PROBLEM,
  });
}

/** An error as the body of an answer. */
export function replicateError(error: unknown): ReplicateError {
  const { status, code, message, fields } = asHttpError(error);
  if (fields.length === 0) return { title: STATUS_CODES[status]!, detail: message, status };
  const invalid = fields.map((field) => ({
    type: code,
    field: field.path.join("."),
    description: field.message,
  }));
  return {
    title: "Input validation failed",
    detail: invalid.map(({ field, description }) => `- ${field}: ${description}`).join("\n"),
    status,
    invalid_fields: invalid,
  };
}
