/**
 * The options of a command, declared once: from the declaration come parsing with typed values,
 * error messages that say what to do, and the help text.
 */

import { parseArgs } from "node:util";
import { UsageError } from "../../errors.ts";
import { nearest } from "../../nearest.ts";

export interface Option {
  /** The name without dashes: "steps". */
  readonly long: string;
  /** One letter: "n". */
  readonly short?: string;
  /** What stands for the value in the help text ("N"); without it the option is a flag. */
  readonly value?: string;
  readonly description: string;
  /** The value where the option is not given. */
  readonly default?: string;
}

export interface Example {
  /** What the example is good for. */
  readonly description: string;
  /** What to type: "mdm generate 'a red circle'". */
  readonly command: string;
}

/** Declare with `as const satisfies Command`, so that {@linkcode parse} knows the names. */
export interface Command {
  /** What is typed before the options: "mdm generate". */
  readonly name: string;
  /** One line without a full stop. */
  readonly summary: string;
  /** What follows the name: "PROMPT... [options]". */
  readonly usage: string;
  readonly options: readonly Option[];
  readonly examples: readonly Example[];
}

/**
 * A string where the option takes a value (undefined: not given), else whether it was given; either where the declaration's type does
 * not say.
 */
export type Values<C extends Command> =
  & {
    [O in C["options"][number] as O["long"]]: O extends { value: string }
      ? O extends { default: string } ? string : string | undefined
      : "value" extends keyof O ? string | boolean | undefined
      : boolean;
  }
  & { help: boolean };

export interface Parsed<C extends Command> {
  readonly values: Values<C>;
  readonly positionals: string[];
}

/** Every command has it. */
const HELP: Option = { long: "help", short: "h", description: "Show this help" };

/** Columns of a description, however narrow the terminal is. */
const NARROWEST = 24;

/**
 * Reads the arguments of a command. The last one counts where an option is repeated; `--` ends the
 * options; a number below zero is a value, not an option.
 *
 * @throws {UsageError} on an option that is unknown, lacks its value or takes none
 */
export function parse<const C extends Command>(
  command: C,
  argv: readonly string[],
): Parsed<C> {
  const options = optionsOf(command);
  const { tokens } = parseArgs({
    args: [...argv],
    options: Object.fromEntries(options.map(({ long, short, value }) => [long, {
      type: value === undefined ? "boolean" as const : "string" as const,
      ...(short === undefined ? {} : { short }),
    }])),
    strict: false,
    allowPositionals: true,
    tokens: true,
  });

  const values: Record<string, string | boolean | undefined> = {};
  for (const option of options) {
    values[option.long] = option.value === undefined ? false : option.default;
  }
  const positionals: string[] = [];
  for (const token of tokens) {
    if (token.kind === "positional") positionals.push(token.value);
    if (token.kind !== "option") continue;
    const option = options.find(({ long }) => long === token.name);
    if (option === undefined) throw unknownOption(command, token.rawName);
    values[option.long] = option.value === undefined
      ? flagValue(token)
      : givenValue(option.value, token);
  }
  return { values: values as Values<C>, positionals };
}

interface Bounds {
  /** How the option is typed: "--steps". */
  readonly name: string;
  readonly min?: number;
  readonly max?: number;
}

/**
 * The integer that an option was given.
 *
 * @throws {UsageError} when it is not an integer or out of range (both ends included)
 */
export function integer(value: string, bounds: Bounds): number {
  const { min = Number.MIN_SAFE_INTEGER, max = Number.MAX_SAFE_INTEGER } = bounds;
  const result = /^[+-]?\d+$/.test(value) ? Number(value) : NaN;
  if (result >= min && result <= max) return result;
  throw wrongNumber("an integer", value, bounds);
}

/**
 * The number that an option was given.
 *
 * @throws {UsageError} when it is not a finite number or out of range (both ends included)
 */
export function number(value: string, bounds: Bounds): number {
  const { min = -Number.MAX_VALUE, max = Number.MAX_VALUE } = bounds;
  const written = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(value);
  const result = written ? Number(value) : NaN;
  if (result >= min && result <= max) return result;
  throw wrongNumber("a number", value, bounds);
}

/**
 * The seed that --seed was given: 64 bits, more than a number holds.
 *
 * @throws {UsageError} when it is not a whole number
 */
