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
import type { SamplerState } from "./sampler_state.ts";

/** An image to be denoised. */
export interface SampledImage {
  readonly seed: bigint;
  readonly plan: SamplingPlan;
  /** What it shows, and where the batch is guided what stands for no text; empty where the model takes none. */
  readonly texts: readonly RowText[];
  /** Where it goes on; absent: it begins. */
  readonly saved?: Omit<SamplerState, "weights">;
}

/** A slot of the session, in use. */
interface Slot {
  readonly image: SampledImage;
  step: number;
}

/** A slot without an image is computed as well, to no purpose. */
const IDLE: SlotState = { tableRow: 0, draw: 1, seed: 0n, guidance: 1 };

/**
 * Images that are denoised together, each at a step of its own run: they come and go between steps, and none sees the others.
 * Their session has as many slots as there are images, more or less: it is made anew where that pays, and they go on in it.
 */
export class Batch implements Disposable {
  #session: Session | null = null;
  #slots: (Slot | null)[] = [];

  constructor(
    private readonly network: Network,
    private readonly runnable: { readonly pipelines: Pipelines; readonly weights: Weights },
    readonly kind: BatchKind,
  ) {}

  /** The images on their way. */
  get images(): SampledImage[] {
    return this.#occupied.map(({ image }) => image);
  }

  /** Bytes on the GPU without the weights. */
  get bytes(): number {
    return this.#session?.bytes ?? 0;
  }

  /** Multiplications and additions of a step. */
  get stepFlops(): number {
    return this.#session?.executables.steps[0]?.executable.plan.flops ?? 0;
  }

  /**
   * Adds images to those that are on their way; their first step is the next one. Without any it gives back what those that left have
   * taken, where that pays.
   */
  async add(images: readonly SampledImage[]): Promise<void> {
    const arriving = images.map((image): Slot => ({ image, step: image.saved?.step ?? 0 }));
    const all = [...this.#occupied, ...arriving];
    if (all.length === 0) return;
    const changed = this.#hasRoom(all) ? this.#fill(arriving) : await this.#move(all);
    if (changed.length === 0) return;
    const session = this.#session!;
    for (const index of changed) this.#write(index);
    session.condition(changed);
    for (const slot of arriving) this.#restore(slot);
    if (arriving.every(({ image }) => image.saved !== undefined)) return;
    const begun = (slot: Slot) => !arriving.includes(slot) || slot.image.saved !== undefined;
    session.writeSlots(this.#states((slot) => begun(slot) ? 1 : 0));
    session.start();
  }

  /** Takes an image out, if it is there: its slot is free. */
  remove(image: SampledImage): void {
    this.#slots = this.#slots.map((slot) => slot?.image === image ? null : slot);
  }

  /**
   * Submits a step of all images.
   *
   * @param inner As in {@linkcode Session.step}.
   * @returns Those whose last step it was: they have to be read before the next one, and are there until they are removed.
   */
  step({ inner = true }: { readonly inner?: boolean } = {}): SampledImage[] {
    const session = this.#session!;
    session.writeSlots(this.#states(({ step }) => step + 1));
    session.step({ inner });
    for (const slot of this.#occupied) slot.step++;
    return this.#occupied.filter(isDone).map(({ image }) => image);
  }

  /** Waits until the GPU has done all that was submitted. */
  async finish(): Promise<void> {
    await this.runnable.pipelines.gpu.finish();
  }

  /** Steps of an image that were submitted. */
  stepsOf(image: SampledImage): number {
    return this.#slots[this.#indexOf(image)]!.step;
  }

  /** Every resolution of an image as it is after the steps that were submitted. */
  async read(image: SampledImage): Promise<Picture[]> {
    return await this.#read(image, SESSION_TENSORS.latent, image.plan.levels.keys());
  }

  /** What an image is estimated to become (x0), of one level. */
  async preview(image: SampledImage, level: number): Promise<Picture> {
    const [preview] = await this.#read(image, SESSION_TENSORS.x0, [level]);
    return preview!;
  }

  /** All that an image needs to go on elsewhere. */
  async save(image: SampledImage): Promise<Omit<SamplerState, "weights">> {
    const step = this.stepsOf(image);
    const index = this.#indexOf(image);
    const read = (name: (level: number) => string) =>
      Promise.all(
        image.plan.levels.map((_, level) => this.#session!.tensor(name(level)).read(index, 1)),
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

  get #occupied(): Slot[] {
    return this.#slots.filter((slot) => slot !== null);
  }

  /** The number of an image's slot. */
  #indexOf(image: SampledImage): number {
    const index = this.#slots.findIndex((slot) => slot?.image === image);
    if (index < 0) throw new Error("The image is not in the batch");
    return index;
  }

  /** Rows of the tables that a slot has. */
  get #tableRows(): number {
    const { steps, slots } = this.#session!.shape;
    return steps / slots;
  }

  /** Whether the session can take these images, and not far more: each step computes all of its slots. */
  #hasRoom(all: readonly Slot[]): boolean {
    if (this.#session === null) return false;
    const { slots, tokens } = this.#session.shape;
    const isSparse = this.#occupied.length === 0
      ? all.length < slots
      : slots > 1 && all.length <= slots / 2;
    return all.length <= slots && !isSparse && longestText(all) <= tokens &&
      longestRun(all) <= this.#tableRows;
  }

  /** Puts new images into free slots; gives their numbers. */
  #fill(arriving: readonly Slot[]): number[] {
    return arriving.map((slot) => {
      const index = this.#slots.indexOf(null);
      this.#slots[index] = slot;
      return index;
    });
  }

  /** Makes a session with a slot for each image, and has those that are on their way go on in it. */
  async #move(all: readonly Slot[]): Promise<number[]> {
    const { pipelines: { gpu } } = this.runnable;
    using kept = new DisposableStack();
    const tensors = this.#stateTensors();
    const states = tensors.map(({ bytes, name }) =>
      kept.adopt(gpu.buffer(bytes, name), (made) => made.destroy())
    );
    gpu.copy(tensors.map(({ buffer: from, bytes }, i): BufferCopy => {
      return { from, fromOffset: 0, to: states[i]!, toOffset: 0, bytes };
    }));
    const before = this.#slots;
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
    this.#slots = [...all];
    writeMicros(this.network, this.#session.tensors);
    const pieces = states.flatMap((from, i): BufferCopy[] => {
      const { buffer: to, rowBytes: bytes } = this.#stateTensors()[i]!;
      return all.entries().filter(([, slot]) => before.includes(slot))
        .map(([index, slot]) => {
          const fromOffset = before.indexOf(slot) * bytes;
          return { from, fromOffset, to, toOffset: index * bytes, bytes };
        }).toArray();
    });
    gpu.copy(pieces);
    return [...all.keys()];
  }

  /** What an image's next step depends on, apart from its table and texts. */
  #stateTensors(): Tensor[] {
    const session = this.#session;
    if (session === null) return [];
    return this.kind.imageScales.keys().flatMap((level) => [
      session.tensor(SESSION_TENSORS.latent(level)),
      session.tensor(SESSION_TENSORS.x0(level)),
    ]).toArray();
  }

  /** Writes the tables and texts of a slot's image. */
  #write(index: number): void {
    const { image } = this.#slots[index]!;
    const { tensors, shape: { slots } } = this.#session!;
    this.#session!.writeTables(image.plan, index * this.#tableRows);
    for (const [i, text] of image.texts.entries()) {
      writeText(this.network, [text], tensors, index + i * slots);
    }
  }

  /** Puts an image that was saved where it was. */
  #restore(slot: Slot): void {
    const { saved } = slot.image;
    if (saved === undefined) return;
    const index = this.#slots.indexOf(slot);
    for (const level of saved.latents.keys()) {
      this.#session!.tensor(SESSION_TENSORS.latent(level)).write(saved.latents[level]!, index);
      this.#session!.tensor(SESSION_TENSORS.x0(level)).write(saved.estimates[level]!, index);
    }
  }

