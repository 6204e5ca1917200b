/** Requests that an OpenAPI document allows, and requests spoilt at random. */
import { mutate } from "../fuzz/mutate.ts";

type Random = () => number;
// deno-lint-ignore no-explicit-any
type Json = any;

/** One operation of a document. */
export interface Operation {
  readonly path: string;
  readonly method: string;
  readonly parameters: readonly {
    readonly name: string;
    readonly in: string;
    readonly schema: Json;
  }[];
  /** Schemas by type. */
  readonly bodies: Readonly<Record<string, Json>>;
}

/** All that a document allows to ask for. */
export function operationsOf({ paths }: Json): Operation[] {
  return Object.entries<Json>(paths).flatMap(([path, methods]) =>
    Object.entries<Json>(methods).map(([method, { parameters = [], requestBody }]) => ({
      path,
      method: method.toUpperCase(),
      parameters,
      bodies: Object.fromEntries(
        Object.entries<Json>(requestBody?.content ?? {}).map((
          [type, { schema }],
        ) => [type, schema]),
      ),
    }))
  );
}

export function pick<T>(random: Random, values: readonly T[]): T {
  return values[Math.floor(random() * values.length)]!;
}

/** A value that a schema allows. */
export function valueOf(schema: Json, document: Json, random: Random): Json {
  const of = (inner: Json) => valueOf(inner, document, random);
  if (schema.$ref) return of(document.components.schemas[schema.$ref.split("/").at(-1)]);
  const choices = schema.anyOf ?? schema.oneOf;
  if (choices && schema.properties) {
    const { required } = pick<Json>(random, choices);
    const others = choices.flatMap((choice: Json) => choice.required);
    const left = Object.entries(schema.properties).filter(([name]) =>
      required.includes(name) || !others.includes(name)
    );
    return of({
      type: "object",
      properties: Object.fromEntries(left),
      required: [...schema.required ?? [], ...required],
    });
  }
  if (choices) return of(pick(random, choices));
  if (schema.allOf) return Object.assign({}, ...schema.allOf.map(of));
  if (schema.enum) return pick(random, schema.enum);
  if ("const" in schema) return schema.const;
  switch (Array.isArray(schema.type) ? pick(random, schema.type) : schema.type) {
    case "string":
      return stringOf(schema, random);
    case "integer":
    case "number":
      return Math.max(
        schema.minimum ?? 1,
        Math.min(schema.maximum ?? 4, 1 + Math.floor(random() * 4)),
      );
    case "boolean":
      return random() < 0.5;
    case "array":
      return Array.from(
        { length: Math.max(1, schema.minItems ?? 1) },
        () => of(schema.items ?? {}),
      );
    case "object":
      return Object.fromEntries(
        Object.entries(schema.properties ?? {})
          .filter(([name]) => schema.required?.includes(name) || random() < 0.25)
          .map(([name, inner]) => [name, of(inner)]),
      );
    default:
      return null;
  }
}

const STRINGS = [
  "7",
  "a-star_1",
  "https://a.example/hook",
  "2100-01-01T00:00:00Z",
  "auto",
  "a star",
];

function stringOf({ pattern, format }: Json, random: Random): string {
  if (format === "uri") return STRINGS[2]!;
  if (format === "date-time") return STRINGS[3]!;
  const fitting = STRINGS.filter((text) => pattern === undefined || new RegExp(pattern).test(text));
  return pick(random, fitting.length > 0 ? fitting : STRINGS);
}

const deep = (depth: number) => {
  let value: Json = 1;
  for (let i = 0; i < depth; i++) value = i % 2 ? [value] : { a: value };
  return value;
};

/** Values that nobody expects. */
const ODD: readonly Json[] = [
  null,
  true,
  0,
  -1,
  1.5,
  2 ** 53,
  -1e308,
  1e308,
  "",
  "\u0000",
  "\ud800",
  "\u202e\r\n\r\n",
  "../../etc/passwd",
  "x".repeat(5000),
  "9".repeat(500),
  [],
  {},
  [[[]]],
  deep(500),
  { constructor: { prototype: { x: 1 } } },
  JSON.parse(`{"__proto__": {"prompt": "a"}}`),
  Array(2000).fill("a"),
];

