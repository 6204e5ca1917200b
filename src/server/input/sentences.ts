/** What is wrong with a value, as one sentence for people: it names the field, what it has to be and what was given. */
import { z } from "../../deps/zod_openapi.ts";
import { quoted, shown } from "../../quoted.ts";
import { meantName } from "./option_names.ts";

/** What a schema found wrong, with what was given there. */
type Issue = z.core.$ZodRawIssue;

/** Fields that are told of at once: a body of a megabyte may have a hundred thousand. */
export const MOST_TOLD = 20;

/** The `error` of a schema whose values are so: "a whole number from 1 to 9". */
export function hasToBe(allowed: string): (issue: Issue) => string | undefined {
  return ({ path = [], input, code }) => {
    // It is an object, as it has to be: see `sentence`.
    if (code === "unrecognized_keys") return undefined;
    const name = fieldName(path);
    // Null is absent everywhere: where it is refused, something is missing.
    if (input === undefined || input === null && path.length > 0) {
      return `${name} is missing: it has to be ${allowed}.`;
    }
    // A text that was read as a number and is none, of which nothing is left.
    if (Number.isNaN(input)) return `${name} has to be ${allowed}.`;
    return `${name} has to be ${allowed}, not ${shown(input)}.`;
  };
}

/** A field as sentences name it. */
export function fieldName(path: readonly PropertyKey[]): string {
  return path.length === 0 ? "The body" : quoted(path.map(String).join("."));
}

/** What is said of an issue where its schema has no sentence of its own. Of fields that are not there it is a line each. */
export function sentence(issue: Issue): string | undefined {
  const name = fieldName(issue.path ?? []);
  switch (issue.code) {
    case "unrecognized_keys":
      return issue.keys.slice(0, MOST_TOLD)
        .map((key) => unknownField([...issue.path ?? [], key], namesOf(issue.inst))).join("\n");
    case "invalid_value":
      return oneOf(issue);
    case "invalid_type":
      return hasToBe(KINDS[issue.expected] ?? "of another kind")(issue);
    case "invalid_format":
      return hasToBe(FORMATS[issue.format] ?? "written in another way")(issue);
    case "too_small":
    case "too_big":
      return hasToBe(bounds(issue))(issue);
    case "not_multiple_of":
      return hasToBe(`a multiple of ${issue.divisor}`)(issue);
    default:
      return `${name} cannot be used: /openapi.json says what it may be.`;
  }
}

// For every schema: those of path, query and headers as well, which nobody here parses.
z.config({ customError: sentence });

function unknownField(path: readonly PropertyKey[], names: readonly string[]): string {
  const meant = meantName(String(path.at(-1)), names);
  const advice = meant === undefined
    ? names.length === 0 ? "leave it out" : "/openapi.json lists those that there are"
    : `did you mean "${meant}"?`;
  return `There is no field ${fieldName(path)}: ${advice}${meant === undefined ? "." : ""}`;
}

/** The fields that an object may have. */
function namesOf(inst: unknown): string[] {
  return inst instanceof z.ZodObject ? Object.keys(inst.shape) : [];
}

function oneOf(issue: Issue & { readonly code: "invalid_value" }): string | undefined {
  const names = issue.values.map((value) =>
    typeof value === "string" ? `"${value}"` : String(value)
  );
  const [last, ...others] = names.toReversed();
  const all = others.length === 0 ? `${last}` : `${others.toReversed().join(", ")} or ${last}`;
  const said = hasToBe(all)(issue);
  const meant = typeof issue.input === "string"
    ? meantName(issue.input, issue.values.filter((value) => typeof value === "string"))
    : undefined;
  return meant === undefined ? said : `${said} Did you mean "${meant}"?`;
}

function bounds(
  issue: Issue & ({ readonly code: "too_small" } | { readonly code: "too_big" }),
): string {
  const small = issue.code === "too_small";
  const bound = small ? issue.minimum : issue.maximum;
  const exclusive = issue.inclusive === false;
  const side = small ? exclusive ? "more than" : "at least" : exclusive ? "less than" : "at most";
  switch (issue.origin) {
    case "string":
      return `text of ${side} ${bound} letters`;
    case "array":
    case "set":
      return `a list of ${side} ${bound}`;
    case "int":
      return `a whole number of ${side} ${bound}`;
    default:
      return `${side} ${bound}`;
  }
}

const KINDS: Readonly<Record<string, string>> = {
  string: "text",
  number: "a number",
  int: "a whole number",
  boolean: "true or false",
  array: "a list",
  object: "an object",
  record: "an object",
  null: "left out",
};

const FORMATS: Readonly<Record<string, string>> = {
  url: "an address that begins with http:// or https://",
  datetime: "a time as in ISO 8601",
};
