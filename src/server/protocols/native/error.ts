/** How errors look in our own protocol. */
import { z } from "../../../deps/zod_openapi.ts";
import type { Context } from "../../../deps/hono.ts";
import { asHttpError } from "../../http/http_error.ts";

export const NativeError = z.object({
  error: z.object({
    code: z.string().describe("One word for programs.").meta({ examples: ["queue_full"] }),
    message: z.string().describe("One sentence for people."),
    fields: z.array(
      z.object({ path: z.array(z.union([z.string(), z.int()])), message: z.string() }),
    ).optional().describe("What is wrong with which field of the body."),
  }),
}).openapi("Error");

/** Answers an error. */
export function nativeError(error: unknown, c: Context): Response {
  const { status, code, message, fields, headers } = asHttpError(error);
  const body = { error: { code, message, ...fields.length > 0 && { fields } } };
  return c.json(body, status, headers);
}
