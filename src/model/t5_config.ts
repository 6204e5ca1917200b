/**
 * The configuration of a T5 encoder (v1.1 and FLAN included), from a Hugging Face `config.json`
 * (`T5Config` of the transformers library). Fields that the encoder does not need are ignored:
 * such files hold many.
 */

import { JsonFields } from "../json/json_fields.ts";

/** `gelu` is the exact one, `geluTanh` its approximation. */
export type T5Activation = "relu" | "gelu" | "geluTanh" | "silu";

export interface T5Config {
  readonly vocabSize: number;
  /** The width of the encoder's output. */
  readonly dModel: number;
  readonly numLayers: number;
  readonly numHeads: number;
  /** The width of one head; `numHeads * dKv` need not be `dModel`. */
  readonly dKv: number;
  readonly dFf: number;
  readonly relativeAttentionNumBuckets: number;
  readonly relativeAttentionMaxDistance: number;
  /** Whether the feed-forward multiplies a gate (`wi_0`) by a linear part (`wi_1`). */
  readonly gated: boolean;
  readonly activation: T5Activation;
  readonly layerNormEpsilon: number;
}

/** Hugging Face's names of activations. */
const ACTIVATIONS = new Map<string, T5Activation>([
  ["relu", "relu"],
  ["gelu", "gelu"],
  ["gelu_new", "geluTanh"],
  ["gelu_pytorch_tanh", "geluTanh"],
  ["silu", "silu"],
  ["swish", "silu"],
]);

/**
 * Checks and resolves a configuration.
 *
 * @param json the parsed `config.json`
 * @param source its file name for messages
 * @throws {MdmError} when the model is not a T5, or a field is missing or has a value that cannot
 * work
 */
export function parseT5Config(json: unknown, source: string): T5Config {
  const fields = new JsonFields(json, "", source);
  if (fields.get("model_type") !== "t5") fields.fail("model_type", `"t5"`);
  const width = { min: 1, max: 65_536 };
  return {
    vocabSize: fields.integer("vocab_size", { min: 1, max: 2 ** 22 }),
    dModel: fields.integer("d_model", width),
    numLayers: fields.integer("num_layers", { min: 1, max: 256 }),
    numHeads: fields.integer("num_heads", { min: 1, max: 1024 }),
    dKv: fields.integer("d_kv", { min: 1, max: 4096 }),
    dFf: fields.integer("d_ff", { min: 1, max: 2 ** 20 }),
    ...readRelativeAttention(fields),
    ...readFeedForward(fields),
    layerNormEpsilon: fields.number("layer_norm_epsilon", { min: 1e-12, max: 1e-2 }, 1e-6),
  };
}

/**
 * Half of the buckets is for each direction; half of those counts single positions, the rest grow
 * logarithmically up to the largest distance, which must lie beyond.
 */
function readRelativeAttention(fields: JsonFields) {
  const name = "relative_attention_num_buckets";
  const buckets = fields.integer(name, { min: 4, max: 4096 }, 32);
  if (buckets % 4 !== 0) fields.fail(name, "a multiple of 4");
  const distances = { min: buckets / 4 + 1, max: 2 ** 20 };
  return {
    relativeAttentionNumBuckets: buckets,
    relativeAttentionMaxDistance: fields.integer(
      "relative_attention_max_distance",
      distances,
      128,
    ),
  };
}

/** "relu", "gated-silu"; "gated-gelu" has always meant the tanh approximation. */
function readFeedForward(fields: JsonFields): Pick<T5Config, "gated" | "activation"> {
  const name = "feed_forward_proj";
  const projection = fields.string(name) ?? "relu";
  const gated = projection.startsWith("gated-");
  const activation = projection === "gated-gelu"
    ? "geluTanh"
    : ACTIVATIONS.get(gated ? projection.slice("gated-".length) : projection);
  if (activation === undefined) {
    const known = [...ACTIVATIONS.keys()].map((key) => `"${key}"`).join(", ");
    fields.fail(name, `one of ${known}, or "gated-" and one of them`);
  }
  return { gated, activation };
}
