import type { Graph } from "../graph/graph.ts";
import type { Value } from "../graph/operation.ts";
import { attention } from "../graph/operations/attention.ts";
import { weightedSum } from "../graph/operations/rows.ts";
import { NUM_ATTENTION_HEADS, type UNetConfig } from "./config.ts";
import { LayerNorm, Linear } from "./layers.ts";
import type { Scope } from "./scope.ts";

/** A transformer block over the text's tokens (`SelfAttention1DBlock` in the reference's unet.py). */
class SelfAttention1DBlock {
  readonly path: string;
  readonly #width: number;
  readonly #norm: LayerNorm;
  readonly #qkv: Linear;
  readonly #projOut: Linear;
  readonly #mlp: { norm: LayerNorm; expand: Linear; contract: Linear };

  constructor(scope: Scope, width: number) {
    this.path = scope.path;
    this.#width = width;
    this.#norm = new LayerNorm(scope.child("attn.norm"), width);
    this.#qkv = new Linear(scope.child("attn.qkv"), width, width * 3);
    this.#projOut = new Linear(scope.child("attn.proj_out"), width, width);
    this.#mlp = {
      norm: new LayerNorm(scope.child("mlp.main.0"), width),
      expand: new Linear(scope.child("mlp.main.1"), width, width * 4),
      contract: new Linear(scope.child("mlp.main.3"), width * 4, width),
    };
  }

  /** [rows, tokens, width] to the same. */
  forward(graph: Graph, x: Value, mask: Value): Value {
    return graph.module(this.path, () => {
      const width = this.#width;
      const qkv = this.#qkv.forward(graph, this.#norm.forward(graph, x));
      let h = attention(graph, qkv, {
        heads: NUM_ATTENTION_HEADS,
        headWidth: width / NUM_ATTENTION_HEADS,
        queryOffset: 0,
        keys: { kv: qkv, keyOffset: width, valueOffset: 2 * width, mask },
      });
      const y = this.#projOut.forward(graph, h, { residual: x });
      h = this.#mlp.norm.forward(graph, y);
      h = this.#mlp.expand.forward(graph, h, { activation: "gelu" });
      return this.#mlp.contract.forward(graph, h, { residual: y });
    });
  }
}

/** Text as the model takes it. */
export interface TextInputs {
  /** [rows, tokens, width], zero at padding. */
  readonly features: Value;
  /** [rows, tokens]: 1 where a token may be attended to. */
  readonly mask: Value;
  /** [rows, tokens]: the share of each token in the pooled embedding; a row sums to 1. */
  readonly pool: Value;
}

/** What a UNet learned to do with text before the image sees it (`forward_conditioning` in the reference's unet.py). */
export class TextHead {
  readonly #proj: Linear | null;
  readonly #layers: readonly SelfAttention1DBlock[];
  readonly #embedding: Linear;

  constructor(scope: Scope, config: UNetConfig) {
    const { inputConditioningDim, conditioningDim, conditioningFeatureProjDim } = config;
    this.#proj = conditioningFeatureProjDim > 0
      ? new Linear(scope.child("lm_proj"), inputConditioningDim, conditioningDim)
      : null;
    this.#layers = Array.from(
      { length: config.numLmHeadLayers },
      (_, i) => new SelfAttention1DBlock(scope.child(`lm_head.${i}`), conditioningDim),
    );
    this.#embedding = new Linear(scope.child("cond_emb"), conditioningDim, config.temporalDim, {
      bias: false,
    });
  }

  /** Features [rows, tokens, conditioningDim] for cross-attention, and one embedding a row [rows, temporalDim]. */
  forward(
    graph: Graph,
    { features, mask, pool }: TextInputs,
  ): { features: Value; embedding: Value } {
    let x = this.#proj?.forward(graph, features) ?? features;
    for (const layer of this.#layers) x = layer.forward(graph, x, mask);
    return { features: x, embedding: this.#embedding.forward(graph, weightedSum(graph, x, pool)) };
  }
}
