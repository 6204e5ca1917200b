import assert from "../assert.ts";
import { MdmError } from "../../src/errors.ts";
import {
  attentionLayersAt,
  isNested,
  nestedUnets,
  parseModelConfig,
  sizeMultiple,
  type UNetConfig,
} from "../../src/model/config.ts";

const GOLDEN = new URL("../fixtures/golden/", import.meta.url);

// deno-lint-ignore no-explicit-any -- the tests break single fields of it
type Json = any;

function golden(name: string): Json {
  return JSON.parse(Deno.readTextFileSync(new URL(name, GOLDEN)));
}

function parse(json: unknown) {
  return parseModelConfig(json, "config.json");
}

/** A plain UNet whose every field a test may break. */
function plain(): Json {
  return golden("unet_text_masked/config.json");
}

const PLAIN_UNET: UNetConfig = {
  numResnetsPerResolution: [1, 1, 1],
  temporalDim: 64,
  attentionLevels: [1, 2],
  numAttentionLayers: [0, 1, 2],
  inputConditioningDim: 48,
  conditioningDim: 64,
  conditioningFeatureProjDim: 64,
  numLmHeadLayers: 2,
  maskedCrossAttention: true,
  resolutionChannels: [32, 32, 64],
  skipMidBlocks: false,
  skipCondEmb: false,
  hasTextHead: true,
  microConditioning: [{ name: "scale", default: 16 }],
  resnet: { numGroupsNorm: 32, useAttentionFfn: true },
  numTemporalAttentionLayers: [],
  temporalPositionalEncoding: false,
  frames: null,
};

const OUTER_UNET = {
  numResnetsPerResolution: [1, 1, 1],
  temporalDim: 64,
  attentionLevels: [],
  numAttentionLayers: [0, 0, 0],
  inputConditioningDim: 48,
  conditioningDim: 48,
  conditioningFeatureProjDim: 0,
  numLmHeadLayers: 0,
  maskedCrossAttention: true,
  resolutionChannels: [32, 32, 32],
  skipMidBlocks: true,
  skipCondEmb: true,
  hasTextHead: false,
  microConditioning: [{ name: "scale", default: 64 }],
  resnet: { numGroupsNorm: 32, useAttentionFfn: false },
  numTemporalAttentionLayers: [],
  temporalPositionalEncoding: false,
  frames: null,
  skipInnerUnetInput: false,
  skipNormalization: true,
  interpConditioning: false,
};

Deno.test("parseModelConfig: unet_text_masked", () => {
  assert.deepEqual(parse(plain()), {
    kind: "unet",
    inputChannels: 3,
    outputChannels: 3,
    conditioningFeatureDim: 48,
    unet: PLAIN_UNET,
    nestRatio: [],
  });
});

Deno.test("parseModelConfig: unet_text_unmasked", () => {
  assert.deepEqual(parse(golden("unet_text_unmasked/config.json")).unet, {
    ...PLAIN_UNET,
    numLmHeadLayers: 0,
    maskedCrossAttention: false,
  });
});

Deno.test("parseModelConfig: unet_class", () => {
  const config = parse(golden("unet_class/config.json"));
  assert.equal(config.conditioningFeatureDim, 10);
  assert.deepEqual(config.unet, {
    ...PLAIN_UNET,
    inputConditioningDim: 10,
    conditioningDim: 10,
    conditioningFeatureProjDim: 0,
    numLmHeadLayers: 0,
    microConditioning: [],
  });
});

Deno.test("parseModelConfig: nested2", () => {
  const config = parse(golden("nested2/config.json"));
  assert.equal(config.kind, "nested_unet");
  assert.deepEqual(config.nestRatio, [4]);
  assert.deepEqual(config.unet, { ...OUTER_UNET, inner: PLAIN_UNET });
});

