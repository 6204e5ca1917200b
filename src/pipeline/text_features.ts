import { Safetensors } from "../checkpoint/safetensors.ts";
import { MdmError } from "../errors.ts";
import type { RowText } from "../model/text_inputs.ts";

/** Text that was encoded elsewhere, a row a prompt. */
export interface TextFeatures {
  readonly prompts: readonly RowText[];
  /** What stands for no prompt; null where the file has none. */
  readonly negative: readonly RowText[] | null;
}

/**
 * Reads text features from a safetensors file: `lm_outputs` [rows, tokens, width] and `lm_mask` [rows, tokens], as the reference's
 * text encoder gives them. Twice as many rows as prompts hold the rows without text first.
 *
 * @param prompts How many prompts there are.
 * @param width Of the features that the model takes.
 * @throws {MdmError} When the file does not hold that.
 */
export async function readTextFeatures(
  path: string,
  prompts: number,
  width: number,
): Promise<TextFeatures> {
  using file = await Safetensors.open(path);
  const outputs = file.tensors.get("lm_outputs")?.shape ?? [];
  const mask = file.tensors.get("lm_mask")?.shape ?? [];
  const [rows = 0, tokens = 0] = outputs;
  if (
    outputs.length !== 3 || outputs[2] !== width || String(mask) !== String([rows, tokens]) ||
    tokens < 1 || tokens > 4096 || (rows !== prompts && rows !== 2 * prompts)
  ) {
    throw new MdmError(
      `Cannot use the text features "${path}": for ${prompts} prompts they need "lm_outputs" of shape [${prompts} or ${
        2 * prompts
      }, tokens, ${width}] and "lm_mask" of shape [the same, tokens].`,
    );
  }
  const features = await file.readFloat32("lm_outputs");
  const masks = await file.readFloat32("lm_mask");
  const all = Array.from({ length: rows }, (_, row): RowText => ({
    features: features.subarray(row * tokens * width, (row + 1) * tokens * width),
    length: tokens,
    mask: masks.subarray(row * tokens, (row + 1) * tokens),
  }));
  return rows === prompts
    ? { prompts: all, negative: null }
    : { prompts: all.slice(prompts), negative: all.slice(0, prompts) };
}
