import type { Pipelines } from "../gpu/recording.ts";
import { Tensor } from "../gpu/tensor.ts";
import type { Weights } from "../gpu/weights.ts";
import { Executable } from "../graph/executable.ts";
import { arenaBytes } from "../graph/plan.ts";
import { Graph, type Shape, type Value } from "../graph/graph.ts";
import { repeatRows } from "../graph/operations/rows.ts";
import { type Network, type NetworkSizes, TENSORS } from "../model/network.ts";
import { writeTimes } from "../model/network_inputs.ts";
import { COEFFICIENTS, noise, SLOT_BYTES, stepLevel } from "./operations.ts";
import type { SamplingPlan } from "./plan.ts";
import type { Threshold } from "./thresholds.ts";

/** What a session is made for; all of it is fixed, for it decides what is recorded. */
export interface SessionShape {
  /** Pictures that are denoised together. */
  readonly slots: number;
  /** Whether each picture has a row without its text as well. */
  readonly guided: boolean;
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

/** What a picture is at a step. */
export interface SlotState {
  /** The step's row in the tables of the run. */
  readonly tableRow: number;
  /** How often noise was drawn for this picture before. */
  readonly draw: number;
  readonly seed: bigint;
  readonly guidance: number;
}

/** Names of a session's own tensors. */
export const SESSION_TENSORS = {
  slots: "slots",
  coefficients: "coefficients",
  latent: (level: number) => `x_t.${level}`,
  x0: (level: number) => `x0.${level}`,
  noise: (level: number) => `noise.${level}`,
} as const;

/** The graphs of a session, for a device or for a report. */
export interface SessionGraphs {
  /** Once a run: the first noise of every level. */
  readonly start: Graph;
  /** Once a prompt. */
  readonly conditioning: Graph;
  /** Once for {@link FILM_STEPS} steps. */
  readonly films: Graph;
  /** Once a step. */
  readonly step: Graph;
  /** Every tensor that the graphs share. */
  readonly tensors: ReadonlyMap<string, Shape>;
}

/** Puts a session's graphs together: from noise and text to the next x_t of every level. */
export function sessionGraphs(network: Network, shape: SessionShape): SessionGraphs {
  const { slots, guided, size, threshold, imageScales, outputScale } = shape;
  const sizes = networkSizes(shape);
  const pictures = pictureShapes(network, slots, size);
  const conditioning = network.conditioning(sizes);
  const films = network.films(sizes, conditioning.outputs);
  const made = new Map([...conditioning.outputs, ...films.outputs]);
  const own: [string, Shape][] = [
    [SESSION_TENSORS.slots, [slots, SLOT_BYTES / 4]],
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

  const step = new Graph();
  const input = (name: string) => step.input(name, tensors.get(name)!);
  const slotStates = input(SESSION_TENSORS.slots);
  const coefficients = input(SESSION_TENSORS.coefficients);
  const latents = pictures.map((_, level) => input(SESSION_TENSORS.latent(level)));
  const rows = guided ? latents.map((latent) => repeatRows(step, latent, 2)) : latents;
  const predictions = network.denoise(step, rows, sizes, made);
  const noiseOf = (level: number): { noise?: Value } => {
    switch (shape.noise) {
      case "none":
        return {};
      case "seeded":
        return { noise: noise(step, slotStates, pictures[level]!, level) };
      case "given":
        return { noise: input(SESSION_TENSORS.noise(level)) };
    }
  };
  for (const [level, prediction] of predictions.entries()) {
    stepLevel(step, {
      slots: slotStates,
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
  return { start, conditioning, films, step, tensors };
}

/** Memory, weights and recorded calls for sampling pictures of one shape, to be used again and again. */
export class Session implements Disposable {
  /** The model's times, by row of the tables of runs. */
  readonly #times: number[] = [];
  /** The first of the steps whose scales and shifts are there, of each slot. */
  readonly #filmsFrom: number[];

  private constructor(
    readonly shape: SessionShape,
    readonly network: Network,
    /** By name: what goes in and comes out. */
    readonly tensors: ReadonlyMap<string, Tensor>,
    readonly executables: {
      readonly start: Executable;
      readonly conditioning: Executable;
      readonly films: Executable;
      readonly step: Executable;
    },
  ) {
    this.#filmsFrom = new Array(shape.slots).fill(-Infinity);
  }

  /** Loads weights that are not there yet, allocates and records. */
  static async make(
    network: Network,
    shape: SessionShape,
    { pipelines, weights }: { pipelines: Pipelines; weights: Weights },
  ): Promise<Session> {
    const graphs = sessionGraphs(network, shape);
    const tensors = new Map(
      [...graphs.tensors].map(([name, size]) => [name, new Tensor(pipelines.gpu, name, size)]),
    );
    const [start, conditioning, films, step] = await Executable.makeAll(
      [graphs.start, graphs.conditioning, graphs.films, graphs.step],
      { pipelines, weights, tensors },
    );
    return new Session(shape, network, tensors, { start, conditioning, films, step });
  }

  /** A tensor by name. */
  tensor(name: string): Tensor {
    const tensor = this.tensors.get(name);
    if (tensor === undefined) throw new Error(`The session has no tensor "${name}"`);
    return tensor;
  }

  /** Bytes on the GPU beside the weights. */
  get bytes(): number {
    return arenaBytes(Object.values(this.executables).map(({ plan }) => plan)) +
      [...this.tensors.values()].reduce((sum, tensor) => sum + tensor.bytes, 0);
  }

  /** Writes the tables of a run: a row for each of its steps, from `first` on. */
  writeTables({ times, levels }: Pick<SamplingPlan, "times" | "levels">, first = 0): void {
    times.forEach((time, i) => this.#times[first + i] = time);
    this.#filmsFrom.fill(-Infinity);
    const width = levels.length * COEFFICIENTS;
    const table = new Float32Array(times.length * width);
    for (const [level, { coefficients }] of levels.entries()) {
      for (const [i, c] of coefficients.entries()) {
        const row = [c.x0FromLatent, c.x0FromPrediction, c.latent, c.x0, c.previousX0, c.noise];
        table.set(row, i * width + level * COEFFICIENTS);
      }
    }
    this.tensor(SESSION_TENSORS.coefficients).write(table, first);
  }

  /** Says where each picture is; takes effect for what is submitted after. */
  writeSlots(states: readonly SlotState[]): void {
    const { slots, guided } = this.shape;
    this.#makeFilms(states);
    const bytes = new DataView(new ArrayBuffer(slots * SLOT_BYTES));
    const films = new Uint32Array(slots * (guided ? 2 : 1));
    for (const [slot, { tableRow, draw, seed, guidance }] of states.entries()) {
      const at = slot * SLOT_BYTES;
      bytes.setUint32(at, tableRow, true);
      bytes.setUint32(at + 4, draw, true);
      bytes.setBigUint64(at + 8, BigInt.asUintN(64, seed), true);
      bytes.setFloat32(at + 16, guidance, true);
      for (let row = slot; row < films.length; row += slots) {
        films[row] = row * FILM_STEPS + tableRow - this.#filmsFrom[slot]!;
      }
    }
    this.tensor(SESSION_TENSORS.slots).writeRaw(new Uint8Array(bytes.buffer));
    this.tensor(TENSORS.film).writeRaw(films);
  }

  /** Makes the scales and shifts of the steps to come, for pictures that have gone through those that there are. */
  #makeFilms(states: readonly SlotState[]): void {
    const { rows } = networkSizes(this.shape);
    const missing = states.entries().filter(([slot, { tableRow }]) => {
      const step = tableRow - this.#filmsFrom[slot]!;
      return step < 0 || step >= FILM_STEPS;
    }).toArray();
    for (const [slot, { tableRow }] of missing) {
      this.#filmsFrom[slot] = tableRow;
      const times = this.#times.slice(tableRow, tableRow + FILM_STEPS);
      for (let row = slot; row < rows; row += this.shape.slots) {
        writeTimes(this.network, times, this.tensors, row);
      }
    }
    if (missing.length > 0) this.executables.films.submit();
  }

  /** Draws the first noise of every level. */
  start(): void {
    this.executables.start.submit();
  }

  /** Makes keys, values and embeddings of the texts that were written. */
  condition(): void {
    this.executables.conditioning.submit();
    this.#filmsFrom.fill(-Infinity);
  }

  /** One step of every picture. */
  step(): void {
    this.executables.step.submit();
  }

  [Symbol.dispose](): void {
    for (const executable of Object.values(this.executables)) executable[Symbol.dispose]();
    for (const tensor of this.tensors.values()) tensor[Symbol.dispose]();
  }
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

function networkSizes({ slots, guided, tokens }: SessionShape): NetworkSizes {
  return { rows: slots * (guided ? 2 : 1), tokens, steps: FILM_STEPS };
}