Deno.test("parseModelConfig: nested3", () => {
  const config = parse(golden("nested3/config.json"));
  assert.deepEqual(config.nestRatio, [8, 2]);
  assert.deepEqual(config.unet, {
    ...OUTER_UNET,
    microConditioning: [{ name: "scale", default: 128 }],
    inner: {
      ...OUTER_UNET,
      numResnetsPerResolution: [1, 1],
      numAttentionLayers: [0, 0],
      resolutionChannels: [32, 32],
      microConditioning: [{ name: "scale", default: 32 }],
      skipNormalization: false,
      inner: PLAIN_UNET,
    },
  });
});

/** A UNet over time as both golden video models have it: 16 frames, halved four times. */
const TIME_UNET = {
  ...OUTER_UNET,
  numResnetsPerResolution: [1, 1, 1, 1, 1],
  numAttentionLayers: [0, 0, 0, 0, 0],
  resolutionChannels: [32, 32, 32, 32, 32],
  microConditioning: [],
  numTemporalAttentionLayers: [1, 1, 1, 0, 0],
  frames: { grid: 4, innerGrid: 1, resamples: "time" },
  inner: PLAIN_UNET,
};

Deno.test("parseModelConfig: video2_rope", () => {
  const config = parse(golden("video2_rope/config.json"));
  assert.equal(config.kind, "nested_unet");
  // 2^4 as many numbers, half of them along each side of the mosaic.
  assert.deepEqual(config.nestRatio, [4]);
  assert.deepEqual(config.unet, { ...TIME_UNET, temporalPositionalEncoding: true });
  // 8 for the frames of the outer UNet, 4 * 4 for the image of the inner one.
  assert.equal(sizeMultiple(config.unet), 16);
});

Deno.test("parseModelConfig: video3", () => {
  const config = parse(golden("video3/config.json"));
  assert.deepEqual(config.nestRatio, [16, 4]);
  assert.deepEqual(config.unet, {
    ...OUTER_UNET,
    microConditioning: [],
    frames: { grid: 4, innerGrid: 4, resamples: "space" },
    inner: { ...TIME_UNET, skipNormalization: false },
  });
  assert.equal(sizeMultiple(config.unet), 64);
});

Deno.test("parseModelConfig: the default checkpoint", () => {
  const path = new URL("../../weights/shapes32/config.json", import.meta.url);
  const config = parse(JSON.parse(Deno.readTextFileSync(path)));
  assert.equal(config.imageSize, 32);
  assert.deepEqual(config.nestRatio, [2]);
  assert.deepEqual(config.unet.resolutionChannels, [32, 32]);
  assert.ok(isNested(config.unet));
  assert.deepEqual(config.unet.inner.resolutionChannels, [32, 64, 96]);
  assert.deepEqual(config.unet.inner.numResnetsPerResolution, [1, 1, 2]);
  assert.equal(config.unet.inner.temporalDim, 128);
  assert.equal(config.unet.inner.conditioningFeatureProjDim, 0);
  assert.equal(config.unet.inner.numLmHeadLayers, 2);
});

Deno.test("parseModelConfig: the published 64x64 configuration", () => {
  const config = parse(golden("cc12m_64x64.json"));
  assert.equal(config.kind, "unet");
  assert.deepEqual(config.unet, {
    ...PLAIN_UNET,
    numResnetsPerResolution: [2, 2, 2],
    temporalDim: 1024, // null in the file: 4 * 256
    numAttentionLayers: [0, 1, 5],
    inputConditioningDim: 2048,
    conditioningDim: 2048,
    conditioningFeatureProjDim: 2048,
    numLmHeadLayers: 0,
    maskedCrossAttention: false,
    resolutionChannels: [256, 512, 768],
    microConditioning: [{ name: "scale", default: 64 }],
  });
});

Deno.test("parseModelConfig: the published 1024x1024 configuration", () => {
  const config = parse(golden("cc12m_1024x1024.json"));
  assert.equal(config.kind, "nested_unet");
  assert.deepEqual(config.nestRatio, [16, 4]);
  const unets = nestedUnets(config.unet);
  assert.deepEqual(unets.map((unet) => unet.resolutionChannels), [
    [32, 32, 64],
    [64, 128, 256],
    [256, 512, 768],
  ]);
  assert.deepEqual(unets.map((unet) => unet.temporalDim), [1024, 1024, 1024]);
  assert.deepEqual(unets.map((unet) => unet.conditioningFeatureProjDim), [2048, 2048, 2048]);
  assert.deepEqual(unets.map((unet) => unet.hasTextHead), [false, false, true]);
});

