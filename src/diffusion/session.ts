import type { Pipelines } from "../gpu/recording.ts";
import { Tensor } from "../gpu/tensor.ts";
import type { Weights } from "../gpu/weights.ts";
import { Executable } from "../graph/executable.ts";
import { arenaBytes } from "../graph/plan.ts";
import { type Network, TENSORS } from "../model/network.ts";
import { writeTimes } from "../model/network_inputs.ts";
import { relativeChange } from "./relative_change.ts";
import { COEFFICIENTS, SLOT_BYTES } from "./operations.ts";
import type { SamplingPlan } from "./plan.ts";
import {
  FILM_STEPS,
  networkSizes,
  SESSION_TENSORS,
  sessionGraphs,
  type SessionShape,
  type StepKind,
} from "./session_graphs.ts";

/** What an image is at a step. */
export interface SlotState {
  /** The step's row in the tables of the run. */
  readonly tableRow: number;
  /** How often noise was drawn for this image before. */
  readonly draw: number;
  readonly seed: bigint;
  /** 1: at this step the image is not guided. */
  readonly guidance: number;
}

/** Memory, weights and recorded calls for sampling images of one shape, to be used again and again. */
export class Session implements Disposable {
  /** The model's times, by row of the tables of runs. */
  readonly #times: number[];
  /** The first of the steps whose scales and shifts are there, of each slot. */
  readonly #filmsFrom: number[];
  /** Whether any image is guided at the step that is next. */
  #guides = false;

  private constructor(
    readonly shape: SessionShape,
    readonly network: Network,
    /** By name: what goes in and comes out. */
    readonly tensors: ReadonlyMap<string, Tensor>,
    readonly executables: {
      readonly start: Executable;
      readonly conditioning: Executable;
      readonly films: Executable;
      /** As the graphs of {@link SessionGraphs}. */
      readonly steps: readonly (StepKind & { readonly executable: Executable })[];
    },
  ) {
    this.#times = new Array(shape.steps).fill(0);
    this.#filmsFrom = new Array(shape.slots).fill(-Infinity);
  }

  /** Loads weights that are not there yet, allocates and records. */
  static async make(
    network: Network,
    shape: SessionShape,
    { pipelines, weights }: { pipelines: Pipelines; weights: Weights },
  ): Promise<Session> {
    const graphs = sessionGraphs(network, shape);
    // Where one more does not fit, those before must not stay.
    using made = new DisposableStack();
    const tensor = (name: string, size: readonly number[]) =>
      made.use(new Tensor(pipelines.gpu, name, size));
    const tensors = new Map(
      [...graphs.tensors].map(([name, size]) => [name, tensor(name, size)]),
    );
    const [start, conditioning, films, ...rest] = await Executable.makeAll(
      [
        graphs.start,
        graphs.conditioning,
        graphs.films,
        ...graphs.steps.map(({ graph }) => graph),
      ],
      { pipelines, weights, tensors },
    );
    const steps = graphs.steps.map(({ graph: _, ...kind }, i) => {
      return { ...kind, executable: rest[i]! };
    });
    made.move();
    return new Session(shape, network, tensors, { start, conditioning, films, steps });
  }

  /** A tensor by name. */
  tensor(name: string): Tensor {
    const tensor = this.tensors.get(name);
    if (tensor === undefined) throw new Error(`The session has no tensor "${name}"`);
    return tensor;
  }

  /** Bytes on the GPU besides the weights. */
  get bytes(): number {
    return arenaBytes(this.#all.map(({ plan }) => plan)) +
      [...this.tensors.values()].reduce((sum, tensor) => sum + tensor.bytes, 0);
  }

  /** Writes the tables of a run: a row for each of its steps, from `first` on. Images may be at rows of several runs. */
  writeTables({ times, levels }: Pick<SamplingPlan, "times" | "levels">, first = 0): void {
    times.forEach((time, i) => this.#times[first + i] = time);
    for (const [slot, from] of this.#filmsFrom.entries()) {
      const isWritten = from < first + times.length && first < from + FILM_STEPS;
      if (isWritten) this.#filmsFrom[slot] = -Infinity;
    }
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

  /** Writes the state of each image; takes effect for what is submitted after. */
  writeSlots(states: readonly SlotState[]): void {
    const { slots } = this.shape;
    this.#makeFilms(states);
    this.#guides = states.some(({ guidance }) => guidance !== 1);
    const bytes = new DataView(new ArrayBuffer(slots * SLOT_BYTES));
    const films = new Uint32Array(networkSizes(this.shape).rows);
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

  /** Makes the scales and shifts of the next steps, for images that have used up theirs. */
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

  /** Draws the first noise of every level of the images that have drawn none. */
  start(): void {
    this.executables.start.submit();
  }

  /**
   * Makes keys, values and embeddings of the texts that were written.
   *
   * @param changed The slots whose texts are others than before.
   */
  condition(changed: Iterable<number> = Array(this.shape.slots).keys()): void {
    this.executables.conditioning.submit();
    for (const slot of changed) this.#filmsFrom[slot] = -Infinity;
  }

  /**
   * One step of every image; if none is guided, and the session has such a step, of the rows with text only.
   *
   * @param inner Whether the UNets inside the outermost one are run: always, unless the session caches their features.
   */
  step({ inner = true }: { readonly inner?: boolean } = {}): void {
    const steps = this.executables.steps.filter((step) => step.inner === inner);
    const { executable } = steps.find(({ guided }) => guided === this.#guides) ?? steps[0]!;
    executable.submit();
  }

  /**
   * The relative change of the features of the UNets inside the outermost one, from the run before the last to the last: of the first
   * image, with its text. Waits for the steps that were submitted.
   */
  async readChange(): Promise<number> {
    const tensor = this.tensor(SESSION_TENSORS.change);
    return relativeChange(await tensor.read(), tensor.shape[1]!);
  }

  get #all(): readonly Executable[] {
    const { start, conditioning, films, steps } = this.executables;
    return [start, conditioning, films, ...steps.map(({ executable }) => executable)];
  }

  [Symbol.dispose](): void {
    for (const executable of this.#all) executable[Symbol.dispose]();
    for (const tensor of this.tensors.values()) tensor[Symbol.dispose]();
  }
}
