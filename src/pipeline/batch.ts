import type { SamplingPlan } from "../diffusion/plan.ts";
import { Session, type SlotState } from "../diffusion/session.ts";
import { SESSION_TENSORS } from "../diffusion/session_graphs.ts";
import type { BufferCopy } from "../gpu/device.ts";
import type { Pipelines } from "../gpu/recording.ts";
import type { Tensor } from "../gpu/tensor.ts";
import type { Weights } from "../gpu/weights.ts";
import type { Picture } from "../media/picture.ts";
import { toPicture } from "../media/pixels.ts";
import type { Network } from "../model/network.ts";
import { writeMicros, writeText } from "../model/network_inputs.ts";
import type { RowText } from "../model/text_inputs.ts";
import { type BatchKind, batchShape } from "./request.ts";

/** A picture to be denoised. */
export interface Sampled {
  readonly seed: bigint;
  readonly plan: SamplingPlan;
  /** What it shows, and where the batch is guided what stands for no text; empty where the model takes none. */
  readonly texts: readonly RowText[];
  /** Where it goes on; absent: it begins. */
  readonly saved?: SavedPicture;
}

/** A picture on its way: with this it can go on elsewhere, to the same result. */
export interface SavedPicture {
  /** Steps that are done. */
  readonly step: number;
  /** x_t and the last x0 of every level, the outermost first. */
  readonly latents: readonly Float32Array[];
  readonly estimates: readonly Float32Array[];
}

/** A picture in its slot. */
interface Place {
  readonly picture: Sampled;
  step: number;
}

/** A slot without a picture is computed as well, to no purpose. */
const IDLE: SlotState = { tableRow: 0, draw: 1, seed: 0n, guidance: 1 };

/**
 * Pictures that are denoised together, each at a step of its own run: they come and go between steps, and none sees the others.
 * Their session has as many slots as there are pictures, more or less: it is made anew where that pays, and they go on in it.
 */
export class Batch implements Disposable {
  #session: Session | null = null;
  #places: (Place | null)[] = [];

  constructor(
    private readonly network: Network,
    private readonly runnable: { readonly pipelines: Pipelines; readonly weights: Weights },
    readonly kind: BatchKind,
  ) {}

  /** The pictures on their way. */
  get pictures(): Sampled[] {
    return this.#occupied.map(({ picture }) => picture);
  }

  /** Bytes on the GPU beside the weights. */
  get bytes(): number {
    return this.#session?.bytes ?? 0;
  }

  /** Multiplications and additions of a step. */
  get stepFlops(): number {
    return this.#session?.executables.steps[0]?.executable.plan.flops ?? 0;
  }

  /**
   * Puts pictures beside those that are on their way; their first step is the next one. Without any it gives back what those that left
   * have taken, where that pays.
   */
  async add(pictures: readonly Sampled[]): Promise<void> {
    const arriving = pictures.map((picture): Place => {
      return { picture, step: picture.saved?.step ?? 0 };
    });
    const all = [...this.#occupied, ...arriving];
    if (all.length === 0) return;
    const changed = this.#hasRoom(all) ? this.#fill(arriving) : await this.#move(all);
    if (changed.length === 0) return;
    const session = this.#session!;
    for (const slot of changed) this.#write(slot);
    session.condition(changed);
    for (const place of arriving) this.#restore(place);
    if (arriving.every(({ picture }) => picture.saved !== undefined)) return;
    const begun = (place: Place) => !arriving.includes(place) || place.picture.saved !== undefined;
    session.writeSlots(this.#states((place) => begun(place) ? 1 : 0));
    session.start();
  }

  /** Takes a picture out, if it is there: its slot is free. */
  remove(picture: Sampled): void {
    this.#places = this.#places.map((place) => place?.picture === picture ? null : place);
  }

  /**
   * Submits a step of all pictures.
   *
   * @param inner As in {@linkcode Session.step}.
   * @returns Those whose last step it was: they have to be read before the next one, and are there until they are removed.
   */
  step({ inner = true }: { readonly inner?: boolean } = {}): Sampled[] {
    const session = this.#session!;
    session.writeSlots(this.#states(({ step }) => step + 1));
    session.step({ inner });
    for (const place of this.#occupied) place.step++;
    return this.#occupied.filter(isDone).map(({ picture }) => picture);
  }

  /** Steps of a picture that were submitted. */
  stepsOf(picture: Sampled): number {
    return this.#placeOf(picture).step;
  }

  /** Every resolution of a picture as it is after the steps that were submitted. */
  async read(picture: Sampled): Promise<Picture[]> {
    return await this.#pictures(picture, SESSION_TENSORS.latent, picture.plan.levels.keys());
  }

  /** What a picture is estimated to become (x0), of one level. */
  async preview(picture: Sampled, level: number): Promise<Picture> {
    const [preview] = await this.#pictures(picture, SESSION_TENSORS.x0, [level]);
    return preview!;
  }

  /** All that a picture needs to go on elsewhere. */
  async save(picture: Sampled): Promise<SavedPicture> {
    const { step } = this.#placeOf(picture);
    const slot = this.#slotOf(picture);
    const read = (name: (level: number) => string) =>
      Promise.all(
        picture.plan.levels.map((_, level) => this.#session!.tensor(name(level)).read(slot, 1)),
      );
    const [latents, estimates] = await Promise.all([
      read(SESSION_TENSORS.latent),
      read(SESSION_TENSORS.x0),
    ]);
    return { step, latents, estimates };
  }

  /** As {@linkcode Session.readChange}. */
  async readChange(): Promise<number> {
    return await this.#session!.readChange();
  }

  get #occupied(): Place[] {
    return this.#places.filter((place) => place !== null);
  }

  #slotOf(picture: Sampled): number {
    const slot = this.#places.findIndex((place) => place?.picture === picture);
    if (slot < 0) throw new Error("The picture is not in the batch");
    return slot;
  }

  #placeOf(picture: Sampled): Place {
    return this.#places[this.#slotOf(picture)]!;
  }

  /** Rows of the tables that a slot has. */
  get #tableRows(): number {
    const { steps, slots } = this.#session!.shape;
    return steps / slots;
  }

  /** Whether the session can take these pictures, and not far more: each step computes all of its slots. */
  #hasRoom(all: readonly Place[]): boolean {
    if (this.#session === null) return false;
    const { slots, tokens } = this.#session.shape;
    const isSparse = this.#occupied.length === 0
      ? all.length < slots
      : slots > 1 && all.length <= slots / 2;
    return all.length <= slots && !isSparse && longestText(all) <= tokens &&
      longestRun(all) <= this.#tableRows;
  }

  /** Gives new pictures free slots. */
  #fill(arriving: readonly Place[]): number[] {
    return arriving.map((place) => {
      const slot = this.#places.indexOf(null);
      this.#places[slot] = place;
      return slot;
    });
  }

