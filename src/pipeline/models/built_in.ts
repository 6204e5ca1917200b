import type { Dtype } from "../../checkpoint/dtype.ts";
import { type DiffusionConfig, parseDiffusionConfig } from "../../diffusion/config.ts";
import type { Parameter } from "../../graph/operation.ts";
import { type ModelConfig, parseModelConfig } from "../../model/config.ts";
import { Network } from "../../model/network.ts";
import { PRESET_NAMES, presetConfig } from "../../model/presets.ts";
import flanT5XL from "../../model/presets/flan_t5_xl.json" with { type: "json" };
import { T5Encoder } from "../../model/t5.ts";
import { parseT5Config } from "../../model/t5_config.ts";
import { WIDE_IN_T5 } from "../../text/t5_files.ts";
import type { PlannedEncoder, PlannedModel } from "../planning/estimate.ts";

/** A model that can be described and planned; a ModelSource is one. */
export interface DescribedModel extends PlannedModel {
  /** A path, or a built-in name. */
  readonly path: string;
  readonly config: ModelConfig;
  readonly diffusion: DiffusionConfig | null;
  /** Tokens that a row's text may have. */
  readonly maxTokens: number;
}

/** Whether a name is that of a published model. */
export function isBuiltIn(name: string): boolean {
  return (PRESET_NAMES as readonly string[]).includes(name);
}

/** A published model without its files, as if its weights were in 16 bits. */
export function builtInModel(name: string): DescribedModel {
  const { model, diffusion, text } = presetConfig(name);
  const config = parseModelConfig(model, name);
  const network = new Network(config);
  return {
    path: name,
    config,
    diffusion: parseDiffusionConfig(diffusion, config.kind === "nested_unet"),
    maxTokens: text.maxTokens,
    network,
    file: { tensors: types(network.parameters, () => "F16") },
  };
}

/** The published models' text encoder, FLAN-T5 XL, without its files and in 16 bits as far as they do. */
export function builtInEncoder(): PlannedEncoder {
  const model = new T5Encoder(parseT5Config(flanT5XL, "FLAN-T5 XL"));
  const typeOf = (name: string) => WIDE_IN_T5.test(name) ? "F32" : "F16";
  return { model, file: { tensors: types(model.parameters, typeOf) } };
}

function types(
  parameters: ReadonlyMap<string, Parameter>,
  typeOf: (name: string) => Dtype,
): Map<string, { dtype: Dtype }> {
  return new Map([...parameters.keys()].map((name) => [name, { dtype: typeOf(name) }]));
}