Deno.test("parseModelConfig: widths and heads agree with the published state dicts", () => {
  for (const size of ["64x64", "256x256", "1024x1024"]) {
    const json = golden(`cc12m_${size}.json`);
    const tensors: Record<string, number[]> = json.state_dict;
    nestedUnets(parse(json).unet).forEach((unet, depth) => {
      const prefix = "inner_unet.".repeat(depth);
      const channels = unet.resolutionChannels;
      assert.deepEqual(tensors[`${prefix}conv_in.weight`], [channels[0], 3, 3, 3]);
      assert.equal(tensors[`${prefix}temb_layer2.bias`]?.[0], unet.temporalDim);
      assert.equal(`${prefix}cond_emb.weight` in tensors, unet.hasTextHead);
      assert.equal(`${prefix}mid_blocks.0.attn.0.qkv.weight` in tensors, !unet.skipMidBlocks);
      for (const level of channels.keys()) {
        const attention = `${prefix}down_blocks.${level}.attn.`;
        const count = new Set(
          Object.keys(tensors).filter((name) => name.startsWith(attention))
            .map((name) => name.slice(attention.length).split(".")[0]),
        ).size;
        const resnets = unet.numResnetsPerResolution[level]!;
        assert.equal(count, resnets * attentionLayersAt(unet, level), `${attention} ${size}`);
      }
    });
  }
});

Deno.test("parseModelConfig: strings with commas, single numbers and defaults", () => {
  const { unet } = parse({
    model: "unet",
    unet_config: {
      num_resnets_per_resolution: "3",
      num_attention_layers: 1,
      attention_levels: "1, 2",
      resolution_channels: "64,128,256",
      masked_cross_attention: 0,
    },
  });
  assert.deepEqual(unet, {
    ...PLAIN_UNET,
    numResnetsPerResolution: [3, 3, 3],
    temporalDim: 256,
    numAttentionLayers: [1, 1, 1],
    inputConditioningDim: 0,
    conditioningDim: 0,
    conditioningFeatureProjDim: 0,
    numLmHeadLayers: 0,
    maskedCrossAttention: false,
    resolutionChannels: [64, 128, 256],
    hasTextHead: false,
    microConditioning: [],
    resnet: { numGroupsNorm: 32, useAttentionFfn: false },
  });
  assert.deepEqual(parse({ unet_config: {} }).unet.resolutionChannels, [128, 256, 256, 512, 1024]);
  assert.deepEqual(parse({ unet_config: { attention_levels: "" } }).unet.attentionLevels, []);
});

Deno.test("parseModelConfig: a nested UNet has no middle blocks unless it says so", () => {
  const json = golden("nested2/config.json");
  delete json.unet_config.skip_mid_blocks;
  delete json.unet_config.skip_cond_emb;
  delete json.unet_config.inner_config.skip_mid_blocks;
  const { unet } = parse(json);
  assert.equal(unet.skipMidBlocks, true);
  assert.equal(unet.skipCondEmb, true);
  assert.ok(isNested(unet));
  assert.equal(unet.inner.skipMidBlocks, false);
});

Deno.test("parseModelConfig: the projection of an outer UNet sets the inner one's input", () => {
  const json = golden("nested2/config.json");
  json.unet_config.conditioning_feature_proj_dim = 48;
  // As recorded after building: overwritten by the projection, and not to be trusted.
  json.unet_config.inner_config.conditioning_feature_dim = 999;
  json.unet_config.inner_config.conditioning_feature_proj_dim = 32;
  const unets = nestedUnets(parse(json).unet);
  assert.deepEqual(unets.map((unet) => unet.inputConditioningDim), [48, 48]);
  assert.deepEqual(unets.map((unet) => unet.conditioningDim), [48, 32]);
});

