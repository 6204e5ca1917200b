import { Graph } from "../graph/graph.ts";
import type { Parameter, Value } from "../graph/operation.ts";
import type { Shape } from "../graph/shape.ts";
import { add } from "../graph/operations/add.ts";
import { gather } from "../graph/operations/gather.ts";
import { reshape } from "../graph/operations/reshape.ts";
import type { ModelConfig } from "./config.ts";
import { makeUNet } from "./nested_unet.ts";
import { Scope } from "./scope.ts";
import type { UNet, UNetOutputs } from "./unet.ts";

/** Names of the tensors that the graphs of a network share. */
export const TENSORS = {
  /** Text features, [rows, tokens, width], zero at padding. */
  features: "text.features",
  /** [rows, tokens]: 1 where a token may be attended to. */
  mask: "text.mask",
  /** [rows, tokens]: the share of each token in the pooled embedding. */
  pool: "text.pool",
  /** [rows], u32: which row of the tables of scales and shifts is each row's, row * steps + step. */
  film: "rows.film",
  /** Sines and cosines of each row's times for a width of time embedding, [rows, steps, width / 4]. */
  times: (temporalDim: number) => `times.${temporalDim}`,
  /** Sines and cosines of a micro-condition, [rows, width / 4]. */
  micro: (unet: string, name: string) => dotted(unet, `micros.${name}`),
} as const;

/** Sizes that a network is planned for. */
export interface NetworkSizes {
  /** Rows of a batch: images, twice with guidance. */
  readonly rows: number;
  /** Tokens that a row's text may have. */
  readonly tokens: number;
  /** Steps whose scales and shifts are made at once. */
  readonly steps: number;
}

/** A model as graphs: what it does once with a prompt, once for several steps, and at every step. */
export class Network {
  /** Every tensor that its checkpoint has to have. */
  readonly parameters: ReadonlyMap<string, Parameter>;
  readonly unet: UNet;

  constructor(readonly config: ModelConfig) {
    const scope = new Scope();
    this.unet = makeUNet(scope, config.unet, config.inputChannels, config.outputChannels);
    this.parameters = scope.parameters;
  }

  /** Resolutions that are denoised together. */
  get levels(): number {
    return this.unet.unets.length;
  }

  /** Whether the network takes text (or a class). */
  get takesText(): boolean {
    return this.#innermost.textHead !== null;
  }

  /** The widths of time embeddings that there are. */
  get temporalDims(): readonly number[] {
    return [...new Set(this.unet.unets.map(({ config }) => config.temporalDim))];
  }

  /** Tensors from outside that a run of the network needs, and their shapes. */
  tensors({ rows, tokens, steps }: NetworkSizes): Map<string, Shape> {
    const text: [string, Shape][] = this.takesText
      ? [
        [TENSORS.features, [rows, tokens, this.config.conditioningFeatureDim]],
        [TENSORS.mask, [rows, tokens]],
        [TENSORS.pool, [rows, tokens]],
      ]
      : [];
    const micros = this.unet.unets.flatMap(({ path, config }) =>
      config.microConditioning.map(({ name }): [string, Shape] => [
        TENSORS.micro(path, name),
        [rows, config.temporalDim / 4],
      ])
    );
    const times = this.temporalDims.map((dim): [string, Shape] => [
      TENSORS.times(dim),
      [rows, steps, dim / 4],
    ]);
    return new Map([...text, ...micros, ...times, [TENSORS.film, [rows]]]);
  }

