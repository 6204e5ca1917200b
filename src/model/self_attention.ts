import type { Graph } from "../graph/graph.ts";
import type { Value } from "../graph/operation.ts";
import { attention } from "../graph/operations/attention.ts";
import { ATTENTION_NORM_GROUPS, NUM_ATTENTION_HEADS } from "./config.ts";
import { GroupNorm, LayerNorm, Linear, Pointwise } from "./layers.ts";
import type { Scope } from "./scope.ts";

/** What cross-attention reads; made once a prompt. */
export interface TextContext {
  /** Keys and values by the path of their attention layer, [rows, tokens, 2 * channels]. */
  readonly kv: ReadonlyMap<string, Value>;
  /** [rows, tokens]: 1 where a token may be attended to. */
  readonly mask: Value;
}

/**
 * Self-attention over the pixels of an image; cross-attention to text is added to its result before the projection
 * (`SelfAttention` in the reference's unet.py: two softmaxes, one sum).
 */
export class SelfAttention {
  readonly path: string;
  readonly #channels: number;
  readonly #norm: GroupNorm;
  readonly #qkv: Pointwise;
  readonly #cross: { norm: LayerNorm; kv: Linear } | null;
  readonly #projOut: Pointwise;
  readonly #ffn: { norm: GroupNorm; expand: Pointwise; contract: Pointwise } | null;

  /** @param conditioningDim Width of the text features; 0: no cross-attention. */
  constructor(scope: Scope, channels: number, conditioningDim: number, useFfn: boolean) {
    this.path = scope.path;
    this.#channels = channels;
    this.#norm = new GroupNorm(scope.child("norm"), ATTENTION_NORM_GROUPS, channels);
    this.#qkv = new Pointwise(scope.child("qkv"), channels, channels * 3);
    this.#cross = conditioningDim > 0
      ? {
        norm: new LayerNorm(scope.child("norm_cond"), conditioningDim),
        kv: new Linear(scope.child("kv_cond"), conditioningDim, channels * 2),
      }
      : null;
    this.#projOut = new Pointwise(scope.child("proj_out"), channels, channels);
    this.#ffn = useFfn
      ? {
        norm: new GroupNorm(scope.child("ffn.0"), ATTENTION_NORM_GROUPS, channels),
        expand: new Pointwise(scope.child("ffn.1"), channels, channels * 4),
        contract: new Pointwise(scope.child("ffn.3"), channels * 4, channels),
      }
      : null;
  }

  /** The channels of the keys and values that it reads from text; 0 when it reads none. */
  get kvChannels(): number {
    return this.#cross === null ? 0 : this.#channels * 2;
  }

  /** Keys and values of text features [rows, tokens, width]: they do not change from step to step. */
  kv(graph: Graph, features: Value): Value | null {
    if (this.#cross === null) return null;
    return this.#cross.kv.forward(graph, this.#cross.norm.forward(graph, features));
  }

  /** [rows, height, width, channels] to the same. */
  forward(graph: Graph, x: Value, text: TextContext | null): Value {
    return graph.module(this.path, () => {
      const channels = this.#channels;
      const qkv = this.#qkv.forward(graph, this.#norm.forward(graph, x));
      const kv = text?.kv.get(this.path);
      const also = text !== null && kv !== undefined &&
        { kv, keyOffset: 0, valueOffset: channels, mask: text.mask };
      let h = attention(graph, qkv, {
        heads: NUM_ATTENTION_HEADS,
        headWidth: channels / NUM_ATTENTION_HEADS,
        queryOffset: 0,
        keys: { kv: qkv, keyOffset: channels, valueOffset: 2 * channels },
        ...also && { also },
      });
      const y = this.#projOut.forward(graph, h, { residual: x });
      if (this.#ffn === null) return y;
      const { norm, expand, contract } = this.#ffn;
      h = expand.forward(graph, norm.forward(graph, y), { activation: "gelu" });
      return contract.forward(graph, h, { residual: y });
    });
  }
}