  /** Makes a session with a slot for each picture, and has those that are on their way go on in it. */
  async #move(all: readonly Place[]): Promise<number[]> {
    const { pipelines: { gpu } } = this.runnable;
    using kept = new DisposableStack();
    const tensors = this.#stateTensors();
    const states = tensors.map(({ bytes, name }) =>
      kept.adopt(gpu.buffer(bytes, name), (made) => made.destroy())
    );
    gpu.copy(tensors.map(({ buffer: from, bytes }, i): BufferCopy => {
      return { from, fromOffset: 0, to: states[i]!, toOffset: 0, bytes };
    }));
    const before = this.#places;
    this.#close();
    this.#session = await Session.make(
      this.network,
      batchShape(this.kind, {
        slots: all.length,
        tokens: longestText(all),
        steps: longestRun(all),
      }),
      this.runnable,
    );
    this.#places = [...all];
    writeMicros(this.network, this.#session.tensors);
    const pieces = states.flatMap((from, i): BufferCopy[] => {
      const { buffer: to, rowBytes: bytes } = this.#stateTensors()[i]!;
      return all.entries().filter(([, place]) => before.includes(place))
        .map(([slot, place]) => {
          const fromOffset = before.indexOf(place) * bytes;
          return { from, fromOffset, to, toOffset: slot * bytes, bytes };
        }).toArray();
    });
    gpu.copy(pieces);
    return [...all.keys()];
  }

  /** What a picture's next step depends on, beside its table and texts. */
  #stateTensors(): Tensor[] {
    const session = this.#session;
    if (session === null) return [];
    return this.kind.imageScales.keys().flatMap((level) => [
      session.tensor(SESSION_TENSORS.latent(level)),
      session.tensor(SESSION_TENSORS.x0(level)),
    ]).toArray();
  }

  /** Writes the tables and texts of a slot's picture. */
  #write(slot: number): void {
    const { picture } = this.#places[slot]!;
    const { tensors, shape: { slots } } = this.#session!;
    this.#session!.writeTables(picture.plan, slot * this.#tableRows);
    for (const [i, text] of picture.texts.entries()) {
      writeText(this.network, [text], tensors, slot + i * slots);
    }
  }

  /** Puts a picture that was saved where it was. */
  #restore(place: Place): void {
    const { saved } = place.picture;
    if (saved === undefined) return;
    const slot = this.#places.indexOf(place);
    for (const level of saved.latents.keys()) {
      this.#session!.tensor(SESSION_TENSORS.latent(level)).write(saved.latents[level]!, slot);
      this.#session!.tensor(SESSION_TENSORS.x0(level)).write(saved.estimates[level]!, slot);
    }
  }

  /** @param draw How often noise was drawn for a picture before. */
  #states(draw: (place: Place) => number): SlotState[] {
    return this.#places.map((place, slot) => {
      if (place === null || isDone(place)) return IDLE;
      const { picture: { seed, plan }, step } = place;
      return {
        tableRow: slot * this.#tableRows + step,
        draw: draw(place),
        seed,
        guidance: plan.guidances[step]!,
      };
    });
  }

  async #pictures(
    picture: Sampled,
    name: (level: number) => string,
    levels: Iterable<number>,
  ): Promise<Picture[]> {
    const slot = this.#slotOf(picture);
    // Waited for together: a wait takes 11 ms.
    return await Promise.all(
      [...levels].map(async (level) => {
        const tensor = this.#session!.tensor(name(level));
        const [, height = 1, width = 1, channels = 3] = tensor.shape;
        const values = await tensor.read(slot, 1);
        const { outputScale } = picture.plan.levels[level]!;
        return toPicture(values.map((x) => x * outputScale), width, height, channels);
      }),
    );
  }

  #close(): void {
    this.#session?.[Symbol.dispose]();
    this.#session = null;
    this.#places = [];
  }

  [Symbol.dispose](): void {
    this.#close();
  }
}

function isDone({ picture, step }: Place): boolean {
  return step >= picture.plan.times.length;
}

function longestText(places: readonly Place[]): number {
  return Math.max(1, ...places.flatMap(({ picture }) => picture.texts.map(({ length }) => length)));
}

function longestRun(places: readonly Place[]): number {
  return Math.max(...places.map(({ picture }) => picture.plan.times.length));
}
