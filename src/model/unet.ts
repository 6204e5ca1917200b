import type { Graph } from "../graph/graph.ts";
import type { Value } from "../graph/operation.ts";
import { add } from "../graph/operations/add.ts";
import { linear } from "../graph/operations/conv2d.ts";
import { framesOf, mosaicOf } from "../graph/operations/mosaic.ts";
import { deviation, repeatRows } from "../graph/operations/rows.ts";
import { attentionLayersAt, type UNetConfig } from "./config.ts";
import { Conv3x3, GroupNorm, Linear } from "./layers.ts";
import type { ResNet } from "./resnet.ts";
import { ResNetBlock, type StepContext } from "./resnet_block.ts";
import type { Scope } from "./scope.ts";
import type { SelfAttention, TextContext } from "./self_attention.ts";
import { TextHead } from "./text_head.ts";

/** What a UNet is given at a step; all that does not depend on the image. */
export interface UNetInputs {
  /** What {@link UNet.films} gives for each row's step, [rows, width], by the path of the UNet. */
  readonly films: ReadonlyMap<string, Value>;
  readonly text: TextContext | null;
  /** What the UNet inside the outermost one added to it at an earlier step: to be added again, instead of running it. */
  readonly reused: Value | null;
}

/** What a UNet gives at a step. */
export interface UNetOutputs {
  /** The prediction of each resolution, outermost first; with `reused` that of the outermost alone. */
  readonly predictions: Value[];
  /** Adds the features before the last layer to the graph: an outer UNet reads them. */
  features(): Value;
  /** What the UNet inside added to this one; null where none is. */
  readonly inner: Value | null;
}

/** The UNet of one resolution (`UNet` in the reference's unet.py; the nested one is in nested_unet.ts). */
export class UNet {
  readonly path: string;
  readonly textHead: TextHead | null;
  /** Embeds a micro-condition, by its name. */
  readonly conditionLayers: ReadonlyMap<string, readonly [Linear, Linear]>;
  readonly #timeLayers: readonly [Linear, Linear];
  readonly #convIn: Conv3x3;
  readonly #down: readonly ResNetBlock[];
  readonly #mid: readonly ResNetBlock[];
  readonly #up: readonly ResNetBlock[];
  readonly #normOut: GroupNorm;
  readonly #convOut: Conv3x3;

  constructor(
    scope: Scope,
    readonly config: UNetConfig,
    inputChannels: number,
    outputChannels: number,
  ) {
    const { resolutionChannels: channels, temporalDim } = config;
    this.path = scope.path;
    this.#timeLayers = embeddingLayers(
      scope.child("temb_layer1"),
      scope.child("temb_layer2"),
      temporalDim,
    );
    this.conditionLayers = new Map(config.microConditioning.map(({ name }) => {
      const layers = scope.child(`cond_layers.${name}`);
      return [name, embeddingLayers(layers.child(0), layers.child(1), temporalDim)];
    }));
    this.textHead = config.hasTextHead ? new TextHead(scope, config) : null;
    this.#convIn = new Conv3x3(scope.child("conv_in"), inputChannels, channels[0]!);
    const blocks = makeBlocks(scope, config);
    this.#down = blocks.down;
    this.#mid = blocks.mid;
    this.#up = blocks.up;
    this.#normOut = new GroupNorm(
      scope.child("norm_out"),
      config.resnet.numGroupsNorm,
      channels[0]!,
    );
    this.#convOut = new Conv3x3(scope.child("conv_out"), channels[0]!, outputChannels);
  }

  /** Every attention layer, in order. */
  get attentions(): readonly SelfAttention[] {
    return this.#blocks.flatMap((block) => block.attentions);
  }

  /** This UNet and those inside it, outermost first. */
  get unets(): readonly UNet[] {
    return [this];
  }

  /**
   * Embeds times, and from that makes the scale and shift of every ResNet in one linear layer: they depend on the step and the
   * prompt only, so that many steps can be made at once.
   *
   * @param times Sines and cosines of each row's times, [rows, steps, temporalDim / 4].
   * @param embedding What else is added to the embedding: text and micro-conditions, [rows, temporalDim].
   * @returns [rows, steps, width], the ResNets one after the other.
   */
  films(graph: Graph, times: Value, embedding: Value | undefined): Value {
    const [layer1, layer2] = this.#timeLayers;
    const hidden = layer1.forward(graph, times, { activation: "silu" });
    const time = embedding === undefined
      ? layer2.forward(graph, hidden, { activation: "silu" })
      : add(graph, layer2.forward(graph, hidden), embedding, "silu");
    const layers = this.#resnets.map(({ timeLayer }) => timeLayer);
    return graph.module(
      this.path === "" ? "time_layers" : `${this.path}.time_layers`,
      () =>
        linear(graph, time, {
          weight: layers.map(({ weight }) => weight),
          bias: layers.map(({ bias }) => bias!),
        }),
    );
  }

  /**
   * Predicts for one image a row.
   *
   * @param images [rows, height, width, channels] of each resolution, outermost first (here: one).
   * @param features Added to the first convolution's result: what an outer UNet passes in.
   */
  forward(
    graph: Graph,
    images: readonly Value[],
    inputs: UNetInputs,
    features: Value | null = null,
  ): UNetOutputs {
    const { grid, innerGrid } = this.config.frames ?? { grid: 1, innerGrid: 1 };
    const context = this.#context(inputs, images[0]!.shape[0]!);
    const image = framesOf(graph, images[0]!, grid);
    let x = this.#convIn.forward(
      graph,
      this.normalisesInput ? normalised(graph, image) : image,
    );
    if (features !== null) x = add(graph, x, framesOf(graph, features, grid));
    const skips = [x];
    for (const block of this.#down) x = block.forward(graph, x, context, { into: skips });
    const mosaic = mosaicOf(graph, x, innerGrid);
    const middle = this.middle(graph, mosaic, context, images.slice(1), inputs);
    x = framesOf(graph, middle.x, innerGrid);
    for (const block of this.#up) x = block.forward(graph, x, context, { from: skips });
    const y = this.#normOut.forward(graph, x, { activation: "silu" });
    const prediction = mosaicOf(graph, this.#convOut.forward(graph, y), grid);
    return {
      predictions: [prediction, ...middle.predictions],
      features: () => mosaicOf(graph, x, grid),
      inner: middle.inner,
    };
  }

  /** Whether images (of a video: frames) are divided by their standard deviation first. */
  protected get normalisesInput(): boolean {
    return false;
  }

  /** What happens between the down and the up path: the middle blocks, unless a UNet is nested there. */
  protected middle(
    graph: Graph,
    x: Value,
    context: StepContext,
    _images: readonly Value[],
    _inputs: UNetInputs,
  ): { x: Value; predictions: readonly Value[]; inner: Value | null } {
    for (const block of this.#mid) x = block.forward(graph, x, context);
    return { x, predictions: [], inner: null };
  }

  get #blocks(): readonly ResNetBlock[] {
    return [...this.#down, ...this.#mid, ...this.#up];
  }

  get #resnets(): readonly ResNet[] {
    return this.#blocks.flatMap((block) => block.resnets);
  }

  #context({ films, text }: UNetInputs, videos: number): StepContext {
    const value = films.get(this.path)!;
    const offsets = new Map<ResNet, number>();
    let offset = 0;
    for (const resnet of this.#resnets) {
      offsets.set(resnet, offset);
      offset += resnet.outputs * 2;
    }
    return { text, videos, film: (resnet) => ({ value, offset: offsets.get(resnet)! }) };
  }
}

