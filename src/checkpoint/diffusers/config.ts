/**
 * Configurations of diffusers' Matryoshka models (`MatryoshkaUNet2DConditionModel`,
 * `NestedUNet2DConditionModel` and `MatryoshkaDDIMScheduler` in examples/community/matryoshka.py)
 * in the reference's terms. Derived from reading both sources.
 */

import { isJsonObject, type JsonObject } from "../../json/json_object.ts";
import { MdmError } from "../../errors.ts";

/** UNets in one another that are read; the published models have 3. */
const MAX_DEPTH = 8;

/** What the reference does and has no setting for: a model that does otherwise is another one. */
export const FIXED: JsonObject = {
  act_fn: "silu",
  addition_embed_type: "matryoshka",
  attention_head_dim: 8,
  center_input_sample: false,
  class_embed_type: null,
  conv_in_kernel: 3,
  conv_out_kernel: 3,
  dual_cross_attention: false,
  flip_sin_to_cos: false,
  freq_shift: 0,
  norm_eps: 1e-5,
  num_attention_heads: null,
  num_class_embeds: null,
  only_cross_attention: false,
  resnet_out_scale_factor: 1,
  resnet_skip_time_act: false,
  resnet_time_scale_shift: "scale_shift",
  reverse_transformer_layers_per_block: null,
  time_cond_proj_dim: null,
  time_embedding_act_fn: null,
  time_embedding_type: "positional",
  timestep_post_act: null,
};

const PREDICTIONS: JsonObject = { v_prediction: "V_PREDICTION", epsilon: "DDPM" };
const SCHEDULES: JsonObject = { squaredcos_cap_v2: "DEEPFLOYD", linear: "DDPM" };

/** Everything of a folder's JSON files that does not fit, to be told at once. */
export class Mismatches {
  readonly #list: string[] = [];

  constructor(readonly folder: string) {}

  add(problem: string): void {
    this.#list.push(problem);
  }