/** A value with one part of it spoilt. */
function spoilt(value: Json, random: Random): Json {
  if (value === null || typeof value !== "object" || random() < 0.1) return pick(random, ODD);
  const copy = structuredClone(value);
  const keys = Object.keys(copy);
  const key = pick(random, keys) ?? "prompt";
  switch (Math.floor(random() * 4)) {
    case 0:
      delete copy[key];
      return copy;
    case 1:
      copy[pick(random, ["__proto__x", "", "a.b", "n\u0000", "constructor", "toString"])] = pick(
        random,
        ODD,
      );
      return copy;
    default:
      copy[key] = spoilt(copy[key], random);
      return copy;
  }
}

const SEGMENTS = [
  "nowhere",
  "%2e%2e%2fetc",
  "%00",
  "%zz",
  "%ff",
  "%E2%82%AC",
  "a%20b",
  "__proto__",
  "x".repeat(3000),
  "'%22;--",
  "a%0d%0ab",
];

/** A request for an operation, most often spoilt in some way. `known` are values that parameters may well have. */
export function requestFor(
  { path, method, parameters, bodies }: Operation,
  document: Json,
  known: Readonly<Record<string, readonly string[]>>,
  random: Random,
): Request {
  const url = new URL(
    path.replaceAll(
      /\{(\w+)\}/g,
      (_, name) => pick(random, random() < 0.7 && known[name] ? known[name] : SEGMENTS),
    ),
    "http://localhost",
  );
  const headers = new Headers();
  for (const { name, in: place, schema } of parameters) {
    if (place === "path" || random() < 0.6) continue;
    const odd = pick(random, ["", "0", "-1", "1e9", "x".repeat(300), "wait=1;wait=2", "null"]);
    const value = random() < 0.5 ? String(valueOf(schema, document, random)) : odd;
    if (place === "query") url.searchParams.append(name, value);
    if (place === "header") headers.set(name, value);
  }
  if (random() < 0.1) headers.set("Accept", pick(random, ["text/event-stream", "*/*;q=x", "\xff"]));
  if (random() < 0.1) {
    headers.set("Prefer", pick(random, ["wait", "wait=0", "wait=x", "respond-async"]));
  }
  const verb = random() < 0.05
    ? pick(random, ["PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"])
    : method;
  if (verb === "GET" || verb === "HEAD") return new Request(url, { method: verb, headers });
  const [type, body] = bodyFor(bodies, document, random);
  if (type !== undefined) headers.set("Content-Type", type);
  return new Request(url, { method: verb, headers, body });
}

const TYPES = [
  undefined,
  "",
  "text/plain",
  "application/json; charset=utf-16",
  "application/x-www-form-urlencoded",
  "multipart/form-data",
  "multipart/form-data; boundary=json",
  "application/xml",
  "\xff/\xff",
];

function bodyFor(
  bodies: Operation["bodies"],
  document: Json,
  random: Random,
): [type: string | undefined, body: Uint8Array<ArrayBuffer>] {
  const [declared, schema] = pick(random, Object.entries(bodies)) ?? ["application/json", {}];
  let value = valueOf(schema, document, random);
  for (let k = Math.floor(random() * 3); k > 0; k--) value = spoilt(value, random);
  const isForm = declared !== "application/json" && value !== null && typeof value === "object";
  const text = isForm
    ? new URLSearchParams(Object.entries(value).map(([name, part]) => [name, String(part)]))
      .toString()
    : random() < 0.02
    ? "[".repeat(200_000)
    : JSON.stringify(value);
  const bytes = new TextEncoder().encode(text);
  const type = isForm ? "application/x-www-form-urlencoded" : "application/json";
  return [
    random() < 0.1 ? pick(random, TYPES) : type,
    random() < 0.1 && bytes.length > 8 ? mutate(bytes, random) : bytes,
  ];
}
