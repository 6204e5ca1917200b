/** The check of what a program gives the library: whatever is wrong is one sentence. */
import type { GuidanceInterval } from "../diffusion/guidance.ts";
import { unknownOption, wrongArgument } from "../check_arguments.ts";
import { UsageError } from "../errors.ts";
import { isJsonObject } from "../json/json_object.ts";
import { shown } from "../quoted.ts";
import { meantName } from "./parameter_names.ts";
import {
  allowedValues,
  type Parameter,
  type ParameterType,
  SAMPLING,
  SEEDS,
  SUBJECT,
} from "./parameters.ts";

/** Said where there is nothing to make an image of. */
export const NO_PROMPT = "No prompt was given: give at least one.";

const TABLE: Readonly<Record<string, Parameter>> = { ...SUBJECT, ...SAMPLING };

/** What a request may have. */
const KNOWN = [...Object.keys(TABLE), "textFeatures", "signal"];

/**
 * Checks the fields of a request: their names, and which values they have. What a model can do is another thing.
 *
 * @throws {UsageError} When one is not known or has a value that it cannot have.
 */
export function checkRequest(request: unknown): void {
  if (!isJsonObject(request)) {
    throw new UsageError(`Cannot make ${shown(request)}: give { prompt: "a red circle" }.`);
  }
  const { prompt, textFeatures, signal, ...parameters } = request;
  for (const [name, value] of Object.entries(parameters)) {
    const parameter = Object.hasOwn(TABLE, name) ? TABLE[name] : undefined;
    if (parameter === undefined) throw unknownOption(name, KNOWN, meantName(name, KNOWN));
    if (value !== undefined) checkValue(name, parameter.type, value);
  }
  if (prompt === undefined) throw new UsageError(NO_PROMPT);
  if (![prompt].flat().every((each) => typeof each === "string")) {
    throw wrongArgument("prompt", prompt, "text, or a list of texts");
  }
  if (textFeatures !== undefined && typeof textFeatures !== "string") {
    throw wrongArgument("textFeatures", textFeatures, "the path of a safetensors file");
  }
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    throw wrongArgument("signal", signal, "an AbortSignal");
  }
}

/** @throws {UsageError} When a parameter cannot have a value. */
export function checkValue(name: string, type: ParameterType, value: unknown): void {
  if (isValue(type, value)) return;
  const names = type.kind === "choice" ? Object.values(type.choices) : [];
  const meant = typeof value === "string" ? meantName(value, names) : undefined;
  const advice = meant === undefined ? "" : ` Did you mean "${meant}"?`;
  throw wrongArgument(name, value, allowedValues(type), advice);
}

/** Whether a parameter can have a value, as far as the table says. */
export function isValue(type: ParameterType, value: unknown): boolean {
  return isType(type, value) && isInRange(type, value);
}

/** Whether a value is of the type that a parameter's values have, whatever its range. */
export function isType(type: ParameterType, value: unknown): boolean {
  switch (type.kind) {
    case "text":
    case "format":
      return typeof value === "string";
    case "integer":
    case "number":
    case "size":
      return typeof value === "number";
    case "boolean":
      return typeof value === "boolean";
    case "choice":
      return Object.values(type.choices).some((choice) => choice === value);
    case "seed":
      return typeof value === "number" || typeof value === "bigint";
    case "interval":
      return Array.isArray(value) && value.length === 2 &&
        value.every((end) => typeof end === "number");
    case "cache":
      return isCache(value);
  }
}

/** @param value One of the type. */
function isInRange(type: ParameterType, value: unknown): boolean {
  switch (type.kind) {
    case "integer":
      return Number.isInteger(value) && isBetween(value as number, type.min, type.max);
    case "number":
      return isBetween(value as number, type.min, type.max);
    case "size":
      return Number.isInteger(value);
    case "seed":
      return isSeed(value as number | bigint);
    case "interval": {
      const [low, high] = value as GuidanceInterval;
      return low >= 0 && low <= high && high <= 1;
    }
    default:
      return true;
  }
}

function isBetween(value: number, min: number, max: number): boolean {
  return value >= min && value <= max;
}

function isSeed(value: number | bigint): boolean {
  return (typeof value === "bigint" || Number.isInteger(value)) && value >= 0 && value < SEEDS;
}

/** Whether it says when inner UNets are run, in one way. */
function isCache(value: unknown): boolean {
  if (!isJsonObject(value)) return false;
  const [entry, ...more] = Object.entries(value);
  return entry !== undefined && more.length === 0 && ["every", "error"].includes(entry[0]) &&
    typeof entry[1] === "number";
}
