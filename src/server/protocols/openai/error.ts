/** How OpenAI's API tells errors. */
import { z } from "../../../deps/zod_openapi.ts";
import type { Context } from "../../../deps/hono.ts";
import type { JobError } from "../../../jobs/job.ts";
import { asHttpError, HttpError } from "../../http/http_error.ts";

export const OpenAiError = z.object({
  error: z.object({
    message: z.string(),
    type: z.enum([
      "invalid_request_error",
      "authentication_error",
      "permission_error",
      "rate_limit_error",
      "server_error",
    ]),
    param: z.string().nullable().describe("The field that is wrong."),
    code: z.string().nullable(),
  }),
}).openapi("OpenAIError");

type OpenAiError = z.infer<typeof OpenAiError>;

/** Answers an error. */
export function answerOpenAiError(error: unknown, c: Context): Response {
  const { status, headers } = asHttpError(error);
  // What is wrong in a body is 400 there.
  return c.json(openAiError(error), status === 422 ? 400 : status, headers);
}

/** An error as the body of an answer, or as an event. */
export function openAiError(error: unknown): OpenAiError {
  const { status, message, code, fields: [field] } = asHttpError(error);
  const param = field?.path.join(".") || null;
  return { error: { message, type: typeOf(status), param, code } };
}

function typeOf(status: number): OpenAiError["error"]["type"] {
  if (status === 401) return "authentication_error";
  if (status === 403) return "permission_error";
  if (status === 429) return "rate_limit_error";
  return status < 500 ? "invalid_request_error" : "server_error";
}

/** The official clients try again after 5xx, which is in vain where the same would come of it. */
const NO_RETRY = { "x-should-retry": "false" };

/** Why there is no picture, as an error of the request that waited for it. */
export function failure({ code, message }: JobError): HttpError {
  switch (code) {
    case "request":
      return new HttpError(400, message, { code: "invalid" });
    case "refused":
      return new HttpError(400, message, { code: "moderation_blocked" });
    case "expired":
      return new HttpError(503, message, { code });
    case "timeout":
      return new HttpError(503, message, { code, headers: NO_RETRY });
    case "lost":
    case "failed":
      return new HttpError(500, message, { code, headers: NO_RETRY });
  }
}
