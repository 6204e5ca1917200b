import type { DiffusionConfig, ThresholdType } from "../../../src/diffusion/config.ts";
import { MdmError } from "../../../src/errors.ts";
import {
  attentionLayersAt,
  isNested,
  type ModelConfig,
  nestedUnets,
  type UNetConfig,
} from "../../../src/model/config.ts";
import { encodeSafetensors } from "../../../src/checkpoint/safetensors.ts";
import type { TensorFile } from "../../../src/checkpoint/tensor_file.ts";
import { FIXED } from "../../../src/checkpoint/diffusers/config.ts";
import { WEIGHTS } from "../../../src/checkpoint/diffusers/folder.ts";
import { diffusersNames } from "../../../src/checkpoint/diffusers/names.ts";
import { diffusersShape } from "../../../src/checkpoint/diffusers/shapes.ts";

/** A model to be written, with its tensors under the reference's names. */
export interface DiffusersSource {
  readonly config: ModelConfig;
  readonly diffusion: DiffusionConfig;
  readonly file: TensorFile;
}

const THRESHOLDS: Readonly<Record<ThresholdType, Readonly<Record<string, unknown>>>> = {
  NONE: { clip_sample: false, thresholding: false },
  CLIP: { clip_sample: true, clip_sample_range: 1, thresholding: false },
  DYNAMIC: { thresholding: true, dynamic_thresholding_ratio: 0.995, sample_max_value: 100 },
  DYNAMIC_IF: { thresholding: true, dynamic_thresholding_ratio: 0.95, sample_max_value: 1.5 },
};

/**
 * Writes one nesting level into a folder in diffusers' layout, without text encoder and tokenizer.
 * The weights are in memory as a whole.
 *
 * @throws {MdmError} when the model has what diffusers' classes have no place for
 */
export async function writeDiffusersFolder(
  path: string,
  { config, diffusion, file }: DiffusersSource,
  dtype: "F32" | "F16",
): Promise<void> {
  const level = nestedUnets(config.unet).length - 1;
  const unet = `${path}/unet/nesting_level_${level}`;
  const json = diffusersUNet(config);
  const scheduler = diffusersScheduler(diffusion);
  await Deno.mkdir(unet, { recursive: true });
  await Deno.mkdir(`${path}/scheduler`, { recursive: true });
  await writeJson(`${unet}/config.json`, json);
  await writeJson(`${path}/scheduler/scheduler_config.json`, scheduler);
  await writeJson(`${path}/model_index.json`, {
    _class_name: "MatryoshkaPipeline",
    nesting_level: level,
  });
  const variant = dtype === "F16" ? ".fp16" : "";
  await Deno.writeFile(
    `${unet}/${WEIGHTS}${variant}.safetensors`,
    encodeSafetensors(await renamedTensors(file), dtype),
  );
}

async function renamedTensors(
  file: TensorFile,
): Promise<Map<string, { shape: number[]; data: Float32Array }>> {
  const tensors = new Map<string, { shape: number[]; data: Float32Array }>();
  for (const [name, other] of diffusersNames(file.tensors.keys())) {
    const shape = [...diffusersShape(name, file.tensors.get(name)!.shape)];
    tensors.set(other, { shape, data: await file.readFloat32(name) });
  }
  return tensors;
}

/** A UNet's config.json with the UNets inside it. */
export function diffusersUNet(
  config: ModelConfig,
  unet: UNetConfig = config.unet,
  depth = 0,
): Record<string, unknown> {
  const levels = unet.resolutionChannels.map((_, level) => attentionLayersAt(unet, level));
  const block = (direction: string) => (layers: number) =>
    `${layers > 0 ? "CrossAttn" : ""}${direction}Block2D`;
  return {
    ...FIXED,
    _class_name: isNested(unet) ? "NestedUNet2DConditionModel" : "MatryoshkaUNet2DConditionModel",
    in_channels: config.inputChannels,
    out_channels: config.outputChannels,
    block_out_channels: unet.resolutionChannels,
    layers_per_block: unet.numResnetsPerResolution,
    transformer_layers_per_block: levels,
    down_block_types: levels.map(block("Down")),
    mid_block_type: unet.skipMidBlocks ? null : "UNetMidBlock2DCrossAttn",
    up_block_types: levels.toReversed().map(block("Up")),
    cross_attention_dim: unet.conditioningDim,
    encoder_hid_dim: unet.conditioningFeatureProjDim > 0 ? unet.inputConditioningDim : null,
    time_embedding_dim: unet.temporalDim,
    masked_cross_attention: unet.maskedCrossAttention,
    micro_conditioning_scale: microConditioningScale(unet),
    nesting: depth > 0,
    norm_num_groups: unet.resnet.numGroupsNorm,
    skip_cond_emb: unet.skipCondEmb,
    use_attention_ffn: unet.resnet.useAttentionFfn,
    ...(unet.numLmHeadLayers > 0 ? { num_lm_head_layers: unet.numLmHeadLayers } : {}),
    ...(isNested(unet)
      ? {
        skip_inner_unet_input: unet.skipInnerUnetInput,
        skip_normalization: unet.skipNormalization,
        inner_config: diffusersUNet(config, unet.inner, depth + 1),
      }
      : {}),
  };
}

function microConditioningScale(unet: UNetConfig): number | null {
  const [first, ...more] = unet.microConditioning;
  if (more.length > 0 || (first !== undefined && first.name !== "scale")) {
    throw unsupported(`micro-conditions other than "scale"`);
  }
  if (isNested(unet) && unet.interpConditioning) throw unsupported("interp_conditioning");
  return first?.default ?? null;
}

function diffusersScheduler({ samplerConfig: sampler }: DiffusionConfig): Record<string, unknown> {
  if (sampler.scheduleType === "COSINE") throw unsupported("the COSINE schedule");
  return {
    _class_name: "MatryoshkaDDIMScheduler",
    num_train_timesteps: sampler.numDiffusionSteps,
    beta_schedule: sampler.scheduleType === "DEEPFLOYD" ? "squaredcos_cap_v2" : "linear",
    beta_start: sampler.betaStart,
    beta_end: sampler.betaEnd,
    prediction_type: sampler.predictionType === "V_PREDICTION" ? "v_prediction" : "epsilon",
    timestep_spacing: "matryoshka_style",
    ...THRESHOLDS[sampler.thresholdFunction],
  };
}

function unsupported(what: string): MdmError {
  return new MdmError(`Cannot write the diffusers layout: it has no place for ${what}.`);
}

async function writeJson(path: string, value: unknown): Promise<void> {
  await Deno.writeTextFile(path, `${JSON.stringify(value, null, 2)}\n`);
}
