/**
 * Reads a JSON object field by field. Every error names the file, the field's path, the value it
 * has and the value it needs; a field that nobody asked for is an error as well.
 */

import { MdmError } from "../errors.ts";
import { isJsonObject, type JsonObject } from "./json_object.ts";

export interface Range {
  readonly min: number;
  readonly max: number;
}

export class JsonFields {
  readonly #object: JsonObject;
  readonly #asked = new Set<string>();

  /**
   * @param value the parsed JSON
   * @param path where in the file it stands, `""` at the top
   * @param source the file's name
   * @param failure how messages begin
   * @throws {MdmError} when the value is not an object
   */
  constructor(
    value: unknown,
    readonly path: string,
    readonly source: string,
    private readonly failure = `Cannot load "${source}"`,
  ) {
    if (!isJsonObject(value)) {
      if (path === "") throw new MdmError(`${failure}: it must hold a JSON object.`);
      throw wrongField(failure, path, value, "an object");
    }
    this.#object = value;
  }

  /** The value as it is; `undefined` where it is absent or null. */
  get(name: string): unknown {
    return this.raw(name, undefined) ?? undefined;
  }

  /** The value as it is, null as well. */
  raw(name: string, fallback: unknown): unknown {
    this.#asked.add(name);
    return Object.hasOwn(this.#object, name) ? this.#object[name] : fallback;
  }

  has(name: string): boolean {
    return this.get(name) !== undefined;
  }

  /** Accepts fields that do not matter here. */
  ignore(...names: string[]): void {
    for (const name of names) this.#asked.add(name);
  }

  child(name: string): JsonFields {
    return new JsonFields(this.get(name), this.#pathOf(name), this.source, this.failure);
  }

  /** An integer in a range, both ends included; without a `fallback` it must be there. */
  integer(name: string, range: Range, fallback?: number): number {
    const value = this.get(name) ?? fallback;
    return isInteger(value, range) ? value : this.fail(name, `an integer ${describe(range)}`);
  }

  /** A number in a range, both ends included. */
  number(name: string, range: Range, fallback: number): number {
    const value = this.get(name) ?? fallback;
    const valid = typeof value === "number" && value >= range.min && value <= range.max;
    return valid ? value : this.fail(name, `a number ${describe(range)}`);
  }

  /** A number that `accepts` takes, which is `need`: null is none. */
  numberThat(
    name: string,
    fallback: number,
    need: string,
    accepts: (value: number) => boolean,
  ): number {
    const value = this.raw(name, fallback);
    const valid = typeof value === "number" && Number.isFinite(value) && accepts(value);
    return valid ? value : this.fail(name, need);
  }

  /** What a name stands for in a table, in small letters or capitals. */
  oneOf<T>(name: string, fallback: NoInfer<T>, table: Readonly<Record<string, T>>): T {
    const value = this.get(name);
    if (value === undefined) return fallback;
    const key = typeof value === "string" ? value.toUpperCase() : "";
    if (Object.hasOwn(table, key)) return table[key]!;
    return this.fail(name, `one of ${Object.keys(table).map((key) => `"${key}"`).join(", ")}`);
  }

  /** A flag; the reference writes some as 0 and 1. */
  boolean(name: string, fallback: boolean): boolean {
    const value = this.get(name) ?? fallback;
    if (value === true || value === 1) return true;
    if (value === false || value === 0) return false;
    return this.fail(name, "true or false");
  }

  string(name: string): string | undefined {
    const value = this.get(name);
    if (value === undefined || typeof value === "string") return value;
    return this.fail(name, "a string");
  }

  /**
   * Integers, written as a list or with commas ("1,2"). With `length` the list must have as many,
   * and a single number stands for all of them.
   */
  integers(name: string, range: Range, fallback: string, length?: number): number[] {
    const value = this.get(name) ?? fallback;
    const single = !Array.isArray(value) && !String(value).includes(",");
    let list = Array.isArray(value) ? value : splitNumbers(value);
    if (single && length !== undefined && list.length === 1) {
      list = new Array(length).fill(list[0]);
    }
    if (!list.every((item) => isInteger(item, range))) {
      return this.fail(name, `integers ${describe(range)}`);
    }
    if (length !== undefined && list.length !== length) {
      return this.fail(name, `${length} integers, one a resolution`);
    }
    return list;
  }

  /** Throws what is wrong with a field: it is `value`, it must be `need`. */
  fail(name: string, need: string): never {
    const value = Object.hasOwn(this.#object, name) ? this.#object[name] : undefined;
    throw wrongField(this.failure, this.#pathOf(name), value, need);
  }

  /** @throws {MdmError} when the object has a field that nobody asked for */
  rejectUnknown(): void {
    const unknown = Object.keys(this.#object).find((name) => !this.#asked.has(name));
    if (unknown === undefined) return;
    throw new MdmError(
      `${this.failure}: "${this.#pathOf(unknown)}" is not a known field. Remove it.`,
    );
  }

  #pathOf(name: string): string {
    return this.path === "" ? name : `${this.path}.${name}`;
  }
}

function wrongField(failure: string, path: string, value: unknown, need: string): MdmError {
  // JSON has no text for the numbers that Python's has.
  const text = typeof value === "number" ? String(value) : JSON.stringify(value);
  const is = value === undefined ? "is missing" : `is ${shorten(text)}`;
  return new MdmError(`${failure}: "${path}" ${is} but must be ${need}.`);
}

function shorten(text: string): string {
  return text.length <= 60 ? text : `${text.slice(0, 57)}...`;
}

function describe({ min, max }: Range): string {
  return `from ${min} to ${max}`;
}

function isInteger(value: unknown, { min, max }: Range): value is number {
  return Number.isInteger(value) && (value as number) >= min && (value as number) <= max;
}

/** "1, 2" to [1, 2]; what is not a number stays what it is, for the check that follows. */
function splitNumbers(value: unknown): unknown[] {
  if (typeof value !== "string") return [value];
  if (value === "") return [];
  return value.split(",").map((item) => /^\s*-?\d+\s*$/.test(item) ? Number(item) : item);
}