  /** @throws {MdmError} that lists them, if there are any */
  check(): void {
    if (this.#list.length === 0) return;
    throw new MdmError(
      `Cannot load "${this.folder}": this is not the diffusers layout that is known: ` +
        `${this.#list.slice(0, 50).join("; ")}. Use the reference's checkpoint instead.`,
    );
  }
}

/**
 * A UNet's config.json as the model's part of a configuration, for `parseModelConfig`, which
 * checks the values.
 *
 * @param path the file within the folder, for messages
 */
export function referenceModel(
  json: unknown,
  path: string,
  mismatches: Mismatches,
): Record<string, unknown> {
  const unets = unetsOf(json, path, mismatches);
  const outermost = unets[0] ?? {};
  const innermost = unets.at(-1) ?? {};
  const textWidth = innermost.encoder_hid_dim ?? innermost.cross_attention_dim ?? -1;
  return {
    model: unets.length > 1 ? "nested_unet" : "unet",
    input_channels: outermost.in_channels ?? 3,
    output_channels: outermost.out_channels ?? 3,
    conditioning_feature_dim: textWidth,
    unet_config: unets.reduceRight<JsonObject | undefined>(
      (inner, unet, depth) => ({
        ...referenceUNet(unet, depth, textWidth),
        ...nested(unet, inner),
      }),
      undefined,
    ),
  };
}

/** The UNets of a configuration, the outermost first. */
function unetsOf(json: unknown, path: string, mismatches: Mismatches): JsonObject[] {
  const unets: JsonObject[] = [];
  let at: unknown = json;
  let where = path;
  while (isJsonObject(at)) {
    if (unets.length === MAX_DEPTH) {
      mismatches.add(`"${path}" nests more than ${MAX_DEPTH} UNets`);
      break;
    }
    unets.push(at);
    checkFixed(at, where, mismatches);
    const { inner_config: inner } = at;
    if (!isJsonObject(inner) || Object.keys(inner).length === 0) return unets;
    at = inner;
    where += ": inner_config";
  }
  if (unets.length === 0) mismatches.add(`"${path}" is not a JSON object`);
  return unets;
}

function checkFixed(unet: JsonObject, where: string, mismatches: Mismatches): void {
  for (const [name, value] of Object.entries(FIXED)) {
    if (!Object.hasOwn(unet, name)) continue;
    const given = unet[name];
    // Some may be given for each resolution.
    if ((Array.isArray(given) ? given : [given]).every((item) => item === value)) continue;
    mismatches.add(
      `"${where}" has "${name}" ${shown(given)} but the reference has ${shown(value)}`,
    );
  }
  for (const name of ["block_out_channels", "layers_per_block"]) {
    if (unet[name] === undefined) mismatches.add(`"${where}" has no "${name}"`);
  }
}

function referenceUNet(
  unet: JsonObject,
  depth: number,
  textWidth: unknown,
): Record<string, unknown> {
  const isNested = isJsonObject(unet.inner_config) && Object.keys(unet.inner_config).length > 0;
  const projects = !isNested && unet.encoder_hid_dim != null;
  const scale = unet.micro_conditioning_scale ?? null;
  return {
    num_resnets_per_resolution: unet.layers_per_block,
    resolution_channels: unet.block_out_channels,
    temporal_dim: unet.time_embedding_dim ?? null,
    attention_levels: attentionLevels(unet),
    num_attention_layers: unet.transformer_layers_per_block ?? 1,
    conditioning_feature_dim: textWidth,
    conditioning_feature_proj_dim: projects ? unet.cross_attention_dim : -1,
    // Not in diffusers' class; written by ours where a model has them.
    num_lm_head_layers: unet.num_lm_head_layers ?? 0,
    masked_cross_attention: unet.masked_cross_attention ?? isNested,
    micro_conditioning: scale === null ? null : `scale:${scale}`,
    nesting: depth > 0,
    // Absent: the default of the class.
    skip_mid_blocks: unet.mid_block_type === undefined ? isNested : unet.mid_block_type === null,
    // A nested UNet has no text embedding of its own, whatever its file says.
    skip_cond_emb: isNested || (unet.skip_cond_emb ?? false),
    temporal_mode: unet.temporal_mode ?? false,
    temporal_spatial_ds: unet.temporal_spatial_ds ?? false,
    resnet_config: {
      num_groups_norm: unet.norm_num_groups ?? 32,
      use_attention_ffn: unet.use_attention_ffn ?? !isNested,
    },
  };
}

function nested(unet: JsonObject, inner: JsonObject | undefined): JsonObject {
  if (inner === undefined) return {};
  return {
    skip_inner_unet_input: unet.skip_inner_unet_input ?? false,
    skip_normalization: unet.skip_normalization ?? true,
    inner_config: inner,
  };
}

function attentionLevels(unet: JsonObject): number[] {
  const { down_block_types: types } = unet;
  if (!Array.isArray(types)) return [];
  return types.flatMap((type, level) => String(type).startsWith("CrossAttn") ? [level] : []);
}

/**
 * A scheduler_config.json as `parseDiffusionConfig` takes it. What depends on the nesting is set
 * by the pipeline in diffusers, so it is set here.
 *
 * @param unets how many UNets are in one another
 */
export function referenceDiffusion(
  json: unknown,
  path: string,
  unets: number,
  mismatches: Mismatches,
): Record<string, unknown> {
  const scheduler = isJsonObject(json) ? json : {};
  const one = (name: string, table: JsonObject): unknown => {
    const value = String(scheduler[name]);
    if (Object.hasOwn(table, value)) return table[value];
    const known = Object.keys(table).map((key) => `"${key}"`).join(" or ");
    mismatches.add(`"${path}" has "${name}" ${shown(scheduler[name])} but must have ${known}`);
    return undefined;
  };
  return {
    sampler_config: {
      num_diffusion_steps: scheduler.num_train_timesteps ?? 1000,
      schedule_type: one("beta_schedule", SCHEDULES),
      prediction_type: one("prediction_type", PREDICTIONS),
      beta_start: scheduler.beta_start ?? 0.0001,
      beta_end: scheduler.beta_end ?? 0.02,
      threshold_function: threshold(scheduler),
      rescale_signal: unets > 1 ? 1 : null,
      schedule_shifted: unets > 1,
      schedule_shifted_power: unets > 2 ? 2 : 1,
    },
    ...(unets > 1 ? { no_use_residual: true } : {}),
  };
}

function threshold(scheduler: JsonObject): string {
  if (scheduler.thresholding === true) {
    const max = Number(scheduler.sample_max_value ?? 1);
    if (max > 1) return max <= 1.5 ? "DYNAMIC_IF" : "DYNAMIC";
    return "CLIP";
  }
  return scheduler.clip_sample === false ? "NONE" : "CLIP";
}

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? "missing";
  return text.length <= 60 ? text : `${text.slice(0, 57)}...`;
}
