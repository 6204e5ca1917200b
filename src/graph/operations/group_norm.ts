import { type Activation, ACTIVATIONS } from "../../gpu/activation.ts";
import { elementwise, kernels, rowPerWorkgroup, WORKGROUP } from "../../gpu/kernels.ts";
import { rowMajor } from "../../gpu/packing.ts";
import type { Graph } from "../graph.ts";
import {
  type Lowering,
  needShape,
  type Operation,
  type Parameter,
  sources,
  type Statistics,
  type Value,
} from "../operation.ts";
import { elements, need, vectors } from "../shape.ts";

/** Scale and shift of each channel that come from elsewhere (FiLM): `y (1 + scale) + shift`. */
export interface Film {
  /** [rows, ...]: the scales of all channels and then their shifts, from `offset` on. Each row may stand for several (frames). */
  readonly value: Value;
  readonly offset: number;
}

interface Attributes {
  readonly weight: Parameter;
  readonly bias: Parameter;
  readonly groups: number;
  readonly activation: Activation;
  readonly filmOffset: number | null;
}

/** PyTorch's default. */
const EPSILON = 1e-5;

const norm: Operation<Attributes> = {
  name: "groupNorm",

  shape([input, film], { weight, bias, groups, filmOffset }) {
    const channels = input!.shape.at(-1)!;
    needShape(weight, [channels]);
    needShape(bias, [channels]);
    need(channels % groups === 0, `${channels} channels are not divisible by ${groups} groups`);
    need(channels % 4 === 0, `${channels} channels are not a multiple of 4`);
    if (filmOffset !== null) {
      need(
        input!.shape[0]! % film!.shape[0]! === 0,
        "the scale and shift have a number of rows that does not divide the input's",
      );
      need(
        film!.shape.length === 2 && filmOffset + 2 * channels <= film!.shape[1]!,
        `the scale and shift are too short for ${channels} channels`,
      );
    }
    return input!.shape;
  },

  lower([input, film], output, { weight, bias, groups, activation, filmOffset }, to) {
    const [rows = 1, ...area] = input!.shape.slice(0, -1);
    const pixels = elements(area);
    const channels = input!.shape.at(-1)!;
    const parts = sources(input!);
    const fused = isFused(output, activation, to);
    const [vectors0, vectors1] = [vectors(parts[0]!.shape), parts[1] ? vectors(parts[1].shape) : 0];
    const inputs = {
      input0: to.value(parts[0]!),
      ...parts[1] && { input1: to.value(parts[1]) },
    };
    const filmParams = {
      useFilm: Number(filmOffset !== null),
      filmRepeat: film === undefined ? 1 : rows / film.shape[0]!,
      filmStride: film === undefined ? 0 : vectors(film.shape) * 4,
      filmOffset: filmOffset ?? 0,
    };
    const parameters = {
      weight: to.weight([weight], rowMajor(1, channels)),
      bias: to.weight([bias], rowMajor(1, channels)),
      ...film && { film: to.value(film) },
    };
    if (isOneCall(input!, fused, to)) {
      to.emit(rowPerWorkgroup({
        kernel: kernels.groupNorm,
        constants: { CHANNELS: WORKGROUP * 4 },
        rows,
        params: {
          pixels,
          pixelLanes: Math.min(pixels, Math.floor(WORKGROUP / (vectors0 + vectors1))),
          vectors0,
          vectors1,
          groupSize: channels / groups,
          epsilon: EPSILON,
          activation: ACTIVATIONS[activation],
          ...filmParams,
        },
        buffers: { ...inputs, ...parameters, output: to.value(output) },
      }));
      return;
    }
    const affine = to.scratch(rows * 2 * channels * 4);
    const [known0, known1] = parts.map((part) =>
      to.statistics(part) ?? computeStatistics(part, rows, pixels, to)
    ) as [Statistics, Statistics?];
    to.emit(elementwise({
      kernel: kernels.groupNormAffine,
      invocations: rows * groups,
      params: {
        channels,
        channels0: vectors0 * 4,
        groupSize: channels / groups,
        pixels,
        chunk0: known0.chunk,
        chunk1: known1?.chunk ?? 1,
        epsilon: EPSILON,
        ...filmParams,
      },
      buffers: {
        ...parameters,
        statistics0: known0.memory,
        ...known1 && { statistics1: known1.memory },
        affine,
      },
    }));
    if (fused) {
      to.fusePrologue(output, { input: input!, affine, activation });
      return;
    }
    const invocations = rows * pixels * (vectors0 + vectors1);
    to.emit(elementwise({
      kernel: kernels.groupNormApply,
      invocations,
      params: { pixels, vectors0, vectors1, activation: ACTIVATIONS[activation] },
      buffers: { ...inputs, affine, output: to.value(output) },
    }));
  },

  readsStatistics: ({ inputs: [input], output, attributes }, to) =>
    !isOneCall(input!, isFused(output, (attributes as Attributes).activation, to), to),
};

/** Statistics of a value whose producer kept none. */
function computeStatistics(
  part: Value,
  rows: number,
  pixels: number,
  to: Lowering,
): Statistics {
  const { chunk, chunks } = chunking(pixels);
  const places = rows * chunks;
  const memory = to.scratch(places * 2 * vectors(part.shape) * 16);
  to.emit(elementwise({
    kernel: kernels.groupNormStats,
    invocations: places * vectors(part.shape),
    params: { pixels, chunk, vectors: vectors(part.shape) },
    buffers: { input: to.value(part), statistics: memory },
  }));
  const statistics = { memory, chunk };
  to.keepStatistics(part, statistics);
  return statistics;
}

/** Options of {@link groupNorm}. */
export interface GroupNormOptions {
  readonly weight: Parameter;
  readonly bias: Parameter;
  readonly groups: number;
  readonly film?: Film;
  readonly activation?: Activation;
}

/**
 * `activation(GroupNorm(x) (1 + scale) + shift)` over an image, [rows, ..., channels] (PyTorch's nn.GroupNorm).
 * The input may be a concatenation.
 */
export function groupNorm(graph: Graph, input: Value, options: GroupNormOptions): Value {
  const { weight, bias, groups, film, activation = "none" } = options;
  return graph.apply(norm, film === undefined ? [input] : [input, film.value], {
    weight,
    bias,
    groups,
    activation,
    filmOffset: film?.offset ?? null,
  });
}

/** Numbers of a row up to which one call on one core beats three calls on all. */
const SMALL_ROW = 1 << 16;

/** Whether the result is left to its reader, as a prologue: readers know no other activations than these. */
function isFused(output: Value, activation: Activation, to: Lowering): boolean {
  return (activation === "none" || activation === "silu") && to.canFusePrologue(output);
}

/**
 * Whether a row is normalised by one workgroup: if it is small and has to be stored. That depends on the row alone, so that an
 * image keeps its bits in any batch.
 */
function isOneCall(input: Value, fused: boolean, to: Lowering): boolean {
  return !fused && to.target.policy.deviceClass === "software" &&
    input.shape.at(-1)! <= WORKGROUP * 4 && elements(input.shape.slice(1)) <= SMALL_ROW;
}

/** Chunks of pixels whose statistics are taken apart: enough to be parallel, few enough to be merged cheaply. */
function chunking(pixels: number): { chunk: number; chunks: number } {
  const chunk = Math.max(64, Math.ceil(pixels / 256));
  return { chunk, chunks: Math.ceil(pixels / chunk) };
}
