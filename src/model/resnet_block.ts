import type { Graph } from "../graph/graph.ts";
import type { Value } from "../graph/operation.ts";
import { concat } from "../graph/operations/concat.ts";
import type { Film } from "../graph/operations/group_norm.ts";
import type { ResNetConfig } from "./config.ts";
import { Conv3x3, TemporalConv } from "./layers.ts";
import { ResNet } from "./resnet.ts";
import type { Scope } from "./scope.ts";
import { SelfAttention, type TextContext } from "./self_attention.ts";
import { TemporalAttention } from "./temporal_attention.ts";

/** What a block is made of. */
export interface ResNetBlockOptions {
  /** Input and output channels of each ResNet. */
  readonly resnets: readonly { readonly inputs: number; readonly outputs: number }[];
  readonly attentionLayers: number;
  /** Width of the text features; 0: attention reads no text. */
  readonly conditioningDim: number;
  readonly temporalDim: number;
  readonly resample: "down" | "up" | null;
  /** What `resample` changes: the size of images, or the number of frames. */
  readonly resamples: "space" | "time";
  readonly temporalAttentionLayers: number;
  readonly temporalPositionalEncoding: boolean;
  readonly config: ResNetConfig;
}

/** What every block of a UNet is given at a step. */
export interface StepContext {
  /** Scale and shift of a ResNet's second norm. */
  film(resnet: ResNet): Film;
  readonly text: TextContext | null;
  /** Images or videos; each may have several rows, its frames. */
  readonly videos: number;
}

/** ResNets with attention after each, and a change of resolution at the end (`ResNetBlock` in the reference's unet.py). */
export class ResNetBlock {
  readonly path: string;
  readonly resnets: readonly ResNet[];
  readonly attentions: readonly SelfAttention[];
  readonly #layers: number;
  readonly #temporalAttentions: readonly TemporalAttention[];
  readonly #temporalLayers: number;
  readonly #resample: { conv: Conv3x3 | TemporalConv; direction: "down" | "up" } | null;

  constructor(scope: Scope, options: ResNetBlockOptions) {
    const { resnets, attentionLayers, conditioningDim, temporalDim, resample, config } = options;
    this.path = scope.path;
    this.#layers = attentionLayers;
    this.#temporalLayers = options.temporalAttentionLayers;
    this.resnets = resnets.map(({ inputs, outputs }, i) =>
      new ResNet(scope.child(`resnets.${i}`), inputs, outputs, temporalDim, config)
    );
    this.attentions = resnets.flatMap(({ outputs }, i) =>
      Array.from({ length: attentionLayers }, (_, j) =>
        new SelfAttention(
          scope.child(`attn.${i * attentionLayers + j}`),
          outputs,
          conditioningDim,
          config.useAttentionFfn,
        ))
    );
    this.#temporalAttentions = resnets.flatMap(({ outputs }, i) =>
      Array.from({ length: this.#temporalLayers }, (_, j) =>
        new TemporalAttention(
          scope.child(`t_attn.${i * this.#temporalLayers + j}`),
          outputs,
          options.temporalPositionalEncoding,
        ))
    );
    const channels = resnets.at(-1)!.outputs;
    const Conv = options.resamples === "time" ? TemporalConv : Conv3x3;
    this.#resample = resample === null
      ? null
      : { conv: new Conv(scope.child("resample"), channels, channels), direction: resample };
  }

  /**
   * @param skips Down path: receives what is passed on to the up path. Up path: gives it back, last first.
   */
  forward(
    graph: Graph,
    input: Value,
    context: StepContext,
    skips: { readonly into?: Value[]; readonly from?: Value[] } = {},
  ): Value {
    return graph.module(this.path, () => {
      let x = input;
      for (const [i, resnet] of this.resnets.entries()) {
        if (skips.from !== undefined) x = concat(graph, x, skips.from.pop()!);
        x = resnet.forward(graph, x, context.film(resnet));
        for (const attention of layersOf(this.attentions, i, this.#layers)) {
          x = attention.forward(graph, x, context.text);
        }
        for (const attention of layersOf(this.#temporalAttentions, i, this.#temporalLayers)) {
          x = attention.forward(graph, x, context.videos);
        }
        skips.into?.push(x);
      }
      if (this.#resample === null) return x;
      const { conv, direction } = this.#resample;
      const change = direction === "down" ? { stride: 2 as const } : { upsample: 2 as const };
      x = conv instanceof TemporalConv
        ? conv.forward(graph, x, context.videos, change)
        : conv.forward(graph, x, change);
      skips.into?.push(x);
      return x;
    });
  }
}

/** The layers after a ResNet. */
function layersOf<T>(layers: readonly T[], resnet: number, each: number): readonly T[] {
  return layers.slice(resnet * each, (resnet + 1) * each);
}