  /** @param draw How often noise was drawn for an image before. */
  #states(draw: (slot: Slot) => number): SlotState[] {
    return this.#slots.map((slot, index) => {
      if (slot === null || isDone(slot)) return IDLE;
      const { image: { seed, plan }, step } = slot;
      return {
        tableRow: index * this.#tableRows + step,
        draw: draw(slot),
        seed,
        guidance: plan.guidances[step]!,
      };
    });
  }

  async #read(
    image: SampledImage,
    name: (level: number) => string,
    levels: Iterable<number>,
  ): Promise<Picture[]> {
    const index = this.#indexOf(image);
    // Waited for together: a wait takes 11 ms.
    return await Promise.all(
      [...levels].map(async (level) => {
        const tensor = this.#session!.tensor(name(level));
        const [, height = 1, width = 1, channels = 3] = tensor.shape;
        const values = await tensor.read(index, 1);
        const { outputScale } = image.plan.levels[level]!;
        return toPicture(values.map((x) => x * outputScale), width, height, channels);
      }),
    );
  }

  #close(): void {
    this.#session?.[Symbol.dispose]();
    this.#session = null;
    this.#slots = [];
  }

  [Symbol.dispose](): void {
    this.#close();
  }
}

function isDone({ image, step }: Slot): boolean {
  return step >= image.plan.times.length;
}

function longestText(slots: readonly Slot[]): number {
  return Math.max(1, ...slots.flatMap(({ image }) => image.texts.map(({ length }) => length)));
}

function longestRun(slots: readonly Slot[]): number {
  return Math.max(...slots.map(({ image }) => image.plan.times.length));
}
