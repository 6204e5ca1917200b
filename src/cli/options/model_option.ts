import { fileURLToPath } from "node:url";
import { PRESET_NAMES } from "../../model/presets.ts";
import { UsageError } from "../../errors.ts";
import { CONV_ALGORITHMS } from "../../gpu/conv_choice.ts";
import type { KernelOptions } from "../../gpu/kernel_policy.ts";
import type { ModelOptions } from "../../pipeline/models/model_source.ts";
import { readTuned } from "../../pipeline/planning/tuned_file.ts";
import { parseBytes } from "../../units.ts";
import { integer, type Option } from "./options.ts";
import { quoted } from "../terminal/output.ts";

/** The model that comes with mdm, where a command is given none. */
export const DEFAULT_MODEL = fileURLToPath(new URL("../../../weights/shapes32", import.meta.url));

/** What several commands call the model by. */
export const MODEL_OPTION = {
  long: "model",
  short: "m",
  value: "PATH",
  description:
    "The model's folder or file of weights; without it the small model that comes with mdm",
} as const satisfies Option;

/** What a model's own files may leave open. */
export const FILE_OPTIONS = [
  {
    long: "config",
    value: "NAME",
    description: `The configuration, where the model has none: ${
      PRESET_NAMES.join(", ")
    }, or a YAML or JSON file`,
  },
  {
    long: "weights",
    value: "NAME",
    description: "The weights in the model's folder, where they have another name than usual",
  },
  {
    long: "level",
    value: "N",
    description: "Which nesting level of a folder in diffusers' layout: 0 is the smallest",
  },
] as const satisfies readonly Option[];

/** Where the parts that read prompts are, if not in the model's folder. */
export const TEXT_OPTIONS = [
  {
    long: "text-encoder",
    value: "FOLDER",
    description: "A T5 encoder in Hugging Face's layout, where the model has none",
  },
  {
    long: "tokenizer",
    value: "FOLDER",
    description: "A folder with its tokenizer.json or spiece.model. Without it: the text encoder's",
  },
] as const satisfies readonly Option[];

/** For machines with little memory. */
export const LOW_MEMORY_OPTION = {
  long: "low-memory",
  description: "Take the text encoder off the GPU before pictures are made",
} as const satisfies Option;

/** Which kernels compute, where that is not left to us. */
export const KERNEL_OPTIONS = [
  {
    long: "tuned",
    value: "FILE",
    description: 'Use the kernels that "mdm tune" found to be the fastest on this adapter',
  },
  {
    long: "kernels",
    value: "NAME",
    description: `Convolve in one way wherever it can be: ${
      CONV_ALGORITHMS.join(", ")
    }. For comparing them`,
  },
] as const satisfies readonly Option[];

/**
 * What {@linkcode KERNEL_OPTIONS} say, as the library takes it.
 *
 * @throws {UsageError} When a name is not one of a kernel, or a file is not what "mdm tune" wrote.
 */
export async function kernelOptions(
  { tuned, kernels }: Readonly<Record<"tuned" | "kernels", string | undefined>>,
): Promise<KernelOptions> {
  const convAlgorithm = CONV_ALGORITHMS.find((name) => name === kernels);
  if (kernels !== undefined && convAlgorithm === undefined) {
    throw new UsageError(
      `Option "--kernels" needs one of ${CONV_ALGORITHMS.join(", ")}, not ${quoted(kernels)}.`,
    );
  }
  return {
    ...tuned !== undefined && { tuned: await readTuned(tuned) },
    ...convAlgorithm && { convAlgorithm },
  };
}

/** Text that was encoded elsewhere. */
export const TEXT_FEATURES_OPTION = {
  long: "text-features",
  value: "FILE",
  description:
    'Take the text\'s features from a safetensors file instead of encoding it: "lm_outputs" [prompts, tokens, width] and ' +
    '"lm_mask" [prompts, tokens], with the rows for no prompt first where it has both',
} as const satisfies Option;

/** The most that may be used. */
export const MEMORY_OPTION = {
  long: "memory",
  value: "SIZE",
  description:
    "The most memory to use on the GPU, such as 4GB or 512MiB: batches are made smaller, and what takes more is refused",
} as const satisfies Option;

/**
 * The bytes that {@linkcode MEMORY_OPTION} was given.
 *
 * @throws {UsageError} When it is not a size.
 */
export function memoryOf(value: string): number {
  const bytes = parseBytes(value);
  if (bytes !== null && bytes >= 1) return bytes;
  throw new UsageError(
    `Option "--memory" needs a size such as "4GB" or "512MiB", not ${quoted(value)}.`,
  );
}

/** The values of {@linkcode FILE_OPTIONS} and, where a command has them, {@linkcode TEXT_OPTIONS}. */
type ModelValues = Partial<
  Readonly<
    Record<"config" | "weights" | "level" | "text-encoder" | "tokenizer", string | undefined>
  >
>;

/** What a person said about a model's files, as the library takes it. */
export function modelOptions(values: ModelValues): ModelOptions {
  const { config, weights, level, tokenizer, "text-encoder": textEncoder } = values;
  return {
    ...config !== undefined && { config },
    ...weights !== undefined && { weights },
    ...level !== undefined && { level: integer(level, { name: "--level", min: 0, max: 7 }) },
    ...textEncoder !== undefined && { textEncoder },
    ...tokenizer !== undefined && { tokenizer },
  };
}