Deno.test("parseModelConfig: the text width comes from unet_config where nothing else has it", () => {
  const json = plain();
  delete json.conditioning_feature_dim;
  assert.equal(parse(json).conditioningFeatureDim, 48);
});

Deno.test("sizeMultiple: every level of every UNet halves the image but the last", () => {
  assert.equal(sizeMultiple(parse(plain()).unet), 4);
  assert.equal(sizeMultiple(parse(golden("nested3/config.json")).unet), 32);
});

Deno.test("sizeMultiple: attention over time halves what it is given once more", () => {
  const image = (layers: number[]) => {
    const json = plain();
    json.unet_config.num_temporal_attention_layers = layers;
    return sizeMultiple(parse(json).unet);
  };
  assert.deepEqual([[1, 1, 0], [0, 1, 1], [1, 0, 0]].map(image), [4, 8, 4]);

  const json = golden("video2_rope/config.json");
  // An inner UNet of one resolution asks for nothing: what is left are 4 x 4 frames.
  Object.assign(json.unet_config.inner_config, {
    ...{ num_resnets_per_resolution: [1], resolution_channels: [64] },
    ...{ attention_levels: [], num_attention_layers: [0] },
  });
  assert.equal(sizeMultiple(parse(json).unet), 8);
  json.unet_config.num_temporal_attention_layers = null;
  assert.equal(sizeMultiple(parse(json).unet), 4);
});

Deno.test("parseModelConfig: micro-conditioning keeps its order", () => {
  const json = plain();
  json.unet_config.micro_conditioning = "watermark_score:0,scale:1e2,b:-.5";
  assert.deepEqual(parse(json).unet.microConditioning, [
    { name: "watermark_score", default: 0 },
    { name: "scale", default: 100 },
    { name: "b", default: -0.5 },
  ]);
});

Deno.test("parseModelConfig: what matters to training alone is ignored", () => {
  const json = golden("nested2/config.json");
  json.unet_config.initialize_inner_with_pretrained = "s3://somewhere";
  json.unet_config.freeze_inner_unet = true;
  Object.assign(json.unet_config.resnet_config, { dropout: 0.5, num_channels: 7 });
  assert.deepEqual(parse(json), parse(golden("nested2/config.json")));
});

function assertFails(json: unknown, message: string) {
  assert.throws(() => parse(json), (error) => {
    assert.ok(error instanceof MdmError, String(error));
    assert.equal(error.message, message);
    return true;
  });
}

/** UNets in one another, outermost first, each with so many resolutions and some more fields. */
function nestedUnet(...unets: { levels: number; [field: string]: unknown }[]): Json {
  const [{ levels, ...fields } = { levels: 1 }, ...inner] = unets;
  return {
    num_resnets_per_resolution: 1,
    temporal_dim: 64,
    attention_levels: [],
    num_attention_layers: 0,
    resolution_channels: new Array(levels).fill(32),
    ...fields,
    ...inner.length > 0 && { inner_config: { ...nestedUnet(...inner), nesting: true } },
  };
}

const TIME = { temporal_mode: true };
const SPACE = { temporal_mode: true, temporal_spatial_ds: true };

