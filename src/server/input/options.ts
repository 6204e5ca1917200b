/** The generation parameters as protocols take them from JSON. Descriptions are the API's documentation. */
import { createHash, randomBytes } from "node:crypto";
import { z } from "../../deps/zod_openapi.ts";
import type { JobRequest } from "../../jobs/job.ts";
import type { Jobs } from "../../jobs/jobs.ts";
import { IMAGE_FORMATS, type OutputFormat, VIDEO_FORMATS } from "../../media/output_format.ts";
import {
  allowedValues,
  type Naming,
  type Parameter,
  PARAMETER_ENTRIES,
  type ParameterName,
  PARAMETERS,
  type ParameterType,
  parseSeed,
  SEED_PATTERN,
  SEEDS,
} from "../../pipeline/parameters.ts";
import { fields, multipleOf, numberFrom, text, wholeNumber } from "./fields.ts";
import { hasToBe } from "./sentences.ts";

/** What decides which values may be given. */
export type Offer = Pick<Jobs, "model" | "limits" | "defaults">;

/** A value of a parameter in JSON. */
type JsonValue<T extends ParameterType> = T extends { readonly choices: infer Choices }
  ? string & keyof Choices
  : T extends { readonly kind: infer Kind extends keyof JsonKinds } ? JsonKinds[Kind]
  : never;

interface JsonKinds {
  readonly text: string;
  readonly integer: number;
  readonly number: number;
  readonly boolean: boolean;
  readonly seed: number | string;
  readonly size: number;
  readonly interval: number[];
  readonly cache: { every: number } | { error: number };
  readonly format: OutputFormat;
}

type JsonOf<Name extends ParameterName> = JsonValue<typeof PARAMETERS[Name]["type"]>;

/** What a protocol calls a parameter; never: it does not take it. */
type NameIn<N extends Naming, Name extends ParameterName> = typeof PARAMETERS[Name]["names"] extends
  { readonly [Key in N]: infer Known extends string } ? Known : never;

/** The fields of a protocol's requests, each of which may be left out. */
export type OptionShape<N extends Naming> = {
  [Name in Exclude<ParameterName, "prompt"> as NameIn<N, Name>]: z.ZodOptional<
    z.ZodType<N extends "native" ? JsonOf<Name> : unknown>
  >;
};

/** Parameters by their own names, of which any may be left out; what is chosen has its native name. */
export type Options = {
  readonly [Name in Exclude<ParameterName, "prompt" | "batch">]?: JsonOf<Name> | undefined;
};

/** What a prompt may be. */
export function promptField({ limits }: Offer) {
  return text(PARAMETERS.prompt.type.min, limits.promptLength)
    .describe(`${PARAMETERS.prompt.description}.`);
}

/**
 * The fields that a protocol has for parameters, but for the prompt.
 *
 * @param wrap What becomes of each, where values come in another form than as JSON.
 */
export function optionShape<N extends Naming>(
  naming: N,
  offer: Offer,
  wrap: (schema: z.ZodType, type: ParameterType) => z.ZodType = (schema) => schema,
): OptionShape<N> {
  const shape = takenIn(naming).map(([name, { type }, called]) =>
    [called, wrap(optionField(name, naming, offer).optional(), type)] as const
  );
  return Object.fromEntries(shape) as OptionShape<N>;
}

/** The field of one parameter. Its description says what is taken where nothing is said; the core fills it in, in every protocol. */
export function optionField<Name extends ParameterName>(
  name: Name,
  naming: Naming,
  offer: Offer,
): z.ZodType<JsonOf<Name>> {
  const parameter: Parameter = PARAMETERS[name];
  const { type, otherwise } = parameter;
  const standard = defaultOf(name, offer);
  const without = standard === undefined && otherwise !== undefined
    ? ` Without it: ${otherwise}.`
    : "";
  const schema = valueSchema(type, naming, offer);
  return schema.meta({
    ...schema.meta(),
    description: `${describe(parameter, naming)}.${without}`,
    ...standard !== undefined && { default: defaultIn(type, naming, standard) },
  }) as z.ZodType<JsonOf<Name>>;
}

/** What the fields of a protocol say; other fields are left out. */
export function optionsIn(naming: Naming, body: Readonly<Record<string, unknown>>): Options {
  const given = takenIn(naming).flatMap(([name, { type }, called]) => {
    const value = body[called];
    return value === undefined ? [] : [[name, fromJson(type, naming, value)] as const];
  });
  return Object.fromEntries(given);
}

/** The prompts and parameters of a job as they are posted to `/jobs`. */
export function nativeJson({ prompts, ...request }: JobRequest): Record<string, unknown> {
  const given: Readonly<Record<string, unknown>> = request;
  const known = takenIn("native").flatMap(([name, { type }, called]) => {
    const value = given[name];
    return value === undefined ? [] : [[called, toJson(type, value)] as const];
  });
  return { prompts, ...Object.fromEntries(known) };
}

/**
 * What is asked for, as jobs have it.
 *
 * @param key The id or the idempotency key that the client gave: where it gives no seed, the same key has to give the same request.
 */
