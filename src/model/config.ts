/**
 * The configuration of a UNet or NestedUNet, from a `config.json` with the reference's own field
 * names (`UNetConfig` and `ResNetConfig` in models/unet.py, `NestedUNetConfig` in
 * models/nested_unet.py). What the reference's constructors work out is worked out here, so that
 * the model reads plain numbers.
 */

import { MdmError } from "../errors.ts";
import { JsonFields } from "../json/json_fields.ts";

/** The number of heads of every attention in the UNet (not configurable in the reference). */
export const NUM_ATTENTION_HEADS = 8;
/** The groups of the norm before attention and its feed-forward (fixed, unlike the ResNet's). */
export const ATTENTION_NORM_GROUPS = 32;

/** The channels of a head of attention over time (fixed in the reference). */
export const TEMPORAL_HEAD_CHANNELS = 32;

const MAX_CHANNELS = 65_536;
const MAX_LEVELS = 16;
const MAX_DEPTH = 8;
const MAX_LAYERS = 64;
const MAX_IMAGE_SIZE = 65_536;

export interface ResNetConfig {
  readonly numGroupsNorm: number;
  readonly useAttentionFfn: boolean;
}

/** A number that the model is given besides the time, such as the resolution ("scale"). */
export interface MicroCondition {
  readonly name: string;
  /** The value it takes when a request gives none. */
  readonly default: number;
}

export interface UNetConfig {
  /** One a resolution, the highest first; an up block has one ResNet more. */
  readonly numResnetsPerResolution: readonly number[];
  /** The width of the time embedding. */
  readonly temporalDim: number;
  /** The resolutions (indices) with attention. */
  readonly attentionLevels: readonly number[];
  /** One a resolution; counts only where `attentionLevels` has the index. */
  readonly numAttentionLayers: readonly number[];
  /** The width of the text features before `lm_proj`; 0: no text conditioning. */
  readonly inputConditioningDim: number;
  /** The width after `lm_proj`, which cross-attention and `cond_emb` take; 0: none. */
  readonly conditioningDim: number;
  /** The output width of `lm_proj`; 0: there is no `lm_proj`. */
  readonly conditioningFeatureProjDim: number;
  readonly numLmHeadLayers: number;
  readonly maskedCrossAttention: boolean;
  readonly resolutionChannels: readonly number[];
  readonly skipMidBlocks: boolean;
  readonly skipCondEmb: boolean;
  /** Whether this UNet has weights for the text head: `lm_proj`, `lm_head` and `cond_emb`. */
  readonly hasTextHead: boolean;
  readonly microConditioning: readonly MicroCondition[];
  readonly resnet: ResNetConfig;
  /** Layers of temporal attention after each ResNet of a resolution; empty: none. */
  readonly numTemporalAttentionLayers: readonly number[];
  /** Whether attention over time knows which frame is which. */
  readonly temporalPositionalEncoding: boolean;
  /** Null unless images are mosaics of frames. */
  readonly frames: FrameConfig | null;
}

/** A video's frames, which lie in an image as a square, row by row. */
export interface FrameConfig {
  /** Frames in a row and in a column of this UNet's images. */
  readonly grid: number;
  /** The same of the UNet inside. */
  readonly innerGrid: number;
  /** What changes between resolutions: the size of frames, or their number. */
  readonly resamples: "space" | "time";
}

export interface NestedUNetConfig extends UNetConfig {
  /** The UNet of the next lower resolution, in the place of the middle blocks. */
  readonly inner: UNetConfig | NestedUNetConfig;
  readonly skipInnerUnetInput: boolean;
  /** Whether the noisy image goes in without being divided by its standard deviation. */
  readonly skipNormalization: boolean;
  readonly interpConditioning: boolean;
}

export interface ModelConfig {
  readonly kind: "unet" | "nested_unet";
  readonly inputChannels: number;
  readonly outputChannels: number;
  /** The width of the text features that the model takes; 0: none. */
  readonly conditioningFeatureDim: number;
  readonly unet: UNetConfig | NestedUNetConfig;
  /** How many times larger than the innermost image each outer one is; [] for a plain UNet. */
  readonly nestRatio: readonly number[];
  /** The size that the model was trained for, in pixels. */
  readonly imageSize?: number;
}

