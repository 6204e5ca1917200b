import assert from "../assert.ts";
import { parseDiffusionConfig } from "../../src/diffusion/config.ts";
import { MdmError } from "../../src/errors.ts";
import { parseModelConfig } from "../../src/model/config.ts";
import { presetConfig } from "../../src/model/presets.ts";
import { parseYamlConfig, readYamlConfig } from "../../src/model/yaml_config.ts";

/** The 64x64 model as the reference writes it: Python's booleans, keys given twice, an old field. */
const UNET_64 = `
name: cc12m_64x64
batch_size: 4
batch_size: 32  # the last one counts
device: cuda
model: unet
vision_model: unet
text_model: google/flan-t5-xl
categorical_conditioning: 0
multi_res_weights: '16:4:1'
lr: 5.0e-05
diffusion_config:
  sampler_config:
    num_diffusion_steps: 100
    num_diffusion_steps: 1000
    predict_variances: false
    prediction_type: V_PREDICTION
    loss_target_type: HA_STYLE
    schedule_type: DEEPFLOYD
    schedule_shifted: False
  model_output_scale: 0.0
  use_vdm_loss_weights: False
unet_config:
  num_resnets_per_resolution: [2, 2, 2]
  attention_levels: [1, 2]
  num_attention_layers: [0, 1, 5]
  num_temporal_attention_layers: null
  conditioning_feature_dim: -1
  conditioning_feature_proj_dim: 2048
  masked_cross_attention: 0
  resolution_channels: [256, 512, 768]
  skip_mid_blocks: False
  micro_conditioning: scale:64
  temporal_dim: null
  resnet_config: {num_channels: -1, output_channels: -1, num_groups_norm: 32, dropout: 0.0,
    use_attention_ffn: True}
reader_config:
  image_size: 64
  random_crop: true
  random_crop: false
  max_caption_length: 512
  max_token_length: 128
  append_eos: true
`;

const SMALL = `
model: unet
text_model: google/flan-t5-base
unet_config: {resolution_channels: [32, 64], attention_levels: [1], conditioning_feature_proj_dim: 64}
`;

Deno.test("a YAML file of the reference says what the preset says", () => {
  const config = parseYamlConfig(UNET_64, "cc12m_64x64.yaml");
  const preset = presetConfig("cc12m_64x64");
  assert.deepEqual(parseModelConfig(config.model, ""), parseModelConfig(preset.model, ""));
  assert.deepEqual(
    parseDiffusionConfig(config.diffusion, false),
    parseDiffusionConfig(preset.diffusion, false),
  );
  assert.deepEqual(config.text, preset.text);
});

Deno.test("what a YAML file leaves out has the reference's defaults", () => {
  const { model, diffusion, text } = parseYamlConfig(SMALL, "small.yaml");
  assert.equal(parseModelConfig(model, "").conditioningFeatureDim, 768);
  assert.equal(parseModelConfig(model, "").imageSize, undefined);
  assert.equal(diffusion, null);
  assert.deepEqual(text, { maxCharacters: 512, maxTokens: 128 });
});

Deno.test("a limit of -1 is no limit on characters", () => {
  const { text } = parseYamlConfig(`${SMALL}reader_config: {max_caption_length: -1}`, "x.yaml");
  assert.deepEqual(text, { maxCharacters: null, maxTokens: 128 });
});

Deno.test("a model of classes needs no text encoder", () => {
  const yaml = "model: unet\ncategorical_conditioning: 1\n" +
    "unet_config: {resolution_channels: [32], attention_levels: [0], conditioning_feature_dim: 13}";
  assert.equal(
    parseModelConfig(parseYamlConfig(yaml, "x").model, "").conditioningFeatureDim,
    13,
  );
});

/** Nine lists of nine lists of ..., 9^9 elements in all. */
const BOMB = Array.from("abcdefghi", (name, i) => {
  const item = i === 0 ? "x" : `*${"abcdefghi"[i - 1]}`;
  return `${name}: &${name} [${Array(9).fill(item).join(",")}]`;
}).join("\n");

const REFUSED: [name: string, yaml: string, reason: RegExp][] = [
  ["aliases that explode", BOMB, /uses aliases/],
  ["a list that holds itself", "unet_config: &a [*a]", /uses aliases/],
  ["an alias of nothing", "unet_config: *a", /uses aliases/],
  ["a Python object", "a: !!python/object/apply:os.system [ls]", /not plain YAML \(Unresolved tag/],
  ["a tag of one's own", "a: !mine 1", /not plain YAML \(Unresolved tag: !mine/],
  ["binary data", "a: !!binary aGk=", /not plain YAML \(Unresolved tag/],
  ["a set", "unet_config: !!set {a, b}", /not plain YAML \(Unresolved tag/],
  ["two documents", "a: 1\n---\nb: 1\n", /not plain YAML \(Source contains multiple documents/],
  ["a list as a key", "? [a]\n: 1", /not plain YAML \(With stringKeys/],
  ["broken YAML", "a: [1, 2", /not plain YAML \(/],
  ["deep lists", "[".repeat(20_000) + "]".repeat(20_000), /not plain YAML \(Maximum call stack/],
  ["a list", "- 1", /must hold a JSON object/],
  ["nothing", "", /must hold a JSON object/],
  ["a long file", "#".repeat(300_000), /300000 characters long, too many/],
  ["no text encoder", "unet_config: {}", /"text_model" is missing but must be a T5 encoder/],
  ["an unknown text encoder", "text_model: clip\nunet_config: {}", /"text_model" is "clip" but/],
  ["no UNet", "text_model: google/flan-t5-xl", /"unet_config" is missing but must be an object/],
  [
    "merge keys",
    `${SMALL}unet_config: {<<: {resolution_channels: [32]}}`,
    /"unet_config.<<" is no/,
  ],
  ["captions without space", `${SMALL}reader_config: {prepad_caption_with_space: no}`, /is "no"/],
  ["no end token", `${SMALL}reader_config: {append_eos: false}`, /"reader_config.append_eos" is f/],
  ["a start token", `${SMALL}reader_config: {prepad_bos: true}`, /"reader_config.prepad_bos" is t/],
  ["another padding", `${SMALL}reader_config: {padding_token: x}`, /padding_token" is "x" but/],
  ["no tokens", `${SMALL}reader_config: {max_token_length: 0}`, /leaves no room for text/],
  ["many tokens", `${SMALL}reader_config: {max_token_length: 1e9}`, /from -1 to 4096/],
];

for (const [name, yaml, reason] of REFUSED) {
  Deno.test(`YAML is refused: ${name}`, () => {
    assert.throws(
      () => parseModelConfig(parseYamlConfig(yaml, "x.yaml").model, "x.yaml"),
      (error) => {
        assert.ok(error instanceof MdmError, String(error));
        assert.match(error.message, reason);
        assert.match(error.message, /^Cannot load "x.yaml": [^\n]*\.$/);
        return true;
      },
    );
  });
}

Deno.test("a YAML file is read from disk, if it is there and small", async () => {
  const path = await Deno.makeTempFile({ suffix: ".yaml" });
  try {
    await Deno.writeTextFile(path, SMALL);
    assert.deepEqual(await readYamlConfig(path), parseYamlConfig(SMALL, path));
    await Deno.truncate(path, 1 << 30);
    await assert.rejects(readYamlConfig(path), /1073741824 bytes, too many/);
  } finally {
    await Deno.remove(path);
  }
  await assert.rejects(readYamlConfig(path), /there is no such file/);
});
