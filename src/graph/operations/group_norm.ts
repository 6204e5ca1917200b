import type { KernelTarget } from "../../gpu/device.ts";
import { spread } from "../../gpu/kernel.ts";
import { type Activation, ACTIVATIONS } from "../../gpu/activation.ts";
import { elementwise, kernels, WORKGROUP } from "../../gpu/kernels.ts";
import { rowMajor } from "../../gpu/packing.ts";
import {
  type Graph,
  need,
  needShape,
  type Operation,
  type Parameter,
  type Value,
  vectors,
} from "../graph.ts";
import { elements, sources } from "../lowering.ts";

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
    if (fitsOneCall(to.target.gpu, pixels, channels)) {
      to.emit({
        kernel: kernels.groupNorm,
        constants: { WORKGROUP, CHANNELS: WORKGROUP * 4 },
        params: {
          rows,
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
        workgroups: spread(rows),
      });
      return;
    }
    const { chunk, chunks } = chunking(pixels);
    const partial = to.scratch(rows * chunks * 2 * channels * 4);
    const affine = to.scratch(rows * 2 * channels * 4);

    const statistics = rows * chunks * (vectors0 + vectors1);
    to.emit(elementwise({
      kernel: kernels.groupNormStats,
      invocations: statistics,
      params: { pixels, chunk, chunks, vectors0, vectors1 },
      buffers: { ...inputs, partial },
    }));
    to.emit(elementwise({
      kernel: kernels.groupNormAffine,
      invocations: rows * channels,
      params: {
        channels,
        groupSize: channels / groups,
        pixels,
        chunk,
        chunks,
        epsilon: EPSILON,
        ...filmParams,
      },
      buffers: { ...parameters, partial, affine },
    }));
    const invocations = rows * pixels * (vectors0 + vectors1);
    to.emit(elementwise({
      kernel: kernels.groupNormApply,
      invocations,
      params: { pixels, vectors0, vectors1, activation: ACTIVATIONS[activation] },
      buffers: { ...inputs, affine, output: to.value(output) },
    }));
  },
};

/** Options of {@link groupNorm}. */
export interface GroupNormOptions {
  readonly weight: Parameter;
  readonly bias: Parameter;
  readonly groups: number;
  readonly film?: Film;
  readonly activation?: Activation;
}

/**
 * `activation(GroupNorm(x) (1 + scale) + shift)` over a picture, [rows, ..., channels] (PyTorch's nn.GroupNorm).
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

/** Whether a row is small enough to be normalised by one workgroup. It hangs on the row alone, so that bits do not on the batch. */
function fitsOneCall(gpu: KernelTarget, pixels: number, channels: number): boolean {
  return gpu.deviceClass === "software" && channels <= WORKGROUP * 4 &&
    pixels * channels <= SMALL_ROW;
}

/** Chunks of pixels whose statistics are taken apart: enough to be parallel, few enough to be merged cheaply. */
function chunking(pixels: number): { chunk: number; chunks: number } {
  const chunk = Math.max(64, Math.ceil(pixels / 256));
  return { chunk, chunks: Math.ceil(pixels / chunk) };
}
