/** What can be done and yet is hardly meant. */

import type { ModelConfig } from "../model/config.ts";
import {
  type GenerateRequest,
  guidedSteps,
  type ResolvedRequest,
  resolveSize,
} from "../pipeline/request.ts";
import { warn } from "./terminal/output.ts";

/** How much larger or smaller than a model was trained for images can be without falling to pieces. */
const FAR = 2;

/** Warns of options that do nothing, or nothing good. */
export function warnOfRequest(
  { size, negative = "" }: Pick<GenerateRequest, "size" | "negative">,
  resolved: Pick<ResolvedRequest, "plan">,
  config: ModelConfig,
): void {
  for (const sentence of unusual({ size, negative }, resolved, config)) warn(sentence);
}

/** A sentence for each of them. */
export function unusual(
  { size, negative }: { readonly size: number | undefined; readonly negative: string },
  { plan }: Pick<ResolvedRequest, "plan">,
  config: ModelConfig,
): string[] {
  const sentences: string[] = [];
  if (negative !== "" && guidedSteps(plan) === "never") {
    sentences.push(
      "Without guidance the negative prompt does nothing: give --guidance a number over 1, or leave out --negative.",
    );
  }
  const own = trainedSize(config);
  if (size !== undefined && own !== null && (size >= FAR * own || size <= own / FAR)) {
    sentences.push(
      `The model was trained at ${own}x${own}; images of ${size}x${size} will hardly show what was asked for. Leave out --size for its own.`,
    );
  }
  return sentences;
}

/** Null if the model does not say. */
function trainedSize(config: ModelConfig): number | null {
  try {
    return resolveSize(undefined, config);
  } catch {
    return null;
  }
}
