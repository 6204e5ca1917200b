/** The operations of a sampling step, for the graph. */
import { elementwise, kernels, rowPerWorkgroup } from "../gpu/kernels.ts";
import type { Graph } from "../graph/graph.ts";
import type { Operation, Value } from "../graph/operation.ts";
import { elements, need, type Shape, vectors } from "../graph/shape.ts";
import { repeatRows } from "../graph/operations/rows.ts";
import type { Threshold } from "./thresholds.ts";

/** Bytes of `struct Slot` in shaders/slot.wgsl. */
export const SLOT_BYTES = 32;

/** Numbers of one level in a row of the table of coefficients: six are used. */
export const COEFFICIENTS = 8;

/** Parameters of a kernel that reads a level's coefficients from the row of each slot's step. */
function tableParams(coefficients: Value, level: number) {
  return { tableStride: coefficients.shape[1]!, tableOffset: level * COEFFICIENTS };
}

/** Vectors of each slot's image, and of all. */
function slotSizes(shape: Shape): { slotVectors: number; invocations: number } {
  const slotVectors = elements(shape.slice(1, -1)) * vectors(shape);
  return { slotVectors, invocations: shape[0]! * slotVectors };
}

const noiseOperation: Operation<{ shape: Shape; level: number; first: boolean }> = {
  name: "noise",
  shape: (_, { shape }) => shape,
  lower([slots], output, { level, first }, to) {
    const { slotVectors, invocations } = slotSizes(output.shape);
    to.emit(elementwise({
      kernel: kernels.noise,
      invocations,
      params: {
        slotVectors,
        vectors: vectors(output.shape),
        channels: output.shape.at(-1)!,
        level,
        firstOnly: Number(first),
      },
      buffers: { slots: to.value(slots!), output: to.value(output) },
    }));
  },
};

/** Normal noise [slots, height, width, channels], determined by each slot's seed and draw and by the level. */
export function noise(graph: Graph, slots: Value, shape: Shape, level: number): Value {
  return graph.apply(noiseOperation, [slots], { shape, level, first: false });
}

/** The same for images that have drawn none before; the others keep theirs. */
export function firstNoise(graph: Graph, slots: Value, shape: Shape, level: number): Value {
  return graph.apply(noiseOperation, [slots], { shape, level, first: true });
}

interface X0Attributes {
  readonly level: number;
  readonly guided: boolean;
  readonly imageScale: number;
  readonly outputScale: number;
}

const x0Operation: Operation<X0Attributes> = {
  name: "predictX0",
  shape([, , prediction, latent], { guided }) {
    const [slots, ...image] = latent!.shape;
    const expected = [guided ? slots! * 2 : slots!, ...image];
    need(
      String(prediction!.shape) === String(expected),
      `the prediction has to be [${expected.join(", ")}]`,
    );
    return latent!.shape;
  },
  lower([slots, coefficients, prediction, latent], output, attributes, to) {
    const { level, guided, imageScale, outputScale } = attributes;
    const { slotVectors, invocations } = slotSizes(output.shape);
    to.emit(elementwise({
      kernel: kernels.predictX0,
      invocations,
      params: {
        slotVectors,
        guided: Number(guided),
        ...tableParams(coefficients!, level),
        imageScale,
        outputScale,
      },
      buffers: {
        slots: to.value(slots!),
        coefficients: to.value(coefficients!),
        prediction: to.value(prediction!),
        latent: to.value(latent!),
        output: to.value(output),
      },
    }));
  },
};