  /**
   * What is done once with a prompt. Outputs: keys and values of every cross-attention, and what is added to each UNet's
   * time embedding. The reference computes these again at each step; they do not change.
   */
  conditioning(sizes: NetworkSizes): Graph {
    const graph = new Graph();
    const shapes = this.tensors(sizes);
    const input = (name: string) => graph.input(name, shapes.get(name)!);
    const head = this.#innermost.textHead;
    const text = head?.forward(graph, {
      features: input(TENSORS.features),
      mask: input(TENSORS.mask),
      pool: input(TENSORS.pool),
    });
    if (text !== undefined) {
      graph.output(TEXT_EMBEDDING, text.embedding);
      for (const attention of this.unet.unets.flatMap((unet) => unet.attentions)) {
        const kv = attention.kv(graph, text.features);
        if (kv !== null) graph.output(kvName(attention.path), kv);
      }
    }
    for (const { path, conditionLayers } of this.unet.unets) {
      let embedding = text?.embedding;
      for (const [name, [first, second]] of conditionLayers) {
        const hidden = first.forward(graph, input(TENSORS.micro(path, name)), {
          activation: "silu",
        });
        const micro = second.forward(graph, hidden);
        embedding = embedding === undefined ? micro : add(graph, embedding, micro);
      }
      if (conditionLayers.size > 0) graph.output(dotted(path, EMBEDDING), embedding!);
    }
    return graph;
  }

  /**
   * What is done once for several steps: the scales and shifts of every ResNet. Outputs: a table for each UNet, with a row for each
   * step of each row. The reference computes them at each step, where the weights are read for as many numbers as there are rows.
   *
   * @param prompt The outputs of {@link conditioning}, by name with their shapes.
   */
  films(sizes: NetworkSizes, prompt: ReadonlyMap<string, Value>): Graph {
    const graph = new Graph();
    const shapes = this.tensors(sizes);
    const times = new Map(this.temporalDims.map((dim) => {
      const name = TENSORS.times(dim);
      return [dim, graph.input(name, shapes.get(name)!)];
    }));
    const given = inputs(graph, prompt);
    for (const unet of this.unet.unets) {
      const embedding = given.get(dotted(unet.path, EMBEDDING)) ?? given.get(TEXT_EMBEDDING);
      const films = unet.films(graph, times.get(unet.config.temporalDim)!, embedding);
      const table = reshape(graph, films, [sizes.rows * sizes.steps, films.shape.at(-1)!]);
      graph.output(filmsName(unet.path), table);
    }
    return graph;
  }

  /**
   * What is done at every step, on a graph of the caller's.
   *
   * @param images Noisy images [rows, height, width, channels] of each resolution, outermost first.
   * @param made The outputs of {@link conditioning} and {@link films}, by name with their shapes.
   * @param reused The `inner` of an earlier step: the UNets inside the outermost one are not run then.
   * @returns Predictions, shaped as the images; and what the UNets inside the outermost one add to it.
   */
  denoise(
    graph: Graph,
    images: readonly Value[],
    sizes: NetworkSizes,
    made: ReadonlyMap<string, Value>,
    reused: Value | null = null,
  ): Pick<UNetOutputs, "predictions" | "inner"> {
    const shapes = this.tensors(sizes);
    const film = graph.input(TENSORS.film, shapes.get(TENSORS.film)!);
    const given = inputs(graph, made);
    const unets = reused === null ? this.unet.unets : [this.unet];
    const films = new Map(
      unets.map(({ path }) => [path, gather(graph, given.get(filmsName(path))!, film)]),
    );
    const kv = new Map(
      unets.flatMap((unet) => unet.attentions)
        .map(({ path }) => [path, given.get(kvName(path))] as const)
        .filter((entry): entry is [string, Value] => entry[1] !== undefined),
    );
    const text = kv.size === 0
      ? null
      : { kv, mask: graph.input(TENSORS.mask, shapes.get(TENSORS.mask)!) };
    return this.unet.forward(graph, images, { films, text, reused });
  }

  get #innermost(): UNet {
    return this.unet.unets.at(-1)!;
  }
}

/** What another graph made, as inputs of a graph. */
function inputs(graph: Graph, made: ReadonlyMap<string, Value>): Map<string, Value> {
  return new Map([...made].map(([name, { shape }]) => [name, graph.input(name, shape)]));
}

/** The text's embedding, which every UNet adds that has no micro-conditions of its own. */
const TEXT_EMBEDDING = "text.embedding";

/** What a UNet with micro-conditions adds. */
const EMBEDDING = "embedding";

/** The table of a UNet's scales and shifts. */
function filmsName(unet: string): string {
  return dotted(unet, "films");
}

function kvName(attention: string): string {
  return `${attention}.kv`;
}

function dotted(path: string, name: string): string {
  return path === "" ? name : `${path}.${name}`;
}
