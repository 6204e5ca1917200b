/** The fields of requests, the same in every protocol: null is absent, and what is wrong is one sentence. */
import { z } from "../../deps/zod_openapi.ts";
import { fieldName, hasToBe } from "./sentences.ts";

/**
 * An object with these fields and no others. A field that may be left out may be null as well, which is the same.
 *
 * @param error Said where it is no object.
 */
export function fields<S extends z.ZodRawShape>(
  shape: S,
  error?: ReturnType<typeof hasToBe>,
): z.ZodObject<S, z.core.$strict> {
  return z.strictObject(nullIsAbsent(shape), error && { error });
}

/** As {@linkcode fields}, where others are let be: envelopes, to which platforms add what they like. */
export function openFields<S extends z.ZodRawShape>(shape: S): z.ZodObject<S, z.core.$strip> {
  return z.object(nullIsAbsent(shape));
}

/** What is parsed is as the shape says: the null is gone by then. */
function nullIsAbsent<S extends z.ZodRawShape>(shape: S): S {
  const all = Object.entries(shape) as [string, z.ZodType][];
  return Object.fromEntries(
    all.map(([name, schema]) => [name, mayBeAbsent(schema) ? orNull(schema) : schema]),
  ) as z.ZodRawShape as S;
}

function mayBeAbsent(schema: z.ZodType): boolean {
  return schema.safeParse(undefined).success;
}

function orNull(schema: z.ZodType): z.ZodType {
  return schema.nullable().transform((value) => value === null ? schema.parse(undefined) : value);
}

/** A whole number with bounds. */
export function wholeNumber(min: number, max: number) {
  const error = hasToBe(`a whole number from ${min} to ${max}`);
  return z.int({ error }).min(min, { error }).max(max, { error });
}

/** A multiple of a number, which is not 0. */
export function multipleOf(step: number, max: number) {
  const error = hasToBe(`a multiple of ${step} up to ${max}`);
  return z.int({ error }).min(step, { error }).max(max, { error }).multipleOf(step, { error })
    // What describes schemas passes over it.
    .openapi({ multipleOf: step });
}

/** Forms and addresses hold text alone: a number that is written there is one. */
export function written<S extends z.ZodType>(schema: S) {
  return z.preprocess(
    (value) =>
      typeof value === "string" && /^-?\d{1,20}(\.\d{1,20})?$/.test(value) ? Number(value) : value,
    schema,
  );
}

/** The same of what is true or false. */
export function writtenBoolean<S extends z.ZodType>(schema: S) {
  return z.preprocess(
    (value) => value === "true" ? true : value === "false" ? false : value,
    schema,
  );
}

/** Where something is to be sent. */
export function httpAddress(longest: number) {
  const error = hasToBe(
    `an address of at most ${longest} letters that begins with http:// or https://`,
  );
  return z.url({ protocol: /^https?$/, error }).max(longest, { error });
}

/** A number with bounds. */
export function numberFrom(min: number, max: number) {
  const error = hasToBe(`a number from ${min} to ${max}`);
  return z.number({ error }).min(min, { error }).max(max, { error });
}

/** Text for people and models. */
export function text(min: number, max: number) {
  const error = hasToBe(`text of ${min === 0 ? "at most" : `${min} to`} ${max} letters`);
  return z.string({ error }).min(min, { error }).max(max, { error }).refine(isText, {
    // Files and other programs cannot hold it: a picture would not be that of its own prompt.
    error: ({ path = [] }) =>
      `${fieldName(path)} has a character that is none (NUL, or half of one): leave it out.`,
  });
}

function isText(value: string): boolean {
  return value.isWellFormed() && !value.includes("\0");
}