Deno.test("parseModelConfig: frames and ratios follow from the UNets inside", () => {
  type Frames = [grid: number, innerGrid: number, resamples: "space" | "time"] | null;
  const cases: [unets: Parameters<typeof nestedUnet>, ratio: number[], frames: Frames[]][] = [
    [[{ levels: 1, ...TIME }, { levels: 2 }], [1], [[1, 1, "time"], null]],
    [[{ levels: 3, ...TIME }, { levels: 4 }], [2], [[2, 1, "time"], null]],
    [[{ levels: 7, ...TIME }, { levels: 1 }], [8], [[8, 1, "time"], null]],
    // A single frame that is halved: the same as an image.
    [[{ levels: 3, ...SPACE }, { levels: 2 }], [4], [[1, 1, "space"], null]],
    // The mosaic that time leaves is an image to the UNets inside.
    [[{ levels: 3, ...TIME }, { levels: 3 }, { levels: 1 }], [8, 4], [[8, 4, "time"], null, null]],
    [
      [{ levels: 3, ...TIME }, { levels: 5, ...TIME }, { levels: 1 }],
      [8, 4],
      [[8, 4, "time"], [4, 1, "time"], null],
    ],
    [
      [{ levels: 2, ...SPACE }, { levels: 2, ...SPACE }, { levels: 3, ...TIME }, { levels: 1 }],
      [8, 4, 2],
      [[4, 4, "space"], [2, 2, "space"], [2, 1, "time"], null],
    ],
    [[{ levels: 2 }, { levels: 3, ...TIME }, { levels: 1 }], [4, 2], [
      null,
      [2, 1, "time"],
      null,
    ]],
    // Without temporal_mode the other fields mean nothing.
    [[{ levels: 3, temporal_spatial_ds: true }, { levels: 1 }], [4], [null, null]],
    [[{ levels: 3, temporal_positional_encoding: true }, { levels: 1 }], [4], [null, null]],
  ];
  for (const [unets, ratio, frames] of cases) {
    const temporal = frames.slice(0, -1).map((frame) => frame?.[2] === "time");
    // What is recorded beside it is checked as well.
    const json = { unet_config: nestedUnet(...unets), nest_ratio: ratio, is_temporal: temporal };
    const config = parse(json);
    assert.deepEqual(config.nestRatio, ratio);
    const built = nestedUnets(config.unet).map(({ frames }) =>
      frames === null ? null : [frames.grid, frames.innerGrid, frames.resamples]
    );
    assert.deepEqual(built, frames, JSON.stringify(unets));
    const turned = temporal.map((value, i) => i === 0 ? !value : value);
    assertFails(
      { ...json, is_temporal: turned },
      `Cannot load "config.json": "is_temporal" is ${JSON.stringify(turned)} but must be ` +
        `${JSON.stringify(temporal)} for these resolutions.`,
    );
  }
});

Deno.test("parseModelConfig: layers of attention over time", () => {
  const layers = (value: unknown) => {
    const unet = nestedUnet({ levels: 3, ...TIME, num_temporal_attention_layers: value }, {
      levels: 1,
    });
    return parse({ unet_config: unet }).unet.numTemporalAttentionLayers;
  };
  assert.deepEqual(layers([1, 0, 2]), [1, 0, 2]);
  assert.deepEqual(layers("1,0,2"), [1, 0, 2]);
  assert.deepEqual(layers("1"), [1, 1, 1]);
  assert.deepEqual(layers(null), []);
  // An image is a video of one frame.
  const json = plain();
  json.unet_config.num_temporal_attention_layers = [0, 0, 1];
  assert.deepEqual(parse(json).unet.numTemporalAttentionLayers, [0, 0, 1]);
});