export function seedOf(value: string): bigint {
  if (/^\d{1,20}$/.test(value)) return BigInt(value);
  throw new UsageError(
    `Option "--seed" needs a whole number from 0 to 2^64 - 1, not "${value}".`,
  );
}

/**
 * The name that an option was given.
 *
 * @throws {UsageError} when it is none of `names`
 */
export function oneOf<const N extends string>(
  value: string,
  { name, names }: { readonly name: string; readonly names: readonly N[] },
): N {
  const found = names.find((known) => known === value);
  if (found !== undefined) return found;
  const meant = nearest(value, names);
  const advice = meant === undefined ? "" : ` Did you mean "${meant}"?`;
  throw new UsageError(
    `Option "${name}" needs one of ${names.map((known) => `"${known}"`).join(", ")}, ` +
      `not "${value}".${advice}`,
  );
}

/**
 * The help text of a command: what it does, its options in columns, examples to try.
 *
 * @param columns How wide it may be; names of options take what they need.
 */
export function help(command: Command, columns: number): string {
  const lines = [
    `${command.name}: ${command.summary}`,
    "",
    "Usage:",
    `  ${command.name} ${command.usage}`.trimEnd(),
    "",
    "Options:",
    ...optionLines(optionsOf(command), columns),
  ];
  if (command.examples.length > 0) lines.push("", "Examples:");
  for (const [i, example] of command.examples.entries()) {
    if (i > 0) lines.push("");
    lines.push(`  # ${example.description}`, `  ${example.command}`);
  }
  return lines.join("\n") + "\n";
}

function optionsOf(command: Command): Option[] {
  return [...command.options, HELP];
}

interface OptionToken {
  readonly rawName: string;
  readonly value: string | undefined;
  readonly inlineValue: boolean | undefined;
}

function flagValue({ rawName, value }: OptionToken): boolean {
  if (value === undefined) return true;
  throw new UsageError(`Option "${rawName}" takes no value. Leave out "=${value}".`);
}

/** Values that name something, which an empty one cannot. */
const NAMES = ["PATH", "FILE", "FOLDER", "DIR", "NAME", "ADDRESS"];

/** What follows an option is its value, unless it is an option itself. */
function givenValue(placeholder: string, { rawName, value, inlineValue }: OptionToken): string {
  if (value === undefined || value === "" && NAMES.includes(placeholder)) {
    throw new UsageError(`Option "${rawName}" needs a value: "${rawName} ${placeholder}".`);
  }
  if (!inlineValue && /^-[^\d.]/.test(value)) {
    const joined = `${rawName}${rawName.startsWith("--") ? "=" : ""}${value}`;
    throw new UsageError(
      `Option "${rawName}" needs a value, not the option "${value}". ` +
        `If "${value}" is the value, write "${joined}".`,
    );
  }
  return value;
}

function unknownOption(command: Command, typed: string): UsageError {
  const meant = nearest(typed.replace(/^-+/, ""), optionsOf(command).map(({ long }) => long));
  const advice = meant === undefined
    ? `See "${command.name} --help".`
    : `Did you mean "--${meant}"?`;
  return new UsageError(`Unknown option "${typed}". ${advice}`);
}

function wrongNumber(kind: string, value: string, { name, min, max }: Bounds): UsageError {
  const least = min === undefined ? "" : ` of at least ${min}`;
  const most = max === undefined ? "" : ` of at most ${max}`;
  const range = least && most ? ` from ${min} to ${max}` : least || most;
  return new UsageError(`Option "${name}" needs ${kind}${range}, not "${value}".`);
}

function optionLines(options: readonly Option[], columns: number): string[] {
  const heads = options.map(({ long, short, value }) => {
    const letter = short === undefined ? "    " : `-${short}, `;
    return `  ${letter}--${long}${value === undefined ? "" : ` ${value}`}`;
  });
  const indent = Math.max(...heads.map((head) => head.length)) + 2;
  return options.flatMap((option, i) => {
    const standard = option.default === undefined ? "" : ` (default: ${option.default})`;
    const [first, ...rest] = wrap(
      option.description + standard,
      Math.max(columns - indent, NARROWEST),
    );
    return [heads[i]!.padEnd(indent) + first, ...rest.map((line) => " ".repeat(indent) + line)];
  });
}

function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else {
      line = line === "" ? word : `${line} ${word}`;
    }
  }
  return [...lines, line];
}
