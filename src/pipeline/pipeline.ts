import { InnerSchedule } from "../diffusion/inner_cache.ts";
import type { SamplingPlan } from "../diffusion/plan.ts";
import { Session } from "../diffusion/session.ts";
import { SESSION_TENSORS, type SessionShape } from "../diffusion/session_graphs.ts";
import { UsageError } from "../errors.ts";
import { Gpu, type GpuOptions } from "../gpu/device.ts";
import { Pipelines } from "../gpu/recording.ts";
import { Weights } from "../gpu/weights.ts";
import { framesOf } from "../media/mosaic.ts";
import type { Picture } from "../media/picture.ts";
import { toPicture } from "../media/pixels.ts";
import { frameGrids } from "../model/frame_grids.ts";
import { writeMicros, writeText } from "../model/network_inputs.ts";
import type { RowText } from "../model/text_inputs.ts";
import { openT5 } from "../text/t5_files.ts";
import { compactWhereLarge } from "./compact.ts";
import type { PlannedEncoder } from "./estimate.ts";
import { fitBatch } from "./fit_batch.ts";
import { type ModelOptions, ModelSource } from "./model_source.ts";
import { readTextFeatures, type TextFeatures } from "./text_features.ts";
import { openText, padded, type TextSource, type Truncation } from "./prompts.ts";
import {
  type GenerateRequest,
  guidedSteps,
  type PictureJob,
  type ResolvedRequest,
  resolveRequest,
  sessionShape,
} from "./request.ts";

/** A picture or video that was made. */
export interface GeneratedPicture extends PictureJob {
  /** Every resolution, the outermost first; those of a video as mosaics, as the model makes them. */
  readonly levels: readonly Picture[];
  /** The frames of every resolution, in order; a picture is one. */
  readonly frames: readonly (readonly Picture[])[];
}

/** What happens while pictures are made, in order. */
export type GenerateEvent =
  /** A prompt had more tokens than the model takes, and was cut. */
  | { readonly kind: "truncated"; readonly truncation: Truncation }
  /** So many steps of all are done. */
  | { readonly kind: "progress"; readonly step: number; readonly steps: number }
  /** A picture is ready. */
  | { readonly kind: "picture"; readonly picture: GeneratedPicture };

/** What a pipeline turns to next: for reports of where the time goes. */
export type Stage = "model" | "device" | "tokenizer" | "text" | "weights" | "sampling" | "reading";

/** What may be asked of {@link Pipeline.load}. */
export interface PipelineOptions extends GpuOptions, ModelOptions {
  /** Whether the text encoder leaves the GPU once prompts are encoded; it is loaded again for new ones. */
  readonly lowMemory?: boolean;
  /** Bytes on the GPU that may be used: batches are made smaller, and pictures that do not fit are refused. */
  readonly memory?: number;
  /** Is called when a stage begins. */
  readonly onStage?: (stage: Stage) => void;
}

/** Steps that may be on the GPU before one is waited for: waiting takes long, and the GPU should never idle. */
const STEPS_IN_FLIGHT = 2;

/**
 * A model, ready to make pictures.
 *
 * ```ts
 * await using pipeline = await Pipeline.load("weights/shapes32");
 * for await (const event of pipeline.generate({ prompt: "a red circle", seed: 7 })) {
 *   if (event.kind === "picture") console.log(event.picture.levels[0]!.width);
 * }
 * ```
 */
export class Pipeline implements AsyncDisposable {
  readonly #pipelines: Pipelines;
  readonly #weights: Weights;
  #session: Session | null = null;
  #sessionKey = "";

  private constructor(
    readonly gpu: Gpu,
    /** The model's folder: configuration and files. */
    readonly folder: ModelSource,
    pipelines: Pipelines,
    private readonly text: TextSource,
    /** What is planned of the text encoder where memory is limited. */
    private readonly encoder: PlannedEncoder | null,
    private readonly options: PipelineOptions,
  ) {
    this.#pipelines = pipelines;
    this.#weights = new Weights(gpu, folder.file);
  }