const quantileOperation: Operation<{ quantile: number; max: number }> = {
  name: "quantile",
  shape: ([input]) => [input!.shape[0]!, 1],
  lower([input], output, { quantile, max }, to) {
    const [slots = 1, height = 1, width = 1, channels = 1] = input!.shape;
    // PyTorch works out the rank in 32 bits.
    const rank = Math.fround(Math.fround(quantile) * (height * width * channels - 1));
    to.emit(rowPerWorkgroup({
      kernel: kernels.quantile,
      rows: slots,
      params: {
        pixels: height * width,
        vectors: vectors(input!.shape),
        channels,
        rank: Math.floor(rank),
        fraction: rank - Math.floor(rank),
        limit: max,
      },
      buffers: { input: to.value(input!), output: to.value(output) },
    }));
  },
};

interface UpdateAttributes {
  readonly level: number;
  readonly threshold: Threshold;
  readonly imageScale: number;
  readonly noisy: boolean;
}

const updateOperation: Operation<UpdateAttributes> = {
  name: "samplerUpdate",
  shape: ([, , raw]) => raw!.shape,
  lower([slots, coefficients, raw, latent, previous, ...rest], output, attributes, to) {
    const { level, threshold, imageScale, noisy } = attributes;
    const { slotVectors, invocations } = slotSizes(output.shape);
    to.emit(elementwise({
      kernel: kernels.samplerUpdate,
      invocations,
      params: {
        slotVectors,
        ...tableParams(coefficients!, level),
        threshold: ["none", "clip", "dynamic"].indexOf(threshold.kind),
        limit: threshold.kind === "clip" ? threshold.max : 0,
        imageScale,
      },
      buffers: {
        slots: to.value(slots!),
        coefficients: to.value(coefficients!),
        raw: to.value(raw!),
        latent: to.value(latent!),
        previous: to.value(previous!),
        ...noisy && { noise: to.value(rest[0]!) },
        ...threshold.kind === "dynamic" && { quantile: to.value(rest.at(-1)!) },
      },
    }));
  },
};

/** What one level's step needs. */
export interface LevelStep {
  readonly slots: Value;
  /** [table rows, levels * COEFFICIENTS]. */
  readonly coefficients: Value;
  /** The model's result: [slots, ...], or guided [2 * slots, ...] with the rows without text last. */
  readonly prediction: Value;
  /** x_t, stepped in place. */
  readonly latent: Value;
  /** x0 of the step before; becomes this step's. */
  readonly previous: Value;
  /** Noise to be added; absent for samplers that add none. */
  readonly noise?: Value;
  readonly level: number;
  readonly guided: boolean;
  readonly imageScale: number;
  /** The reference's `model_output_scale`; 0: none. */
  readonly outputScale: number;
  readonly threshold: Threshold;
}

/** Guides, thresholds and steps one level: `latent` and `previous` change in place. */
export function stepLevel(graph: Graph, step: LevelStep): void {
  const { slots, coefficients, prediction, latent, previous, threshold, level, imageScale } = step;
  const { guided, outputScale } = step;
  const raw = graph.apply(x0Operation, [slots, coefficients, prediction, latent], {
    level,
    guided,
    imageScale,
    outputScale,
  });
  const extras = [
    ...step.noise === undefined ? [] : [step.noise],
    ...threshold.kind === "dynamic" ? [graph.apply(quantileOperation, [raw], threshold)] : [],
  ];
  graph.apply(updateOperation, [slots, coefficients, raw, latent, previous, ...extras], {
    level,
    threshold,
    imageScale,
    noisy: step.noise !== undefined,
  });
}

/** Steps one level with x0 as it was at the step before: `latent` changes in place. */
export function stepReusing(
  graph: Graph,
  { slots, coefficients, latent, previous, level, noise }: Pick<
    LevelStep,
    "slots" | "coefficients" | "latent" | "previous" | "level" | "noise"
  >,
): void {
  // A copy, for a kernel cannot write what it reads by another name.
  const raw = repeatRows(graph, previous, 1);
  const extras = noise === undefined ? [] : [noise];
  graph.apply(updateOperation, [slots, coefficients, raw, latent, previous, ...extras], {
    level,
    threshold: { kind: "none" },
    imageScale: 1,
    noisy: noise !== undefined,
  });
}
