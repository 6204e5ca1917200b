/** The generation parameters as options: of commands that make images, and of those that serve. */
import type { FeatureCache } from "../../diffusion/feature_cache.ts";
import type { GuidanceInterval } from "../../diffusion/guidance.ts";
import { SAMPLERS } from "../../diffusion/samplers/mod.ts";
import { UsageError } from "../../errors.ts";
import type { RequestDefaults } from "../../jobs/job.ts";
import {
  allowedValues,
  type Flag,
  type GivenParameters,
  type Parameter,
  PARAMETER_ENTRIES,
  PARAMETERS,
  type ParameterType,
  parseSeed,
  SAMPLING,
} from "../../pipeline/parameters.ts";
import { quoted } from "../../quoted.ts";
import { integer, number, oneOf, type Option } from "./options.ts";

/** What the options of a command are for. */
export type ParameterUse =
  /** They are the request. */
  | "request"
  /** They stand for what requests leave out. */
  | "defaults"
  /** They change a request that there is. */
  | "changes";

/** The option of a parameter, by its name without dashes. */
export interface ParameterOption extends Option {
  readonly long: ParameterFlag;
}

type ParameterFlag = typeof PARAMETERS[keyof typeof PARAMETERS] extends infer P
  ? P extends { readonly flags: readonly { readonly long: infer Long extends string }[] } ? Long
  : never
  : never;

/** The options of all parameters that a command takes. */
export function parameterOptions(use: ParameterUse): readonly ParameterOption[] {
  return PARAMETER_ENTRIES.filter(([name, parameter]) => isTaken(name, parameter, use))
    .flatMap(([, parameter]) =>
      (parameter.flags ?? []).map((flag) => optionOf(parameter, flag, use))
    );
}

/** The values of options that were typed. */
type Typed = Readonly<Record<string, string | boolean | undefined>>;

/**
 * What the options say.
 *
 * @throws {UsageError} When a parameter cannot have a value that was typed.
 */
export function givenParameters(typed: Typed): GivenParameters {
  const given = PARAMETER_ENTRIES.map(([name, { type, flags = [] }]) =>
    [name, readParameter(type, flags, typed)] as const
  );
  return Object.fromEntries(given.filter(([, value]) => value !== undefined));
}

/**
 * What a server takes where a request does not say.
 *
 * @throws {UsageError} When a request that says nothing would be over the limits.
 */
export function requestDefaults(
  typed: Typed,
  limits: { readonly steps: number; readonly promptLength: number },
): RequestDefaults {
  const defaults: RequestDefaults = givenParameters(typed);
  checkLimits(defaults, limits);
  return defaults;
}

function isTaken(name: string, { serverDefault }: Parameter, use: ParameterUse): boolean {
  switch (use) {
    case "request":
      return true;
    case "defaults":
      return serverDefault === true;
    case "changes":
      return name === "seed" || Object.hasOwn(SAMPLING, name);
  }
}

function optionOf(parameter: Parameter, flag: Flag, use: ParameterUse): ParameterOption {
  const { long, short, value } = flag;
  const description = describe(parameter, flag);
  const option = {
    long: long as ParameterFlag,
    ...short !== undefined && { short },
    ...value !== undefined && { value },
  };
  const standard = parameter.default === undefined ? undefined : String(parameter.default);
  const otherwise = parameter.otherwise ?? standard;
  const without = otherwise === undefined || flag.description !== undefined
    ? ""
    : `. Without it: ${otherwise}`;
  switch (use) {
    case "request":
      return value !== undefined && standard !== undefined
        ? { ...option, description, default: standard }
        : { ...option, description: description + without };
    case "defaults":
      return {
        ...option,
        description: `For requests without one: ${begun(description)}${without}`,
      };
    case "changes":
      return { ...option, description: `Instead of the PNG's: ${begun(description)}` };
  }
}

