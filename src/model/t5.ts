import type { Graph } from "../graph/graph.ts";
import type { Parameter, Value } from "../graph/operation.ts";
import { attention } from "../graph/operations/attention.ts";
import { linear } from "../graph/operations/conv2d.ts";
import { gather } from "../graph/operations/gather.ts";
import { rmsNorm } from "../graph/operations/layer_norm.ts";
import { Scope } from "./scope.ts";
import type { T5Config } from "./t5_config.ts";

/**
 * The encoder of T5 v1.1 and FLAN-T5 (arXiv 1910.10683; names as Hugging Face has them): pre-norm, no biases, attention
 * without scaling but with a learned bias by distance that the first layer holds for all.
 */
export class T5Encoder {
  /** The tensors that it reads; a file may hold others (a decoder). */
  readonly parameters: ReadonlyMap<string, Parameter>;
  /** [vocabSize, dModel]: rows are looked up on the host, since the whole table may be more than a device can bind. */
  readonly embedding: Parameter;
  readonly #relativeBias: Parameter;
  readonly #blocks: readonly Block[];
  readonly #finalNorm: Parameter;

  /** @param embedding The table's name: some files have it only as "encoder.embed_tokens.weight". */
  constructor(readonly config: T5Config, embedding: string = "shared.weight") {
    const scope = new Scope();
    const { vocabSize, dModel, numHeads, relativeAttentionNumBuckets } = config;
    this.embedding = scope.parameter(embedding, [vocabSize, dModel]);
    this.#relativeBias = scope.parameter(
      "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight",
      [relativeAttentionNumBuckets, numHeads],
    );
    this.#blocks = Array.from(
      { length: config.numLayers },
      (_, i) => new Block(scope.child(`encoder.block.${i}`), config),
    );
    this.#finalNorm = scope.parameter("encoder.final_layer_norm.weight", [dModel]);
    this.parameters = scope.parameters;
  }

  /**
   * @param embedded Rows of the embedding, [rows, tokens, dModel].
   * @param mask [rows, tokens]: 1 for tokens, 0 for padding.
   * @returns The last hidden state, [rows, tokens, dModel].
   */
  forward(graph: Graph, embedded: Value, mask: Value): Value {
    const tokens = embedded.shape[1]!;
    const bias = gather(graph, this.#relativeBias, relativeBuckets(tokens, this.config));
    let x = embedded;
    for (const block of this.#blocks) x = block.forward(graph, x, mask, bias);
    return rmsNorm(graph, x, this.#finalNorm, this.config.layerNormEpsilon);
  }
}

class Block {
  readonly #path: string;
  readonly #norm: Parameter;
  readonly #qkv: readonly Parameter[];
  readonly #o: Parameter;
  readonly #ffNorm: Parameter;
  /** [wi] or, gated, [wi_0, wi_1]. */
  readonly #wi: readonly Parameter[];
  readonly #wo: Parameter;

  constructor(scope: Scope, readonly config: T5Config) {
    const { dModel, numHeads, dKv, dFf, gated } = config;
    const inner = numHeads * dKv;
    this.#path = scope.path;
    const attention = scope.child("layer.0.SelfAttention");
    this.#norm = scope.parameter("layer.0.layer_norm.weight", [dModel]);
    this.#qkv = ["q", "k", "v"].map((name) =>
      attention.parameter(`${name}.weight`, [inner, dModel])
    );
    this.#o = attention.parameter("o.weight", [dModel, inner]);
    const dense = scope.child("layer.1.DenseReluDense");
    this.#ffNorm = scope.parameter("layer.1.layer_norm.weight", [dModel]);
    this.#wi = (gated ? ["wi_0", "wi_1"] : ["wi"])
      .map((name) => dense.parameter(`${name}.weight`, [dFf, dModel]));
    this.#wo = dense.parameter("wo.weight", [dModel, dFf]);
  }

  forward(graph: Graph, x: Value, mask: Value, bias: Value): Value {
    const { numHeads, dKv, layerNormEpsilon, activation } = this.config;
    return graph.module(this.#path, () => {
      const inner = numHeads * dKv;
      const qkv = linear(graph, rmsNorm(graph, x, this.#norm, layerNormEpsilon), {
        weight: this.#qkv,
      });
      const h = attention(graph, qkv, {
        heads: numHeads,
        headWidth: dKv,
        scale: 1,
        queryOffset: 0,
        keys: { kv: qkv, keyOffset: inner, valueOffset: 2 * inner, mask },
        bias,
      });
      const y = linear(graph, h, { weight: this.#o, residual: x });
      const n = rmsNorm(graph, y, this.#ffNorm, layerNormEpsilon);
      const [wi, gate] = this.#wi;
      const f = linear(graph, n, {
        weight: wi!,
        activation,
        ...gate && { gate: linear(graph, n, { weight: gate }) },
      });
      return linear(graph, f, { weight: this.#wo, residual: y });
    });
  }
}

/**
 * The bucket of each distance key - query from 1 - tokens to tokens - 1: half the buckets for keys before the query; in each half
 * distances have buckets of their own at first, then share them logarithmically.
 */
export function relativeBuckets(
  tokens: number,
  config: Pick<T5Config, "relativeAttentionNumBuckets" | "relativeAttentionMaxDistance">,
): Uint32Array<ArrayBuffer> {
  const half = config.relativeAttentionNumBuckets / 2;
  const exact = Math.floor(half / 2);
  // PyTorch takes these logarithms in 32 bits, which decides at the borders of buckets.
  const range = Math.fround(Math.log(config.relativeAttentionMaxDistance / exact));
  return Uint32Array.from({ length: 2 * tokens - 1 }, (_, i) => {
    const distance = i - (tokens - 1);
    const n = Math.abs(distance);
    const share = Math.fround(Math.fround(Math.log(Math.fround(n / exact))) / range);
    const bucket = n < exact
      ? n
      : Math.min(half - 1, exact + Math.floor(Math.fround(share * (half - exact))));
    return (distance > 0 ? half : 0) + bucket;
  });
}
