/** The check of what a program gives a function that opens a model. */
import { type Allowed, checkArgument, checkOptions } from "../../check_arguments.ts";
import type { ModelOptions } from "./model_source.ts";

const MODEL_OPTIONS: Readonly<Record<keyof ModelOptions, Allowed>> = {
  config: "string",
  weights: "string",
  level: "number",
  textEncoder: "string",
  tokenizer: "string",
};

/**
 * @param more What else the function takes.
 * @throws {UsageError} When the path is none, or an option is not known or of another type.
 */
export function checkModelArguments(
  path: unknown,
  options: unknown,
  more: Readonly<Record<string, Allowed>> = {},
): void {
  checkArgument("path", "string", path);
  checkOptions(options, { ...MODEL_OPTIONS, ...more });
}