/** The two layers that embed sines and cosines; a SiLU stands between them. */
function embeddingLayers(
  first: Scope,
  second: Scope,
  temporalDim: number,
): readonly [Linear, Linear] {
  return [
    new Linear(first, temporalDim / 4, temporalDim),
    new Linear(second, temporalDim, temporalDim),
  ];
}

function normalised(graph: Graph, image: Value): Value {
  return repeatRows(graph, image, 1, deviation(graph, image));
}

/** Lays out the blocks as the reference's constructor does: what goes down is remembered, and comes up again last first. */
function makeBlocks(scope: Scope, config: UNetConfig) {
  const { resolutionChannels, numResnetsPerResolution, temporalDim, resnet } = config;
  const last = resolutionChannels.length - 1;
  let channels = resolutionChannels[0]!;
  const skips = [channels];
  const chain = (count: number, outputs: number, skipped: () => number) =>
    Array.from({ length: count }, () => {
      const inputs = channels + skipped();
      channels = outputs;
      return { inputs, outputs };
    });
  const block = (
    name: string,
    level: number,
    resnets: ResNetChain,
    resample: "down" | "up" | null,
  ) =>
    new ResNetBlock(scope.child(name), {
      resnets,
      resample,
      temporalDim,
      attentionLayers: attentionLayersAt(config, level),
      conditioningDim: config.conditioningDim,
      resamples: config.frames?.resamples ?? "space",
      temporalAttentionLayers: config.numTemporalAttentionLayers[level] ?? 0,
      temporalPositionalEncoding: config.temporalPositionalEncoding,
      config: resnet,
    });

  const down = resolutionChannels.map((outputs, level) => {
    const resnets = chain(numResnetsPerResolution[level]!, outputs, () => 0);
    skips.push(...resnets.map((r) => r.outputs), ...level === last ? [] : [outputs]);
    return block(`down_blocks.${level}`, level, resnets, level === last ? null : "down");
  });
  const mid = config.skipMidBlocks
    ? []
    : [1, 0].map((attentionLayers, i) =>
      new ResNetBlock(scope.child(`mid_blocks.${i}`), {
        resnets: [{ inputs: channels, outputs: channels }],
        resample: null,
        temporalDim,
        attentionLayers,
        conditioningDim: config.conditioningDim,
        resamples: "space",
        temporalAttentionLayers: 0,
        temporalPositionalEncoding: false,
        config: resnet,
      })
    );
  const up = resolutionChannels.map((_, i) => {
    const level = last - i;
    const count = numResnetsPerResolution[level]! + 1;
    const resnets = chain(count, resolutionChannels[level]!, () => skips.pop()!);
    return block(`up_blocks.${i}`, level, resnets, level === 0 ? null : "up");
  });
  return { down, mid, up };
}

type ResNetChain = readonly { readonly inputs: number; readonly outputs: number }[];
