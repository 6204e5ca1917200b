/** Checks of what programs give the library: TypeScript does not see what JavaScript and JSON bring. */
import { UsageError } from "./errors.ts";
import { nearest } from "./nearest.ts";
import { shown } from "./quoted.ts";

/** What an option may be: a value of a type, or one of some names. */
export type Allowed =
  | "string"
  | "number"
  | "boolean"
  | "function"
  | "object"
  | readonly string[];

/** How sentences call what an option may be. */
const WORDS = {
  string: "text",
  number: "a number",
  boolean: "true or false",
  function: "a function",
  object: "an object",
} as const;

/**
 * Checks an object of options: their names and what each is. What is undefined is as if it were left out.
 *
 * @throws {UsageError} When one is not known or is something else.
 */
export function checkOptions(
  options: unknown,
  allowed: Readonly<Record<string, Allowed>>,
): void {
  if (typeof options !== "object" || options === null) {
    throw new UsageError(`Cannot use the options ${shown(options)}: give an object.`);
  }
  for (const [name, value] of Object.entries(options)) {
    const known = Object.hasOwn(allowed, name) ? allowed[name] : undefined;
    if (known === undefined) throw unknownOption(name, Object.keys(allowed));
    if (value !== undefined) checkArgument(name, known, value);
  }
}

/** @throws {UsageError} When an argument or option is something else. */
export function checkArgument(name: string, allowed: Allowed, value: unknown): void {
  if (typeof allowed === "string") {
    if (typeof value !== allowed || value === null || Number.isNaN(value)) {
      throw wrongArgument(name, value, WORDS[allowed]);
    }
  } else if (!allowed.some((known) => known === value)) {
    const meant = typeof value === "string" ? nearest(value, allowed) : undefined;
    const advice = meant === undefined ? "" : ` Did you mean "${meant}"?`;
    throw wrongArgument(name, value, oneOf(allowed), advice);
  }
}

/** An argument that cannot be used, and what to give instead. */
export function wrongArgument(
  name: string,
  value: unknown,
  allowed: string,
  advice = "",
): UsageError {
  return new UsageError(`Cannot use ${name} ${shown(value)}: give ${allowed}.${advice}`);
}

/** An option that there is not. */
export function unknownOption(
  name: string,
  known: readonly string[],
  meant: string | undefined = nearest(name, known),
): UsageError {
  const advice = meant === undefined ? `give ${known.join(", ")}.` : `did you mean "${meant}"?`;
  return new UsageError(`There is no option ${shown(name)}: ${advice}`);
}

/** Names as a sentence lists them. */
export function oneOf(names: readonly string[]): string {
  return `one of ${names.map((name) => `"${name}"`).join(", ")}`;
}
