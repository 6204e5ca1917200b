import { MdmError } from "../../errors.ts";
import type { T5Config } from "../../model/t5_config.ts";
import type { ModelConfig } from "../../model/config.ts";

/**
 * Checks that a text encoder belongs to a model.
 *
 * @param path Where it is, for the message.
 * @throws {MdmError} When its features have another width than the model reads.
 */
export function checkEncoder(
  path: string,
  { dModel }: Pick<T5Config, "dModel">,
  { conditioningFeatureDim: width }: Pick<ModelConfig, "conditioningFeatureDim">,
): void {
  if (dModel === width) return;
  throw new MdmError(
    `Cannot use the text encoder "${path}": it gives ${dModel} features, but the model needs ${width}. Give the encoder that belongs to the model.`,
  );
}