export function isNested(unet: UNetConfig): unet is NestedUNetConfig {
  return "inner" in unet;
}

/** The UNets from the outermost to the innermost. */
export function nestedUnets(unet: UNetConfig): UNetConfig[] {
  return isNested(unet) ? [unet, ...nestedUnets(unet.inner)] : [unet];
}

/** The attention layers after each ResNet of a resolution. */
export function attentionLayersAt(unet: UNetConfig, level: number): number {
  return unet.attentionLevels.includes(level) ? unet.numAttentionLayers[level] ?? 0 : 0;
}

/** An image's width and height must be multiples of this: every level halves them, or the frames in them. */
export function sizeMultiple(unet: UNetConfig): number {
  const inner = isNested(unet) ? sizeMultiple(unet.inner) : 1;
  // Both are powers of two.
  return Math.max(downsampling(unet) * inner, frameMultiple(unet));
}

/** What an image's size has to be a multiple of for its frames to be halved as often as they are. */
function frameMultiple(
  { frames, resolutionChannels, numTemporalAttentionLayers }: UNetConfig,
): number {
  if (frames?.resamples === "space") return frames.grid * 2 ** (resolutionChannels.length - 1);
  // Attention over time halves what it is given and doubles it again; an image is a video of one frame.
  const deepest = numTemporalAttentionLayers.findLastIndex((layers) => layers > 0);
  if (frames === null) return 2 ** (deepest + 1);
  return frames.grid * (deepest < 0 ? 1 : 2);
}

/** The frames of a video at a resolution; 1 unless images are mosaics. */
function framesAt({ frames }: UNetConfig, level: number): number {
  if (frames === null) return 1;
  return frames.grid ** 2 / (frames.resamples === "time" ? 2 ** level : 1);
}

/**
 * Checks and resolves a configuration.
 *
 * @param json the parsed `config.json`
 * @param source its file name for messages
 * @throws {MdmError} when a field is unknown, has a wrong type or a value that cannot work
 */
export function parseModelConfig(json: unknown, source: string): ModelConfig {
  const fields = new JsonFields(json, "", source);
  fields.ignore("diffusion_config", "text", "parameters", "reader_config", "state_dict");
  const channels = { min: 1, max: MAX_CHANNELS };
  const conditioningFeatureDim = readConditioningDim(fields);
  const unet = parseUNet(fields.child("unet_config"), conditioningFeatureDim, 0);
  const imageSize = readImageSize(fields, unet);
  const config: ModelConfig = {
    kind: readKind(fields, unet),
    inputChannels: fields.integer("input_channels", channels, 3),
    outputChannels: fields.integer("output_channels", channels, 3),
    conditioningFeatureDim,
    unet,
    nestRatio: nestRatios(unet),
    ...(imageSize === undefined ? {} : { imageSize }),
  };
  checkRecorded(fields, config);
  checkConditioning(config, source);
  fields.rejectUnknown();
  return config;
}

/** How much smaller the inner UNet's image is. */
function downsampling(unet: UNetConfig): number {
  const factor = 2 ** (unet.resolutionChannels.length - 1);
  return isTemporal(unet) ? Math.sqrt(factor) : factor;
}

/** Whether a UNet halves the number of frames instead of their size (`is_temporal` in the reference). */
function isTemporal(unet: UNetConfig): boolean {
  return unet.frames?.resamples === "time";
}

function nestRatios(unet: UNetConfig): number[] {
  if (!isNested(unet)) return [];
  const inner = nestRatios(unet.inner);
  return [downsampling(unet) * (inner[0] ?? 1), ...inner];
}

/** The reference writes -1 for "no text conditioning". */
function readDimension(fields: JsonFields, name: string): number {
  return Math.max(0, fields.integer(name, { min: -1, max: MAX_CHANNELS }, -1));
}

/**
 * Building a model overwrites the width inside `unet_config` by that of the projection, so a
 * recorded one may be either: the width next to `unet_config` decides.
 */
function readConditioningDim(fields: JsonFields): number {
  const owner = fields.has("conditioning_feature_dim") ? fields : fields.child("unet_config");
  return readDimension(owner, "conditioning_feature_dim");
}