Deno.test("parseModelConfig: video that cannot work", () => {
  const fails = (unets: Parameters<typeof nestedUnet>, message: string) =>
    assertFails(
      { unet_config: nestedUnet(...unets), conditioning_feature_dim: 48 },
      `Cannot load "config.json": "unet_config.${message}.`,
    );
  const layers = (count: unknown) => ({ num_temporal_attention_layers: count });
  const image = { levels: 1 };
  fails(
    [{ levels: 2, ...TIME }],
    `temporal_mode" is true but must be false: a video UNet has another one inside`,
  );
  fails(
    [image, { levels: 3, ...TIME }],
    `inner_config.temporal_mode" is true but must be false: a video UNet has another one inside`,
  );
  fails(
    [{ levels: 2, ...TIME }, image],
    `resolution_channels" is [32,32] but must be an odd number of resolutions, to divide a ` +
      `square of frames`,
  );
  fails(
    [{ levels: 2, ...SPACE }, { levels: 4, ...TIME }, image],
    `inner_config.resolution_channels" is [32,32,32,32] but must be an odd number of ` +
      `resolutions, to divide a square of frames`,
  );
  fails(
    [{ levels: 2, ...SPACE, ...layers([0, 1]) }, image],
    `num_temporal_attention_layers" is [0,1] but must be 0 everywhere with "temporal_spatial_ds"`,
  );
  assert.deepEqual(
    parse({ unet_config: nestedUnet({ levels: 2, ...SPACE, ...layers([0, 0]) }, image) }).unet
      .numTemporalAttentionLayers,
    [0, 0],
  );
  fails(
    [{ levels: 3, ...TIME, ...layers([0, 1]) }, image],
    `num_temporal_attention_layers" is [0,1] but must be 3 integers, one a resolution`,
  );
  fails(
    [{ levels: 3, ...TIME, ...layers([0, -1, 0]) }, image],
    `num_temporal_attention_layers" is [0,-1,0] but must be integers from 0 to 64`,
  );
  const narrow = {
    resolution_channels: [64, 48, 16],
    resnet_config: { num_groups_norm: 8 },
  };
  fails(
    [{ levels: 3, ...TIME, ...narrow, ...layers([1, 1, 0]) }, image],
    `resolution_channels" is [64,48,16] but must be multiples of 32 for attention over time`,
  );
  parse({
    unet_config: nestedUnet({ levels: 3, ...TIME, ...narrow, ...layers([1, 0, 0]) }, image),
  });
  fails(
    [{ levels: 3, temporal_mode: "yes" }, image],
    `temporal_mode" is "yes" but must be true or false`,
  );
});

Deno.test("parseModelConfig: a UNet of several frames cannot attend to text", () => {
  const attending = (fields: { levels: number }, level: number) => ({
    unet_config: nestedUnet(
      { ...fields, num_attention_layers: 1, attention_levels: [level] },
      { levels: 1 },
    ),
    conditioning_feature_dim: 48,
  });
  const fails = (fields: { levels: number }, level: number) =>
    assertFails(
      attending(fields, level),
      `Cannot load "config.json": "unet_config.attention_levels" is [${level}] but must be ` +
        `without level ${level}, whose frames cannot attend to text.`,
    );
  // 4, 2 and 1 frames.
  fails({ levels: 3, ...TIME }, 0);
  fails({ levels: 3, ...TIME }, 1);
  parse(attending({ levels: 3, ...TIME }, 2));
  // One frame throughout.
  parse(attending({ levels: 3, ...SPACE }, 0));
  // Without text, frames attend to themselves.
  parse({ ...attending({ levels: 3, ...TIME }, 0), conditioning_feature_dim: -1 });

  const video3 = golden("video3/config.json");
  Object.assign(video3.unet_config, { attention_levels: [2], num_attention_layers: [0, 0, 1] });
  assertFails(
    video3,
    `Cannot load "config.json": "unet_config.attention_levels" is [2] but must be without level ` +
      `2, whose frames cannot attend to text.`,
  );
});

Deno.test("parseModelConfig: an unknown field is named with its path", () => {
  for (
    const path of ["", "unet_config.", "unet_config.inner_config.", "unet_config.resnet_config."]
  ) {
    const json = golden("nested2/config.json");
    const owner = path.split(".").filter((part) => part !== "").reduce(
      (at, part) => at[part],
      json,
    );
    owner.foo = 1;
    assertFails(json, `Cannot load "config.json": "${path}foo" is not a known field. Remove it.`);
  }
});

Deno.test("parseModelConfig: a file that holds something else", () => {
  for (const json of [null, [], "unet", 3]) {
    assertFails(json, `Cannot load "config.json": it must hold a JSON object.`);
  }
  assertFails(
    { model: "unet" },
    `Cannot load "config.json": "unet_config" is missing but must be an object.`,
  );
  assertFails(
    { unet_config: { resnet_config: [1] } },
    `Cannot load "config.json": "unet_config.resnet_config" is [1] but must be an object.`,
  );
});

