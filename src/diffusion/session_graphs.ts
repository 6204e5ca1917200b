import { Graph, type Shape, type Value } from "../graph/graph.ts";
import { repeatRows } from "../graph/operations/rows.ts";
import type { Network, NetworkSizes } from "../model/network.ts";
import { COEFFICIENTS, noise, SLOT_BYTES, stepLevel } from "./operations.ts";
import type { Threshold } from "./thresholds.ts";

/** What a session is made for; all of it is fixed, for it decides what is recorded. */
export interface SessionShape {
  /** Pictures that are denoised together. */
  readonly slots: number;
  /** Whether each picture has a row without its text as well, and whether that is run at every step. */
  readonly guided: "always" | "sometimes" | "never";
  /** Tokens that a text may have. */
  readonly tokens: number;
  /** Steps that the table of coefficients has room for. */
  readonly steps: number;
  /** Width and height of the outermost picture. */
  readonly size: number;
  readonly threshold: Threshold;
  /** The scale of each level when it is thresholded, outermost first. */
  readonly imageScales: readonly number[];
  /** The reference's `model_output_scale`; 0: none. */
  readonly outputScale: number;
  /** Where a step's noise comes from; "given": from the tensors `noise.<level>`. */
  readonly noise: "none" | "seeded" | "given";
}

/**
 * Steps whose scales and shifts are made at once: few enough for their tables to be small beside the activations, many enough
 * for weights to be read seldom. Always the same, so that a picture's bits do not depend on how many steps others take.
 */
export const FILM_STEPS = 16;

/** Names of a session's own tensors. */
export const SESSION_TENSORS = {
  slots: "slots",
  coefficients: "coefficients",
  latent: (level: number) => `x_t.${level}`,
  x0: (level: number) => `x0.${level}`,
  noise: (level: number) => `noise.${level}`,
} as const;

/** A step of every picture; which one is run is chosen anew at each step. */
interface StepKind {
  /** Whether the rows without text are run as well. */
  readonly guided: boolean;
}

/** The graphs of a session, for a device or for a report. */
export interface SessionGraphs {
  /** Once a run: the first noise of every level. */
  readonly start: Graph;
  /** Once a prompt. */
  readonly conditioning: Graph;
  /** Once for {@link FILM_STEPS} steps. */
  readonly films: Graph;
  /** Once a step one of them, the largest first. */
  readonly steps: readonly (StepKind & { readonly graph: Graph })[];
  /** Every tensor that the graphs share. */
  readonly tensors: ReadonlyMap<string, Shape>;
}

/** Puts a session's graphs together: from noise and text to the next x_t of every level. */
export function sessionGraphs(network: Network, shape: SessionShape): SessionGraphs {
  const sizes = networkSizes(shape);
  const pictures = pictureShapes(network, shape.slots, shape.size);
  const { conditioning, films, made } = promptGraphs(network, sizes);
  const own: [string, Shape][] = [
    [SESSION_TENSORS.slots, [shape.slots, SLOT_BYTES / 4]],
    [SESSION_TENSORS.coefficients, [shape.steps, network.levels * COEFFICIENTS]],
    ...pictures.flatMap((picture, level): [string, Shape][] => [
      [SESSION_TENSORS.latent(level), picture],
      [SESSION_TENSORS.x0(level), picture],
      ...shape.noise === "given"
        ? [[SESSION_TENSORS.noise(level), picture] as [string, Shape]]
        : [],
    ]),
  ];
  const tensors = new Map([
    ...network.tensors(sizes),
    ...[...made].map(([name, value]) => [name, value.shape] as const),
    ...own,
  ]);

  const start = new Graph();
  const seeds = start.input(SESSION_TENSORS.slots, tensors.get(SESSION_TENSORS.slots)!);
  for (const [level, picture] of pictures.entries()) {
    start.output(SESSION_TENSORS.latent(level), noise(start, seeds, picture, level));
  }
  const steps = stepKinds(shape).map((kind) => {
    return { ...kind, graph: stepGraph(network, shape, kind, tensors) };
  });
  return { start, conditioning, films, steps, tensors };
}

/** What is made of the prompts, and its names and shapes. */
function promptGraphs(network: Network, sizes: NetworkSizes) {
  const conditioning = network.conditioning(sizes);
  const films = network.films(sizes, conditioning.outputs);
  return { conditioning, films, made: new Map([...conditioning.outputs, ...films.outputs]) };
}

function stepKinds({ guided }: SessionShape): StepKind[] {
  switch (guided) {
    case "always":
      return [{ guided: true }];
    case "never":
      return [{ guided: false }];
    case "sometimes":
      return [{ guided: true }, { guided: false }];
  }
}

/**
 * A step of every picture.
 *
 * @param tensors Every tensor of the session. Where not all rows are run, those with text are: they come first in every tensor.
 */
function stepGraph(
  network: Network,
  shape: SessionShape,
  { guided }: StepKind,
  tensors: ReadonlyMap<string, Shape>,
): Graph {
  const { threshold, imageScales, outputScale } = shape;
  const pictures = pictureShapes(network, shape.slots, shape.size);
  const sizes = { ...networkSizes(shape), rows: shape.slots * (guided ? 2 : 1) };
  const graph = new Graph();
  const input = (name: string) => graph.input(name, tensors.get(name)!);
  const slots = input(SESSION_TENSORS.slots);
  const coefficients = input(SESSION_TENSORS.coefficients);
  const latents = pictures.map((_, level) => input(SESSION_TENSORS.latent(level)));
  const rows = guided ? latents.map((latent) => repeatRows(graph, latent, 2)) : latents;
  const predictions = network.denoise(graph, rows, sizes, promptGraphs(network, sizes).made);
  const noiseOf = (level: number): { noise?: Value } => {
    switch (shape.noise) {
      case "none":
        return {};
      case "seeded":
        return { noise: noise(graph, slots, pictures[level]!, level) };
      case "given":
        return { noise: input(SESSION_TENSORS.noise(level)) };
    }
  };
  for (const [level, prediction] of predictions.entries()) {
    stepLevel(graph, {
      slots,
      coefficients,
      prediction,
      latent: latents[level]!,
      previous: input(SESSION_TENSORS.x0(level)),
      ...noiseOf(level),
      level,
      guided,
      imageScale: imageScales[level]!,
      outputScale,
      threshold,
    });
  }
  return graph;
}

/** The pictures of every level, outermost first: [slots, height, width, channels]. */
export function pictureShapes(network: Network, slots: number, size: number): Shape[] {
  const { nestRatio, inputChannels } = network.config;
  const outermost = nestRatio[0] ?? 1;
  return [...nestRatio, 1].map((ratio) => {
    const side = size * ratio / outermost;
    return [slots, side, side, inputChannels];
  });
}

/** Sizes that the network is planned for. */
export function networkSizes({ slots, guided, tokens }: SessionShape): NetworkSizes {
  return { rows: slots * (guided === "never" ? 1 : 2), tokens, steps: FILM_STEPS };
}