function readKind(fields: JsonFields, unet: UNetConfig): ModelConfig["kind"] {
  const kind = isNested(unet) ? "nested_unet" : "unet";
  const model = fields.string("model") ?? kind;
  if (!/^(unet|nested[234]?_unet)$/.test(model)) {
    fields.fail("model", `"unet" or "nested_unet"`);
  }
  if ((model === "unet") !== (kind === "unet")) {
    const reason = isNested(unet) ? "has" : "has no";
    fields.fail("model", `"${kind}", since "unet_config" ${reason} "inner_config"`);
  }
  return kind;
}

function readImageSize(fields: JsonFields, unet: UNetConfig): number | undefined {
  if (!fields.has("image_size")) return undefined;
  const size = fields.integer("image_size", { min: 1, max: MAX_IMAGE_SIZE });
  const step = sizeMultiple(unet);
  return size % step === 0 ? size : fields.fail("image_size", `a multiple of ${step}`);
}

/** What the reference recorded of the built model must be what is built here. */
function checkRecorded(fields: JsonFields, { unet, nestRatio }: ModelConfig): void {
  const temporal = nestedUnets(unet).slice(0, -1).map(isTemporal);
  const built = { is_temporal: temporal, nest_ratio: nestRatio };
  for (const [name, value] of Object.entries(built)) {
    const recorded = fields.get(name) ?? value;
    if (JSON.stringify(recorded) !== JSON.stringify(value)) {
      fields.fail(name, `${JSON.stringify(value)} for these resolutions`);
    }
  }
}

/** The innermost UNet makes the text conditioning of all: the widths must fit together. */
function checkConditioning({ unet, conditioningFeatureDim }: ModelConfig, source: string): void {
  if (conditioningFeatureDim === 0) return;
  const unets = nestedUnets(unet);
  const innermost = unets[unets.length - 1] ?? unet;
  const fail = (depth: number, reason: string): never => {
    throw new MdmError(`Cannot load "${source}": "${unetPath(depth)}" ${reason}.`);
  };
  if (!innermost.hasTextHead) {
    fail(unets.length - 1, `must not set "skip_cond_emb": it is the UNet that reads the text`);
  }
  if (innermost.inputConditioningDim !== conditioningFeatureDim) {
    const { inputConditioningDim: width } = innermost;
    fail(
      unets.length - 1,
      `needs text features of width ${width} but the model takes ${conditioningFeatureDim}`,
    );
  }
  unets.forEach((outer, depth) => {
    if (!hasAttention(outer) || outer.conditioningDim === innermost.conditioningDim) return;
    fail(
      depth,
      `attends to text of width ${outer.conditioningDim} but the innermost UNet makes ` +
        `${innermost.conditioningDim}`,
    );
  });
}

function unetPath(depth: number): string {
  return `unet_config${".inner_config".repeat(depth)}`;
}

function hasAttention(unet: UNetConfig): boolean {
  return !unet.skipMidBlocks ||
    unet.resolutionChannels.some((_, level) => attentionLayersAt(unet, level) > 0);
}