function describe({ type, description }: Parameter, flag: Flag): string {
  if (flag.description !== undefined) return flag.description;
  if (type.kind !== "choice") return description;
  const meaning = (name: string) => type.meanings?.[name];
  const names = Object.keys(type.choices);
  return names.some(meaning)
    ? `${description}. ${names.map((name) => `${name}: ${meaning(name)}`).join("; ")}`
    : `${description}: ${names.join(", ")}`;
}

/** A sentence that goes on after a colon; names that begin with capitals stay. */
function begun(sentence: string): string {
  return /^[A-Z][a-z]/.test(sentence) ? sentence[0]!.toLowerCase() + sentence.slice(1) : sentence;
}

function readParameter(type: ParameterType, flags: readonly Flag[], typed: Typed): unknown {
  const [flag] = flags;
  if (flag === undefined) return undefined;
  if (type.kind === "cache") return readCache(flags, typed);
  const value = typed[flag.long];
  // A flag that is not typed is false.
  if (typeof value !== "string") return value === true ? true : undefined;
  const name = `--${flag.long}`;
  switch (type.kind) {
    case "text":
    case "format":
    case "boolean":
      return value;
    case "integer":
      return integer(value, { name, min: type.min, max: type.max });
    case "number":
      return number(value, { name, min: type.min, max: type.max });
    case "choice":
      return type.choices[oneOf(value, { name, names: Object.keys(type.choices) })];
    case "seed":
      return parseSeed(value) ?? refuse(name, allowedValues(type), value);
    case "size":
      return integer(value, { name, min: 1 });
    case "interval":
      return readInterval(value) ??
        refuse(name, `${allowedValues(type)}, as in "0.2,0.8"`, value);
  }
}

/** Two numbers with a comma between; null: they are none. */
function readInterval(value: string): GuidanceInterval | null {
  const ends = value.split(",").map((end) => /^[\d.]+$/.test(end) ? Number(end) : NaN);
  const [low = NaN, high = NaN] = ends;
  return ends.length === 2 && low >= 0 && low <= high && high <= 1 ? [low, high] : null;
}

/** When inner UNets are run. */
function readCache(flags: readonly Flag[], typed: Typed): FeatureCache | undefined {
  const [every, error] = flags.map(({ long }) => ({ name: `--${long}`, value: typed[long] }));
  if (typeof every?.value === "string" && typeof error?.value === "string") {
    throw new UsageError(`Give ${every.name} or ${error.name}, not both.`);
  }
  if (typeof every?.value === "string") {
    const { min, max } = PARAMETERS.steps.type;
    return { every: integer(every.value, { name: every.name, min, max }) };
  }
  if (typeof error?.value !== "string") return undefined;
  return { error: number(error.value, { name: error.name, min: 0 }) };
}

function refuse(name: string, allowed: string, value: string): never {
  throw new UsageError(`Option "${name}" needs ${allowed}, not ${quoted(value)}.`);
}

function checkLimits(
  { steps, sampler, negative = "" }: RequestDefaults,
  limits: { readonly steps: number; readonly promptLength: number },
): void {
  if (steps !== undefined && steps > limits.steps) {
    throw new UsageError(
      `Option "--steps" gives ${steps}, but ${limits.steps} are the most that may be asked for: give fewer, or a larger --max-steps.`,
    );
  }
  const own = sampler && SAMPLERS[sampler].defaultSteps;
  if (steps === undefined && own !== undefined && own > limits.steps) {
    throw new UsageError(
      `Option "--sampler ${sampler}" takes ${own} steps, but ${limits.steps} are the most that may be asked for: give --steps as well, or a larger --max-steps.`,
    );
  }
  if (negative.length > limits.promptLength) {
    throw new UsageError(
      `Option "--negative" has ${negative.length} letters, but ${limits.promptLength} are the most that may be asked for: say it in fewer words, or give a larger --max-prompt.`,
    );
  }
}
