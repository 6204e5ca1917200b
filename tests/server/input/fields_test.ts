/** Fields that may be left out. */
import assert from "../../assert.ts";
import { createRoute, OpenAPIHono, z } from "../../../src/deps/zod_openapi.ts";
import { fields, openFields, wholeNumber } from "../../../src/server/input/fields.ts";

const Body = fields({
  name: z.string(),
  steps: wholeNumber(1, 9).optional().describe("How many."),
  events: z.array(z.enum(["start", "end"])).default(["end"]),
  inner: fields({ url: z.string(), wait: z.boolean().optional() }).optional(),
  seed: z.union([z.int(), z.string()]).optional(),
  already: z.string().nullish(),
});

Deno.test("null in a field that may be left out is as if it were", () => {
  const nothing = { name: "a", events: ["end"] };
  assert.deepEqual(strip(Body.parse({ name: "a" })), nothing);
  const all = { name: "a", steps: null, events: null, inner: null, seed: null, already: null };
  assert.deepEqual(strip(Body.parse(all)), nothing);
  assert.deepEqual(strip(Body.parse({ ...all, inner: { url: "u", wait: null } })), {
    ...nothing,
    inner: { url: "u", wait: undefined },
  });
});

Deno.test("null in a field that is needed is refused, as in one that nobody knows", () => {
  assert.equal(Body.safeParse({ name: null }).success, false);
  assert.equal(Body.safeParse({ name: "a", inner: { url: null } }).success, false);
  assert.equal(Body.safeParse({ name: "a", unknown: null }).success, false);
  assert.equal(Body.safeParse({ name: "a", events: [null] }).success, false);
});

Deno.test("open fields let others be", () => {
  const open = openFields({ name: z.string().optional() });
  assert.deepEqual(strip(open.parse({ name: null, other: 1 })), {});
});

Deno.test("the description says that they may be null, and nothing else of them changes", () => {
  const app = new OpenAPIHono();
  const content = { "application/json": { schema: Body.openapi("Body") } };
  app.openapi(
    createRoute({
      method: "post",
      path: "/",
      request: { body: { content } },
      responses: { 200: { description: "" } },
    }),
    (c) => c.text(""),
  );
  const info = { title: "", version: "" };
  const { components } = app.getOpenAPI31Document({ openapi: "3.1.0", info });
  assert.deepEqual(components?.schemas?.["Body"], {
    type: "object",
    properties: {
      name: { type: "string" },
      steps: { type: ["integer", "null"], minimum: 1, maximum: 9, description: "How many." },
      events: {
        type: ["array", "null"],
        items: { type: "string", enum: ["start", "end"] },
        default: ["end"],
      },
      inner: {
        type: ["object", "null"],
        properties: { url: { type: "string" }, wait: { type: ["boolean", "null"] } },
        required: ["url"],
        additionalProperties: false,
      },
      seed: { anyOf: [{ type: "integer" }, { type: "string" }, { type: "null" }] },
      already: { type: ["string", "null"] },
    },
    required: ["name"],
    additionalProperties: false,
  });
});

/** Without what is undefined. */
function strip(value: object): object {
  return Object.fromEntries(Object.entries(value).filter(([, part]) => part !== undefined));
}