/** @param inputConditioningDim what the UNet around this one passes on, as its constructor does */
function parseUNet(
  fields: JsonFields,
  inputConditioningDim: number,
  depth: number,
): UNetConfig | NestedUNetConfig {
  if (depth >= MAX_DEPTH) {
    throw new MdmError(
      `Cannot load "${fields.source}": it nests more than ${MAX_DEPTH} UNets in one another.`,
    );
  }
  // The reference's nested configuration has these two defaults turned around.
  const nested = fields.has("inner_config");
  const resolutionChannels = readResolutions(fields);
  const levels = resolutionChannels.length;
  const projection = readDimension(fields, "conditioning_feature_proj_dim");
  const projects = inputConditioningDim > 0 && projection > 0;
  const conditioningDim = projects ? projection : inputConditioningDim;
  const skipCondEmb = fields.boolean("skip_cond_emb", nested);
  const layers = { min: 0, max: MAX_LAYERS };
  const inner = nested ? parseUNet(fields.child("inner_config"), conditioningDim, depth + 1) : null;
  const unet: UNetConfig = {
    numResnetsPerResolution: fields.integers(
      "num_resnets_per_resolution",
      { min: 1, max: MAX_LAYERS },
      "2",
      levels,
    ),
    temporalDim: readTemporalDim(fields, resolutionChannels),
    attentionLevels: fields.integers("attention_levels", { min: 0, max: levels - 1 }, "2,3"),
    numAttentionLayers: fields.integers("num_attention_layers", layers, "1", levels),
    inputConditioningDim,
    conditioningDim,
    conditioningFeatureProjDim: projects ? projection : 0,
    numLmHeadLayers: fields.integer("num_lm_head_layers", layers, 0),
    maskedCrossAttention: fields.boolean("masked_cross_attention", true),
    resolutionChannels,
    skipMidBlocks: fields.boolean("skip_mid_blocks", nested),
    skipCondEmb,
    hasTextHead: conditioningDim > 0 && !skipCondEmb,
    microConditioning: readMicroConditioning(fields),
    resnet: readResNet(fields),
    ...readTemporal(fields, resolutionChannels, inner),
  };
  checkUNet(fields, unet, depth);
  // Read by others here, or of use to training alone.
  fields.ignore(
    "conditioning_feature_dim",
    "inner_config",
    "initialize_inner_with_pretrained",
    "freeze_inner_unet",
  );
  if (inner === null) {
    fields.ignore("skip_inner_unet_input", "skip_normalization", "interp_conditioning");
    fields.rejectUnknown();
    return unet;
  }
  const outer: NestedUNetConfig = {
    ...unet,
    inner,
    skipInnerUnetInput: fields.boolean("skip_inner_unet_input", false),
    skipNormalization: fields.boolean("skip_normalization", false),
    interpConditioning: fields.boolean("interp_conditioning", false),
  };
  fields.rejectUnknown();
  return outer;
}

/** The temporal fields of a UNet, whose inner UNet (null: none) is read already. */
function readTemporal(
  fields: JsonFields,
  channels: readonly number[],
  inner: UNetConfig | NestedUNetConfig | null,
): Pick<UNetConfig, "numTemporalAttentionLayers" | "temporalPositionalEncoding" | "frames"> {
  const name = "num_temporal_attention_layers";
  const range = { min: 0, max: MAX_LAYERS };
  const numTemporalAttentionLayers = fields.has(name)
    ? fields.integers(name, range, "0", channels.length)
    : [];
  const temporal = fields.boolean("temporal_mode", false);
  const spatial = fields.boolean("temporal_spatial_ds", false);
  const attends = numTemporalAttentionLayers.some((layers) => layers > 0);
  channels.forEach((count, level) => {
    if ((numTemporalAttentionLayers[level] ?? 0) > 0 && count % TEMPORAL_HEAD_CHANNELS !== 0) {
      fields.fail(
        "resolution_channels",
        `multiples of ${TEMPORAL_HEAD_CHANNELS} for attention over time`,
      );
    }
  });
  if (attends && spatial) fields.fail(name, `0 everywhere with "temporal_spatial_ds"`);
  return {
    numTemporalAttentionLayers,
    temporalPositionalEncoding: fields.boolean("temporal_positional_encoding", false),
    frames: temporal ? readFrames(fields, channels.length, spatial, inner) : null,
  };
}

/** As `temporal_wrapper` in the reference's unet.py takes them from `nest_ratio`. */
function readFrames(
  fields: JsonFields,
  levels: number,
  spatial: boolean,
  inner: UNetConfig | NestedUNetConfig | null,
): FrameConfig {
  if (inner === null) {
    return fields.fail("temporal_mode", `false: a video UNet has another one inside`);
  }
  const innerGrid = nestRatios(inner)[0] ?? 1;
  if (spatial) return { grid: innerGrid, innerGrid, resamples: "space" };
  if (levels % 2 === 0) {
    return fields.fail(
      "resolution_channels",
      "an odd number of resolutions, to divide a square of frames",
    );
  }
  return { grid: innerGrid * 2 ** ((levels - 1) / 2), innerGrid, resamples: "time" };
}