export function jobRequest(prompts: readonly string[], options: Options, key?: string): JobRequest {
  const { count, seed, levels, preview } = options;
  const given: Readonly<Record<string, unknown>> = options;
  const values = PARAMETER_ENTRIES.flatMap(([name, { type }]) => {
    const value = given[name];
    if (value === undefined) return [];
    return [[name, type.kind === "choice" ? type.choices[value as string] : value] as const];
  });
  return {
    ...Object.fromEntries(values),
    prompts,
    count: count ?? PARAMETERS.count.default,
    seed: seed === undefined ? drawSeed(key) : BigInt(seed).toString(),
    levels: levels ?? PARAMETERS.levels.default,
    preview: preview ?? PARAMETERS.preview.default,
  };
}

/** What files of a model can be written as, what is taken where nobody says first. */
export function formatsOf({ makes }: Offer["model"]): readonly OutputFormat[] {
  return makes === "videos" ? VIDEO_FORMATS : IMAGE_FORMATS;
}

/** What is taken where a request does not say; undefined: it depends. */
export function defaultOf(name: ParameterName, { defaults }: Pick<Offer, "defaults">): unknown {
  const own: Parameter = PARAMETERS[name];
  return Object.hasOwn(defaults, name) ? defaults[name as keyof typeof defaults] : own.default;
}

/** The largest value of a whole number here. */
export function mostOf(
  { max, limit }: Extract<ParameterType, { kind: "integer" }>,
  { limits }: Offer,
): number {
  return limit === undefined ? max : limits[limit];
}

/** The largest size here. */
export function largestSize({ limits }: Offer): number {
  return Math.floor(Math.sqrt(limits.pixels));
}

/** What may be chosen, by the names that a protocol has for it. */
export function choicesIn(
  type: Extract<ParameterType, { kind: "choice" }>,
  naming: Naming,
): Readonly<Record<string, string>> {
  if (naming === "serverless" && type.serverless !== undefined) return type.serverless;
  return Object.fromEntries(Object.keys(type.choices).map((name) => [name, name]));
}

/** Parameters that a protocol takes, with the names that they have there. */
function takenIn(naming: Naming) {
  return PARAMETER_ENTRIES.flatMap(([name, parameter]) => {
    const called = parameter.names[naming];
    return called === undefined || name === "prompt" ? [] : [[name, parameter, called] as const];
  });
}

function valueSchema(type: ParameterType, naming: Naming, offer: Offer): z.ZodType {
  switch (type.kind) {
    case "text":
      return text(type.min, offer.limits.promptLength);
    case "integer":
      return wholeNumber(type.min, mostOf(type, offer));
    case "number":
      return numberFrom(type.min, type.max);
    case "boolean":
      return z.boolean();
    case "choice":
      return z.enum(Object.keys(choicesIn(type, naming)));
    case "seed":
      return seed();
    case "size":
      return multipleOf(offer.model.sizeStep, largestSize(offer));
    case "interval":
      return interval(type);
    case "cache":
      return cache(offer.limits.steps);
    case "format": {
      // Models on Replicate say "jpg".
      const more = naming === "serverless" ? ["jpg"] : [];
      return z.enum([...formatsOf(offer.model), ...more]);
    }
  }
}

function describe({ type, description }: Parameter, naming: Naming): string {
  if (type.kind !== "choice" || type.meanings === undefined) return description;
  const meanings = Object.entries(choicesIn(type, naming))
    .map(([called, name]) => `"${called}": ${type.meanings![name]}`);
  return `${description}. ${meanings.join("; ")}`;
}

/** A default as the protocol writes it. */
function defaultIn(type: ParameterType, naming: Naming, value: unknown): unknown {
  if (type.kind !== "choice") return value;
  return Object.entries(choicesIn(type, naming)).find(([, name]) => name === value)?.[0];
}

/** A value of a protocol with the name that it has natively. */
function fromJson(type: ParameterType, naming: Naming, value: unknown): unknown {
  if (type.kind === "choice") return choicesIn(type, naming)[value as string];
  return type.kind === "format" && value === "jpg" ? "jpeg" : value;
}

/** A value of a job with the name that it has natively. */
function toJson(type: ParameterType, value: unknown): unknown {
  if (type.kind !== "choice") return value;
  return Object.entries(type.choices).find(([, known]) => known === value)?.[0];
}

function interval(type: ParameterType) {
  const error = hasToBe(allowedValues(type));
  return z.array(numberFrom(0, 1), { error }).min(2, { error, abort: true }).max(2, {
    error,
    abort: true,
  }).refine(([low, high]) => low! <= high!, { error });
}

function cache(steps: number) {
  const none = z.null().optional();
  return z.union([
    fields({ every: wholeNumber(1, steps), error: none }),
    fields({ every: none, error: z.number().min(0) }),
  ], { error: hasToBe(`{"every": steps}, with 1 to ${steps}, or {"error": share}`) })
    .transform(({ every, error }) => every == null ? { error: error! } : { every });
}

function seed() {
  const error = hasToBe(
    "a whole number from 0 to 2^64 - 1, one above 2^53 - 1 as a string of digits",
  );
  const numbers = z.int({ error }).min(0, { error }).max(Number.MAX_SAFE_INTEGER, { error });
  const digits = z.string({ error }).regex(new RegExp(`^${SEED_PATTERN}$`), { error, abort: true })
    .refine((value) => parseSeed(value)! < SEEDS, { error });
  return z.union([numbers, digits], { error }).meta({ examples: [7] });
}

/** Of 32 bits, which people can type. */
function drawSeed(key: string | undefined): string {
  const bytes = key === undefined ? randomBytes(4) : createHash("sha256").update(key).digest();
  return String(bytes.readUInt32LE());
}
