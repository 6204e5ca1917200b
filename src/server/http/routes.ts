/** What the routes of protocols are made of. */
import { OpenAPIHono, type z } from "../../deps/zod_openapi.ts";
import { invalid } from "./http_error.ts";

/** Routes without any: what does not fit their schemas is thrown as an `HttpError`. */
export function newRoutes(): OpenAPIHono {
  return new OpenAPIHono({
    defaultHook: (result) => {
      if (!result.success) throw invalid(result.error);
    },
  });
}

/** A body of JSON, for the description of a route. */
export function json<S extends z.ZodType>(schema: S, description: string) {
  return { description, content: { "application/json": { schema } } };
}
