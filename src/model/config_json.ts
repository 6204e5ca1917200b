import { isNested, type ModelConfig, type UNetConfig } from "./config.ts";

/**
 * The model's part of a config.json, under the reference's field names. `parseModelConfig` reads the
 * same configuration back.
 */
export function modelJson(config: ModelConfig): Record<string, unknown> {
  const { kind, inputChannels, outputChannels, conditioningFeatureDim, imageSize } = config;
  return {
    model: kind,
    input_channels: inputChannels,
    output_channels: outputChannels,
    ...imageSize !== undefined && { image_size: imageSize },
    conditioning_feature_dim: dimension(conditioningFeatureDim),
    unet_config: unetJson(config.unet, 0),
  };
}

function unetJson(unet: UNetConfig, depth: number): Record<string, unknown> {
  const { frames, microConditioning, numTemporalAttentionLayers } = unet;
  return {
    num_resnets_per_resolution: unet.numResnetsPerResolution,
    temporal_dim: unet.temporalDim,
    attention_levels: unet.attentionLevels,
    num_attention_layers: unet.numAttentionLayers,
    num_temporal_attention_layers: numTemporalAttentionLayers.length === 0
      ? null
      : numTemporalAttentionLayers,
    conditioning_feature_dim: dimension(unet.inputConditioningDim),
    conditioning_feature_proj_dim: dimension(unet.conditioningFeatureProjDim),
    num_lm_head_layers: unet.numLmHeadLayers,
    masked_cross_attention: Number(unet.maskedCrossAttention),
    resolution_channels: unet.resolutionChannels,
    skip_mid_blocks: unet.skipMidBlocks,
    skip_cond_emb: unet.skipCondEmb,
    nesting: depth > 0,
    micro_conditioning: microConditioning.length === 0
      ? null
      : microConditioning.map((condition) => `${condition.name}:${condition.default}`).join(","),
    temporal_mode: frames !== null,
    temporal_spatial_ds: frames?.resamples === "space",
    temporal_positional_encoding: unet.temporalPositionalEncoding,
    resnet_config: {
      num_groups_norm: unet.resnet.numGroupsNorm,
      use_attention_ffn: unet.resnet.useAttentionFfn,
    },
    ...isNested(unet) && {
      inner_config: unetJson(unet.inner, depth + 1),
      skip_inner_unet_input: unet.skipInnerUnetInput,
      skip_normalization: unet.skipNormalization,
      interp_conditioning: unet.interpConditioning,
    },
  };
}

/** The reference writes -1 for "none". */
function dimension(width: number): number {
  return width === 0 ? -1 : width;
}
