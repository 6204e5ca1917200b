/** The check of what a program gives {@linkcode Pipeline.load} and the functions that open a model. */
import { type Allowed, checkArgument, checkOptions } from "../check_arguments.ts";
import { CONV_ALGORITHMS } from "../gpu/conv_choice.ts";
import type { ModelOptions } from "./models/model_source.ts";
import type { PipelineOptions } from "./pipeline.ts";

const MODEL: Readonly<Record<keyof ModelOptions, Allowed>> = {
  config: "string",
  weights: "string",
  level: "number",
  textEncoder: "string",
  tokenizer: "string",
};

const PIPELINE: Readonly<Record<keyof PipelineOptions, Allowed>> = {
  ...MODEL,
  lowMemory: "boolean",
  memory: "number",
  onStage: "function",
  subgroups: "boolean",
  deviceClass: ["software", "gpu"],
  convAlgorithm: CONV_ALGORITHMS,
  tuned: "object",
};

/** @throws {UsageError} When the path is none, or an option is not known or of another type. */
export function checkPipelineOptions(path: unknown, options: unknown): void {
  checkArgument("path", "string", path);
  checkOptions(options, PIPELINE);
}

/** The same where only a model is opened. */
export function checkModelOptions(path: unknown, options: unknown): void {
  checkArgument("path", "string", path);
  checkOptions(options, MODEL);
}