  /**
   * Opens a model's folder on the best GPU there is.
   *
   * @throws {MdmError} When there is no GPU or the folder is not a model.
   */
  static async load(path: string, options: PipelineOptions = {}): Promise<Pipeline> {
    const { onStage } = options;
    using opened = new DisposableStack();
    onStage?.("model");
    const folder = opened.use(await ModelSource.open(path, options));
    onStage?.("device");
    const gpu = opened.use(await Gpu.open(options));
    compactWhereLarge(gpu, folder.network);
    const pipelines = opened.use(new Pipelines(gpu));
    onStage?.("tokenizer");
    const text = opened.use(await openText(folder, pipelines));
    using encoder = options.memory === undefined || folder.text === null
      ? null
      : await openT5(folder.text.encoder);
    opened.move();
    return new Pipeline(gpu, folder, pipelines, text, encoder, options);
  }

  /** Bytes on the GPU: weights, all else of the last run, and the text encoder. */
  get bytes(): { readonly weights: number; readonly run: number; readonly text: number } {
    return {
      weights: this.#weights.bytes,
      run: this.#session?.bytes ?? 0,
      text: this.text.bytes,
    };
  }

  /** Multiplications and additions of one step of the last run. */
  get stepFlops(): number {
    return this.#session?.executables.steps[0]?.executable.plan.flops ?? 0;
  }

  /** Distinct compiled pipelines. */
  get pipelineCount(): number {
    return this.#pipelines.count;
  }

  /**
   * Checks a request and fills in what it leaves open, without running it. A batch that is too large for the GPU, or for the
   * memory that may be used, is made smaller.
   *
   * @throws {UsageError} When the request asks for what the model cannot do.
   * @throws {MdmError} When one picture takes more memory than may be used.
   */
  resolve(request: GenerateRequest): ResolvedRequest {
    const resolved = resolveRequest(request, this.folder.config, this.folder.diffusion);
    const { memory, lowMemory = false } = this.options;
    const isNew = this.#weights.bytes === 0;
    return fitBatch(resolved, this.folder, this.encoder, {
      gpu: this.gpu,
      memory,
      // Weights stay once they are there: then the text encoder comes beside them.
      lowMemory: lowMemory && isNew,
      isNew,
    });
  }

  /**
   * Makes pictures, all resolutions of each together.
   *
   * The same request gives the same pictures on one GPU, bit for bit, whatever is made beside them.
   *
   * @throws {UsageError} When the request asks for what the model cannot do.
   * @throws The signal's reason, between two steps, when it is aborted.
   */
  async *generate(request: GenerateRequest): AsyncGenerator<GenerateEvent, void, void> {
    const resolved = this.resolve(request);
    const { jobs, batch, plan } = resolved;
    const steps = Math.ceil(jobs.length / batch) * plan.times.length;
    const grids = frameGrids(this.folder.config);
    const features = request.textFeatures === undefined ? null : await readTextFeatures(
      request.textFeatures,
      [request.prompt].flat().length,
      this.folder.config.conditioningFeatureDim,
    );
    // All at once, so that the encoder is loaded once and never beside the weights.
    if (this.options.lowMemory) {
      this.options.onStage?.("text");
      await this.#rows(jobs, plan, features);
    }
    for (let first = 0; first < jobs.length; first += batch) {
      const group = jobs.slice(first, first + batch);
      const done = first / batch * plan.times.length;
      for await (const step of this.#sample(resolved, group, features, request.signal)) {
        if (typeof step !== "number") yield step;
        else yield { kind: "progress", step: done + step, steps };
      }
      this.options.onStage?.("reading");
      const levels = await this.#read(resolved, group.length);
      for (const [slot, job] of group.entries()) {
        const pictures = levels.map((slots) => slots[slot]!);
        const frames = pictures.map((picture, level) => framesOf(picture, grids[level]!));
        yield { kind: "picture", picture: { ...job, levels: pictures, frames } };
      }
    }
  }