Deno.test("parseModelConfig: values that cannot work", async (t) => {
  const cases: [field: string, value: unknown, is: string, need: string][] = [
    ["temporal_dim", -8, "-8", "an integer from 1 to 262144"],
    ["temporal_dim", 60, "60", "a multiple of 8"],
    ["temporal_dim", "64", '"64"', "an integer from 1 to 262144"],
    ["temporal_dim", 64.5, "64.5", "an integer from 1 to 262144"],
    ["resolution_channels", [32, 0, 64], "[32,0,64]", "integers from 1 to 65536"],
    ["resolution_channels", [32, 32, 65568], "[32,32,65568]", "integers from 1 to 65536"],
    ["resolution_channels", [], "[]", "a list of 1 to 16 channel counts"],
    [
      "resolution_channels",
      new Array(17).fill(32),
      "[32,32,32,32,32,32,32,32,32,32,32,32,32,32,32,32,32]",
      "a list of 1 to 16 channel counts",
    ],
    [
      "resolution_channels",
      [32, 32, 48],
      "[32,32,48]",
      `multiples of "resnet_config.num_groups_norm" (32)`,
    ],
    ["resolution_channels", "32,x,64", '"32,x,64"', "integers from 1 to 65536"],
    ["resolution_channels", { a: 1 }, '{"a":1}', "integers from 1 to 65536"],
    ["num_resnets_per_resolution", [1, 1], "[1,1]", "3 integers, one a resolution"],
    ["num_resnets_per_resolution", [1], "[1]", "3 integers, one a resolution"],
    ["num_resnets_per_resolution", "1,1,1,1", '"1,1,1,1"', "3 integers, one a resolution"],
    ["num_resnets_per_resolution", 0, "0", "integers from 1 to 64"],
    ["num_attention_layers", [0, 1, -1], "[0,1,-1]", "integers from 0 to 64"],
    ["num_attention_layers", 1000, "1000", "integers from 0 to 64"],
    ["attention_levels", [1, 3], "[1,3]", "integers from 0 to 2"],
    ["attention_levels", "-1", '"-1"', "integers from 0 to 2"],
    ["conditioning_feature_proj_dim", -2, "-2", "an integer from -1 to 65536"],
    ["num_lm_head_layers", 65, "65", "an integer from 0 to 64"],
    ["masked_cross_attention", 2, "2", "true or false"],
    ["skip_mid_blocks", "no", '"no"', "true or false"],
    ["nesting", true, "true", "false, as this is the outer UNet"],
    ["micro_conditioning", 64, "64", "a string"],
    ["micro_conditioning", "scale:0", '"scale:0"', `a list whose "scale" is not 0`],
    ["micro_conditioning", "scale:1e999", '"scale:1e999"', "a list of finite numbers"],
    ["micro_conditioning", "a:1,a:2", '"a:1,a:2"', "a list that gives each name once"],
  ];
  for (const bad of ["", "scale", "scale:", ":1", "scale:x", "a.b:1", "a:1:2", "a:1,"]) {
    cases.push([
      "micro_conditioning",
      bad,
      JSON.stringify(bad),
      `like "scale:64" or "scale:64,score:0"`,
    ]);
  }
  for (const [field, value, is, need] of cases) {
    await t.step(`${field} ${JSON.stringify(value)}`, () => {
      const json = plain();
      json.unet_config[field] = value;
      assertFails(
        json,
        `Cannot load "config.json": "unet_config.${field}" is ${is} but must be ${need}.`,
      );
    });
  }
});

Deno.test("parseModelConfig: attention needs channels in groups of 32", () => {
  const json = plain();
  json.unet_config.resnet_config.num_groups_norm = 8;
  json.unet_config.resolution_channels = [24, 32, 64];
  assert.deepEqual(parse(json).unet.resolutionChannels, [24, 32, 64]);

  json.unet_config.resolution_channels = [24, 40, 64];
  const fails = (channels: string, level: number) =>
    assertFails(
      json,
      `Cannot load "config.json": "unet_config.resolution_channels" is ${channels} but must be ` +
        `a multiple of 32 at level ${level}, which has attention.`,
    );
  fails("[24,40,64]", 1);

  // The middle blocks attend whatever attention_levels says.
  json.unet_config.attention_levels = [];
  json.unet_config.resolution_channels = [24, 40, 56];
  fails("[24,40,56]", 2);
  json.unet_config.skip_mid_blocks = true;
  assert.deepEqual(parse(json).unet.resolutionChannels, [24, 40, 56]);
});