function readResolutions(fields: JsonFields): number[] {
  const range = { min: 1, max: MAX_CHANNELS };
  const channels = fields.integers("resolution_channels", range, "128,256,256,512,1024");
  if (channels.length >= 1 && channels.length <= MAX_LEVELS) return channels;
  return fields.fail("resolution_channels", `a list of 1 to ${MAX_LEVELS} channel counts`);
}

/** Sines and cosines of a quarter of the width: half as many frequencies as that. */
function readTemporalDim(fields: JsonFields, channels: readonly number[]): number {
  const range = { min: 1, max: 4 * MAX_CHANNELS };
  const temporalDim = fields.integer("temporal_dim", range, 4 * (channels[0] ?? 0));
  return temporalDim % 8 === 0 ? temporalDim : fields.fail("temporal_dim", "a multiple of 8");
}

function readResNet(fields: JsonFields): ResNetConfig {
  const parent = fields.has("resnet_config")
    ? fields.child("resnet_config")
    : new JsonFields({}, `${fields.path}.resnet_config`, fields.source);
  parent.ignore("num_channels", "output_channels", "dropout");
  const resnet = {
    numGroupsNorm: parent.integer("num_groups_norm", { min: 1, max: MAX_CHANNELS }, 32),
    useAttentionFfn: parent.boolean("use_attention_ffn", false),
  };
  parent.rejectUnknown();
  return resnet;
}

/** "scale:64,watermark_score:0" to names and defaults, in that order. */
function readMicroConditioning(fields: JsonFields): MicroCondition[] {
  const field = "micro_conditioning";
  const conditions = (fields.string(field)?.split(",") ?? []).map((item) => {
    const match = /^([A-Za-z_]\w*):([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)$/.exec(item);
    const [, name, value] = match ?? fields.fail(field, `like "scale:64" or "scale:64,score:0"`);
    return { name: name!, default: Number(value) };
  });
  if (new Set(conditions.map(({ name }) => name)).size !== conditions.length) {
    fields.fail(field, "a list that gives each name once");
  }
  for (const condition of conditions) {
    if (!Number.isFinite(condition.default)) fields.fail(field, "a list of finite numbers");
    // The model divides by the default of "scale", to limit what it is told to it.
    if (condition.name === "scale" && condition.default === 0) {
      fields.fail(field, `a list whose "scale" is not 0`);
    }
  }
  return conditions;
}

/** What has to divide by what. */
function checkUNet(fields: JsonFields, unet: UNetConfig, depth: number): void {
  const { resolutionChannels: channels, resnet } = unet;
  if (channels.some((count) => count % resnet.numGroupsNorm !== 0)) {
    const groups = `"resnet_config.num_groups_norm" (${resnet.numGroupsNorm})`;
    fields.fail("resolution_channels", `multiples of ${groups}`);
  }
  channels.forEach((count, level) => {
    const middle = !unet.skipMidBlocks && level === channels.length - 1;
    if (!middle && attentionLayersAt(unet, level) === 0) return;
    if (count % ATTENTION_NORM_GROUPS !== 0) {
      fields.fail(
        "resolution_channels",
        `a multiple of ${ATTENTION_NORM_GROUPS} at level ${level}, which has attention`,
      );
    }
  });
  // The reference has no text for the frames of a video (only for the video), and stops.
  channels.forEach((_, level) => {
    const attends = unet.conditioningDim > 0 && attentionLayersAt(unet, level) > 0;
    if (attends && framesAt(unet, level) > 1) {
      fields.fail("attention_levels", `without level ${level}, whose frames cannot attend to text`);
    }
  });
  if (unet.hasTextHead && unet.numLmHeadLayers > 0) {
    if (unet.conditioningDim % NUM_ATTENTION_HEADS !== 0) {
      throw new MdmError(
        `Cannot load "${fields.source}": the text width ${unet.conditioningDim} in ` +
          `"${fields.path}" must be a multiple of ${NUM_ATTENTION_HEADS} for its attention heads.`,
      );
    }
  }
  if (fields.boolean("nesting", depth > 0) !== depth > 0) {
    fields.fail("nesting", `${depth > 0}, as this is ${depth > 0 ? "an inner" : "the outer"} UNet`);
  }
}
