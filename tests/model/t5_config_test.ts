import assert from "../assert.ts";
import { MdmError } from "../../src/errors.ts";
import { parseT5Config } from "../../src/model/t5_config.ts";

/** FLAN-T5-XL's shape, with some of the many fields that such files hold. */
const XL = {
  model_type: "t5",
  architectures: ["T5ForConditionalGeneration"],
  vocab_size: 32128,
  d_model: 2048,
  num_layers: 24,
  num_decoder_layers: 24,
  num_heads: 32,
  d_kv: 64,
  d_ff: 5120,
  feed_forward_proj: "gated-gelu",
  dropout_rate: 0.1,
  is_encoder_decoder: true,
};

const XL_PARSED = {
  vocabSize: 32128,
  dModel: 2048,
  numLayers: 24,
  numHeads: 32,
  dKv: 64,
  dFf: 5120,
  relativeAttentionNumBuckets: 32,
  relativeAttentionMaxDistance: 128,
  gated: true,
  activation: "geluTanh",
  layerNormEpsilon: 1e-6,
};

Deno.test("parseT5Config: a FLAN-T5 with Hugging Face's defaults", () => {
  assert.deepEqual(parseT5Config(XL, "config.json"), XL_PARSED);
});

Deno.test("parseT5Config: every field", () => {
  const json = {
    ...XL,
    relative_attention_num_buckets: 16,
    relative_attention_max_distance: 64,
    layer_norm_epsilon: 1e-5,
  };
  assert.deepEqual(parseT5Config(json, "config.json"), {
    ...XL_PARSED,
    relativeAttentionNumBuckets: 16,
    relativeAttentionMaxDistance: 64,
    layerNormEpsilon: 1e-5,
  });
});

Deno.test("parseT5Config: the encoder of the default checkpoint", () => {
  const path = new URL("../../weights/shapes32/text_encoder/config.json", import.meta.url);
  assert.deepEqual(parseT5Config(JSON.parse(Deno.readTextFileSync(path)), "config.json"), {
    ...XL_PARSED,
    vocabSize: 96,
    dModel: 64,
    numLayers: 2,
    numHeads: 4,
    dKv: 16,
    dFf: 128,
  });
});

Deno.test("parseT5Config: activations by Hugging Face's names", () => {
  const read = (feed_forward_proj: unknown) => {
    const { gated, activation } = parseT5Config({ ...XL, feed_forward_proj }, "config.json");
    return [gated, activation];
  };
  assert.deepEqual(read(undefined), [false, "relu"]);
  assert.deepEqual(read("relu"), [false, "relu"]);
  assert.deepEqual(read("gelu"), [false, "gelu"]);
  assert.deepEqual(read("gelu_new"), [false, "geluTanh"]);
  assert.deepEqual(read("gated-gelu"), [true, "geluTanh"]);
  assert.deepEqual(read("gated-relu"), [true, "relu"]);
  assert.deepEqual(read("gated-silu"), [true, "silu"]);
});

Deno.test("parseT5Config: values that cannot work", () => {
  const names = `one of "relu", "gelu", "gelu_new", "gelu_pytorch_tanh", "silu", "swish", or ` +
    `"gated-" and one of them`;
  const cases: [field: string, value: unknown, is: string, need: string][] = [
    ["model_type", "bert", 'is "bert"', '"t5"'],
    ["model_type", undefined, "is missing", '"t5"'],
    ["vocab_size", 0, "is 0", "an integer from 1 to 4194304"],
    ["vocab_size", undefined, "is missing", "an integer from 1 to 4194304"],
    ["d_model", 1e6, "is 1000000", "an integer from 1 to 65536"],
    ["num_layers", 1.5, "is 1.5", "an integer from 1 to 256"],
    ["num_heads", "8", 'is "8"', "an integer from 1 to 1024"],
    ["d_kv", -1, "is -1", "an integer from 1 to 4096"],
    ["d_ff", [1], "is [1]", "an integer from 1 to 1048576"],
    ["relative_attention_num_buckets", 2, "is 2", "an integer from 4 to 4096"],
    ["relative_attention_num_buckets", 30, "is 30", "a multiple of 4"],
    ["relative_attention_max_distance", 8, "is 8", "an integer from 9 to 1048576"],
    ["layer_norm_epsilon", 0, "is 0", "a number from 1e-12 to 0.01"],
    ["feed_forward_proj", "gated-tanh", 'is "gated-tanh"', names],
    ["feed_forward_proj", "gelu-gated", 'is "gelu-gated"', names],
    ["feed_forward_proj", 1, "is 1", "a string"],
  ];
  for (const [field, value, is, need] of cases) {
    assert.throws(() => parseT5Config({ ...XL, [field]: value }, "config.json"), (error) => {
      assert.ok(error instanceof MdmError, String(error));
      assert.equal(
        error.message,
        `Cannot load "config.json": "${field}" ${is} but must be ${need}.`,
      );
      return true;
    });
  }
});