Deno.test("parseModelConfig: the fields beside unet_config", () => {
  const cases: [field: string, value: unknown, is: string, need: string][] = [
    ["model", "resnet", '"resnet"', `"unet" or "nested_unet"`],
    ["model", 3, "3", "a string"],
    ["model", "nested_unet", '"nested_unet"', `"unet", since "unet_config" has no "inner_config"`],
    ["input_channels", 0, "0", "an integer from 1 to 65536"],
    ["output_channels", "3", '"3"', "an integer from 1 to 65536"],
    ["conditioning_feature_dim", 1e9, "1000000000", "an integer from -1 to 65536"],
    ["image_size", 30, "30", "a multiple of 4"],
    ["image_size", -4, "-4", "an integer from 1 to 65536"],
    ["nest_ratio", [2], "[2]", "[] for these resolutions"],
    ["is_temporal", "no", '"no"', "[] for these resolutions"],
    ["is_temporal", [true], "[true]", "[] for these resolutions"],
  ];
  for (const [field, value, is, need] of cases) {
    assertFails(
      { ...plain(), [field]: value },
      `Cannot load "config.json": "${field}" is ${is} but must be ${need}.`,
    );
  }
  const nested = golden("nested3/config.json");
  assertFails(
    { ...nested, model: "unet" },
    `Cannot load "config.json": "model" is "unet" but must be "nested_unet", since "unet_config" ` +
      `has "inner_config".`,
  );
  assertFails(
    { ...nested, nest_ratio: [4, 2] },
    `Cannot load "config.json": "nest_ratio" is [4,2] but must be [8,2] for these resolutions.`,
  );
});

Deno.test("parseModelConfig: text widths that do not fit together", () => {
  const heads = plain();
  heads.unet_config.conditioning_feature_proj_dim = 60;
  assertFails(
    heads,
    `Cannot load "config.json": the text width 60 in "unet_config" must be a multiple of 8 for ` +
      `its attention heads.`,
  );

  const headless = golden("nested2/config.json");
  headless.unet_config.inner_config.skip_cond_emb = true;
  assertFails(
    headless,
    `Cannot load "config.json": "unet_config.inner_config" must not set "skip_cond_emb": it is ` +
      `the UNet that reads the text.`,
  );

  const projected = golden("nested2/config.json");
  projected.unet_config.conditioning_feature_proj_dim = 32;
  assertFails(
    projected,
    `Cannot load "config.json": "unet_config.inner_config" needs text features of width 32 but ` +
      `the model takes 48.`,
  );

  const attending = golden("nested2/config.json");
  attending.unet_config.attention_levels = [2];
  attending.unet_config.num_attention_layers = [0, 0, 1];
  assertFails(
    attending,
    `Cannot load "config.json": "unet_config" attends to text of width 48 but the innermost UNet ` +
      `makes 64.`,
  );
});

Deno.test("parseModelConfig: at most eight UNets in one another", () => {
  const nest = (depth: number) => {
    let unet: Json = { resolution_channels: "32,32", attention_levels: "", nesting: depth > 1 };
    for (let i = depth - 1; i > 0; i--) unet = { ...unet, nesting: i > 1, inner_config: unet };
    return { unet_config: unet };
  };
  assert.deepEqual(parse(nest(8)).nestRatio, [128, 64, 32, 16, 8, 4, 2]);
  for (const depth of [9, 2000]) {
    assertFails(
      nest(depth),
      `Cannot load "config.json": it nests more than 8 UNets in one another.`,
    );
  }
});