  /** Samples a group of pictures; yields the number of steps done. */
  async *#sample(
    resolved: ResolvedRequest,
    group: readonly PictureJob[],
    features: TextFeatures | null,
    signal?: AbortSignal,
  ): AsyncGenerator<number | GenerateEvent & { kind: "truncated" }> {
    signal?.throwIfAborted();
    const { plan, cache } = resolved;
    this.options.onStage?.("text");
    const rows = await this.#rows(group, plan, features);
    for (const truncation of this.text.truncations.values()) {
      yield { kind: "truncated", truncation };
    }
    this.text.truncations.clear();
    this.options.onStage?.("weights");
    const session = await this.#prepare(resolved, group.length, rows);
    const states = (step: number, draw: number) =>
      group.map(({ seed }) => {
        return { tableRow: step, draw, seed, guidance: plan.guidances[step]! };
      });
    this.options.onStage?.("sampling");
    session.condition();
    session.writeSlots(states(0, 0));
    session.start();
    const inFlight: Promise<number | void>[] = [];
    const schedule = new InnerSchedule(cache ?? { every: 1 }, plan.guidances);
    const measures = session.shape.inner === "measured";
    try {
      for (const step of plan.times.keys()) {
        signal?.throwIfAborted();
        const inner = schedule.next();
        session.writeSlots(states(step, step + 1));
        session.step({ inner });
        inFlight.push(inner && measures ? session.readDrift() : this.gpu.finish());
        if (inFlight.length >= STEPS_IN_FLIGHT) {
          const drift = await inFlight.shift();
          // Taken when it is waited for, not when it is there: decisions must not hang on how fast the GPU is.
          if (drift !== undefined) schedule.measured(step + 1 - STEPS_IN_FLIGHT, drift);
        }
        yield step + 1;
      }
    } finally {
      await Promise.all(inFlight);
    }
  }

  /** The text of each row of the model: with guidance what stands for no prompt last. */
  async #rows(
    group: readonly PictureJob[],
    plan: SamplingPlan,
    features: TextFeatures | null,
  ): Promise<RowText[]> {
    if (!this.folder.network.takesText) return [];
    const guided = guidedSteps(plan) !== "never";
    if (guided && !this.text.guides) {
      throw new UsageError("The model has classes and no guidance: give guidance 1.");
    }
    const missing = group.flatMap(({ prompt, negative }) => [
      ...features === null ? [prompt] : [],
      ...guided && !features?.negative ? [negative] : [],
    ]);
    const rows = await this.text.rows(new Set(missing));
    if (this.options.lowMemory) this.text.release();
    const withText = group.map(({ prompt, promptIndex }) =>
      features?.prompts[promptIndex] ?? rows.get(prompt)!
    );
    if (!guided) return withText;
    const without = group.map(({ negative, promptIndex }) =>
      features?.negative?.[promptIndex] ?? rows.get(negative)!
    );
    // In the reference both are padded to one length, which a model that attends to padding sees.
    const lengths = withText.map((text, i) => Math.max(text.length, without[i]!.length));
    return [...withText, ...without].map((text, i) => padded(text, lengths[i % group.length]!));
  }

  /** A session of the right shape, with the tables and texts of a run in it. */
  async #prepare(
    resolved: ResolvedRequest,
    slots: number,
    rows: readonly RowText[],
  ): Promise<Session> {
    const longest = Math.max(1, ...rows.map(({ length }) => length));
    const session = await this.#sessionOf(
      sessionShape(resolved, this.folder, { slots, tokens: longest }),
    );
    session.writeTables(resolved.plan);
    const { network } = this.folder;
    writeText(network, rows, session.tensors);
    writeMicros(network, session.tensors);
    return session;
  }

  /** The session of the run before, if it has the shape; one is kept. */
  async #sessionOf(shape: SessionShape): Promise<Session> {
    const key = JSON.stringify(shape);
    if (this.#session === null || this.#sessionKey !== key) {
      this.#session?.[Symbol.dispose]();
      this.#session = null;
      this.#session = await Session.make(this.folder.network, shape, {
        pipelines: this.#pipelines,
        weights: this.#weights,
      });
      this.#sessionKey = key;
    }
    return this.#session;
  }

  /** Reads the pictures of every level back. */
  async #read({ plan }: ResolvedRequest, slots: number): Promise<Picture[][]> {
    const tensors = plan.levels.map((_, level) =>
      this.#session!.tensor(SESSION_TENSORS.latent(level))
    );
    // Waited for together: a wait takes 11 ms.
    const read = await Promise.all(tensors.map((tensor) => tensor.read()));
    return read.map((latents, level) => {
      const [, height = 1, width = 1, channels = 3] = tensors[level]!.shape;
      const values = latents.map((x) => x * plan.levels[level]!.outputScale);
      const size = height * width * channels;
      return Array.from(
        { length: slots },
        (_, slot) =>
          toPicture(values.subarray(slot * size, (slot + 1) * size), width, height, channels),
      );
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.gpu.finish().catch(() => {});
    this.#session?.[Symbol.dispose]();
    this.#weights[Symbol.dispose]();
    this.text[Symbol.dispose]();
    this.#pipelines[Symbol.dispose]();
    this.gpu[Symbol.dispose]();
    this.folder[Symbol.dispose]();
  }
}
