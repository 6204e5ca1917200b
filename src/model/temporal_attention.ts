import type { Graph } from "../graph/graph.ts";
import type { Parameter, Value } from "../graph/operation.ts";
import { attention } from "../graph/operations/attention.ts";
import { reshape } from "../graph/operations/reshape.ts";
import { rotary } from "../graph/operations/rotary.ts";
import { TEMPORAL_HEAD_CHANNELS } from "./config.ts";
import { Conv3x3, LayerNorm, Linear } from "./layers.ts";
import type { Scope } from "./scope.ts";

/**
 * Attention of the frames of a video to one another, each pixel for itself and at half the resolution (`TemporalAttentionBlock` in
 * the reference's unet.py). Frames stay rows; attention steps over them in memory, so nothing is transposed.
 */
export class TemporalAttention {
  readonly path: string;
  readonly #channels: number;
  readonly #downConv: Conv3x3;
  readonly #upConv: Conv3x3;
  readonly #norm: LayerNorm;
  readonly #qkv: Linear;
  readonly #projOut: Linear;
  /** Of rotary positions, in radians a frame; null: frames have no order. */
  readonly #frequencies: Parameter | null;
  readonly #mlp: { norm: LayerNorm; expand: Linear; contract: Linear };

  constructor(scope: Scope, channels: number, positionalEncoding: boolean) {
    this.path = scope.path;
    this.#channels = channels;
    this.#norm = new LayerNorm(scope.child("attn.norm"), channels);
    this.#qkv = new Linear(scope.child("attn.qkv"), channels, channels * 3);
    this.#projOut = new Linear(scope.child("attn.proj_out"), channels, channels);
    this.#frequencies = positionalEncoding
      ? scope.parameter("attn.pos_emb.freqs", [TEMPORAL_HEAD_CHANNELS / 2])
      : null;
    this.#mlp = {
      norm: new LayerNorm(scope.child("mlp.main.0"), channels),
      expand: new Linear(scope.child("mlp.main.1"), channels, channels * 4),
      contract: new Linear(scope.child("mlp.main.3"), channels * 4, channels),
    };
    this.#downConv = new Conv3x3(scope.child("down_conv"), channels, channels);
    this.#upConv = new Conv3x3(scope.child("up_conv"), channels, channels);
  }

  /**
   * @param input [videos * frames, height, width, channels].
   * @param videos How many videos the rows are.
   */
  forward(graph: Graph, input: Value, videos: number): Value {
    return graph.module(this.path, () => {
      const channels = this.#channels;
      const small = this.#downConv.forward(graph, input, { stride: 2 });
      const [rows = 1, height = 1, width = 1] = small.shape;
      const x = reshape(graph, small, [videos, rows / videos, height * width, channels]);
      let qkv = this.#qkv.forward(graph, this.#norm.forward(graph, x));
      const heads = { headWidth: TEMPORAL_HEAD_CHANNELS, heads: channels / TEMPORAL_HEAD_CHANNELS };
      if (this.#frequencies !== null) {
        qkv = rotary(graph, qkv, {
          frequencies: this.#frequencies,
          headWidth: heads.headWidth,
          rotated: 2 * channels,
        });
      }
      let h = attention(graph, qkv, {
        ...heads,
        temporal: true,
        queryOffset: 0,
        keys: { kv: qkv, keyOffset: channels, valueOffset: 2 * channels },
      });
      const y = this.#projOut.forward(graph, h, { residual: x });
      h = this.#mlp.expand.forward(graph, this.#mlp.norm.forward(graph, y), { activation: "gelu" });
      h = this.#mlp.contract.forward(graph, h, { residual: y });
      return this.#upConv.forward(graph, reshape(graph, h, small.shape), {
        upsample: 2,
        residual: input,
      });
    });
  }
}
