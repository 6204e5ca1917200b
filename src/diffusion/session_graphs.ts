import { Graph } from "../graph/graph.ts";
import type { Value } from "../graph/operation.ts";
import type { Shape } from "../graph/shape.ts";
import { repeatRows } from "../graph/operations/rows.ts";
import type { Network, NetworkSizes } from "../model/network.ts";
import { measureChange } from "./relative_change.ts";
import {
  COEFFICIENTS,
  firstNoise,
  noise,
  SLOT_BYTES,
  stepLevel,
  stepReusing,
} from "./operations.ts";
import type { Threshold } from "./thresholds.ts";

/** What a session is made for; all of it is fixed, for it decides what is recorded. */
export interface SessionShape {
  /** Images that are denoised together. */
  readonly slots: number;
  /** Whether each image has a row without its text as well, and whether that is run at every step. */
  readonly guided: "always" | "sometimes" | "never";
  /**
   * Whether the UNets inside the outermost one are run at every step, or some steps reuse their cached features; "measured": and the
   * relative change of the features from one run to the next is measured.
   */
  readonly inner: "always" | "sometimes" | "measured";
  /** Tokens that a text may have. */
  readonly tokens: number;
  /** Steps that the table of coefficients has room for. */
  readonly steps: number;
  /** Width and height of the outermost image. */
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
 * Steps whose scales and shifts are made at once: few enough for their tables to be small next to the activations, many enough
 * for weights to be read seldom. Always the same, so that an image's bits do not depend on how many steps others take.
 */
export const FILM_STEPS = 16;

/** Names of a session's own tensors. */
export const SESSION_TENSORS = {
  slots: "slots",
  coefficients: "coefficients",
  latent: (level: number) => `x_t.${level}`,
  x0: (level: number) => `x0.${level}`,
  noise: (level: number) => `noise.${level}`,
  /** The feature cache: what the UNets inside the outermost one added to it when they were run last. */
  inner: "inner",
  /** How much that changed: what `measureChange` gives. */
  change: "inner.change",
} as const;

/** A step of every image; which one is run is chosen anew at each step. */
export interface StepKind {
  /** Whether the rows without text are run as well. */
  readonly guided: boolean;
  /** Whether the UNets inside the outermost one are run. */
  readonly inner: boolean;
}

/** The graphs of a session, for a device or for a report. */
export interface SessionGraphs {
  /** Once an image: the first noise of every level. */
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
  const images = imageShapes(network, shape.slots, shape.size);
  const { conditioning, films, made } = promptGraphs(network, sizes);
  const own: [string, Shape][] = [
    [SESSION_TENSORS.slots, [shape.slots, SLOT_BYTES / 4]],
    [SESSION_TENSORS.coefficients, [shape.steps, network.levels * COEFFICIENTS]],
    ...images.flatMap((image, level): [string, Shape][] => [
      [SESSION_TENSORS.latent(level), image],
      [SESSION_TENSORS.x0(level), image],
      ...shape.noise === "given" ? [[SESSION_TENSORS.noise(level), image] as [string, Shape]] : [],
    ]),
  ];
  const tensors = new Map([
    ...network.tensors(sizes),
    ...[...made].map(([name, value]) => [name, value.shape] as const),
    ...own,
  ]);

  const start = new Graph();
  const seeds = start.input(SESSION_TENSORS.slots, tensors.get(SESSION_TENSORS.slots)!);
  for (const [level, image] of images.entries()) {
    start.output(SESSION_TENSORS.latent(level), firstNoise(start, seeds, image, level));
  }
  const steps = stepGraphs(network, shape, tensors);
  const { inputs, outputs } = steps[0]!.graph;
  for (const [name, { shape }] of [...inputs, ...outputs]) tensors.set(name, shape);
  return { start, conditioning, films, steps, tensors };
}

/** What is made of the prompts, and its names and shapes. */
function promptGraphs(network: Network, sizes: NetworkSizes) {
  const conditioning = network.conditioning(sizes);
  const films = network.films(sizes, conditioning.outputs);
  return { conditioning, films, made: new Map([...conditioning.outputs, ...films.outputs]) };
}

/** Every kind of step that a session may need. */
function stepGraphs(
  network: Network,
  shape: SessionShape,
  tensors: ReadonlyMap<string, Shape>,
): SessionGraphs["steps"] {
  const rows = { always: [true], sometimes: [true, false], never: [false] }[shape.guided];
  return rows.flatMap((guided) => {
    const { graph, inner } = stepGraph(network, shape, { guided, reused: null }, tensors);
    const whole = { guided, inner: true, graph };
    if (shape.inner === "always") return [whole];
    const outer = stepGraph(network, shape, { guided, reused: inner!.shape }, tensors);
    return [whole, { guided, inner: false, graph: outer.graph }];
  });
}

/**
 * A step of every image.
 *
 * @param reused The shape of what is used again; null: the UNets inside the outermost one are run.
 * @param tensors What the session shares. Where not all rows are run, those with text are: they come first in every tensor.
 */
function stepGraph(
  network: Network,
  shape: SessionShape,
  { guided, reused }: { readonly guided: boolean; readonly reused: Shape | null },
  tensors: ReadonlyMap<string, Shape>,
): { graph: Graph; inner: Value | null } {
  const { threshold, imageScales, outputScale } = shape;
  const images = imageShapes(network, shape.slots, shape.size);
  const sizes = { ...networkSizes(shape), rows: shape.slots * (guided ? 2 : 1) };
  const graph = new Graph();
  const input = (name: string) => graph.input(name, tensors.get(name)!);
  const slots = input(SESSION_TENSORS.slots);
  const coefficients = input(SESSION_TENSORS.coefficients);
  const latents = images.map((_, level) => input(SESSION_TENSORS.latent(level)));
  const seen = reused === null ? latents : latents.slice(0, 1);
  const rows = guided ? seen.map((latent) => repeatRows(graph, latent, 2)) : seen;
  const { predictions, inner } = network.denoise(
    graph,
    rows,
    sizes,
    promptGraphs(network, sizes).made,
    reused === null ? null : graph.input(SESSION_TENSORS.inner, reused),
  );
  const noiseOf = (level: number): { noise?: Value } => {
    switch (shape.noise) {
      case "none":
        return {};
      case "seeded":
        return { noise: noise(graph, slots, images[level]!, level) };
      case "given":
        return { noise: input(SESSION_TENSORS.noise(level)) };
    }
  };
  for (const [level, latent] of latents.entries()) {
    const previous = input(SESSION_TENSORS.x0(level));
    const step = { slots, coefficients, latent, previous, level, ...noiseOf(level) };
    const prediction = predictions[level];
    if (prediction === undefined) stepReusing(graph, step);
    else {
      stepLevel(graph, {
        ...step,
        prediction,
        guided,
        imageScale: imageScales[level]!,
        outputScale,
        threshold,
      });
    }
  }
  if (reused === null && shape.inner !== "always") keepInner(graph, inner!, shape.inner);
  return { graph, inner };
}

/** Keeps what the UNets inside the outermost one gave, for steps that use it again. */
function keepInner(graph: Graph, inner: Value, mode: "sometimes" | "measured"): void {
  if (mode === "sometimes") return graph.output(SESSION_TENSORS.inner, inner);
  const kept = graph.input(SESSION_TENSORS.inner, inner.shape);
  graph.output(SESSION_TENSORS.change, measureChange(graph, inner, kept));
}

/** The images of every level, outermost first: [slots, height, width, channels]. */
export function imageShapes(network: Network, slots: number, size: number): Shape[] {
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
