import type { SamplingPlan } from "../diffusion/plan.ts";
import { type Allowed, checkOptions } from "../check_arguments.ts";
import { UsageError } from "../errors.ts";
import { CONV_ALGORITHMS } from "../gpu/conv_choice.ts";
import { Gpu, type GpuOptions } from "../gpu/device.ts";
import type { KernelOptions, KernelPolicy } from "../gpu/kernel_policy.ts";
import { Pipelines } from "../gpu/recording.ts";
import { Weights } from "../gpu/weights.ts";
import { framesOf } from "../media/mosaic.ts";
import type { Picture } from "../media/picture.ts";
import { isJsonObject } from "../json/json_object.ts";
import { frameGrids } from "../model/frame_grids.ts";
import type { RowText } from "../model/text_inputs.ts";
import { shown } from "../quoted.ts";
import { openT5 } from "../text/t5_files.ts";
import { Batch, type SampledImage } from "./batch.ts";
import { cacheSchedule, denoise } from "./denoise.ts";
import { modelPolicy } from "./planning/compact.ts";
import type { PlannedEncoder } from "./planning/estimate.ts";
import { fitBatch } from "./planning/fit_batch.ts";
import { checkModelArguments } from "./models/check_model.ts";
import { type ModelOptions, ModelSource } from "./models/model_source.ts";
import { readTextFeatures, type TextFeatures } from "./text_features.ts";
import { openText, padded, type TextSource, type Truncation } from "./prompts.ts";
import {
  type BatchKind,
  batchKind,
  type GenerateRequest,
  guidedSteps,
  isSameKind,
  type PictureJob,
  type ResolvedRequest,
  resolveRequest,
} from "./request.ts";

/**
 * An image or video that was made.
 *
 * @example
 * ```ts
 * function sizes({ levels }: GeneratedImage): string[] {
 *   return levels.map(({ width, height }) => `${width}x${height}`);
 * }
 * ```
 */
export interface GeneratedImage extends PictureJob {
  /** Every resolution, the outermost first; those of a video as mosaics, as the model makes them. */
  readonly levels: readonly Picture[];
  /** The frames of every resolution, in order; an image is one. */
  readonly frames: readonly (readonly Picture[])[];
}

/** What an image shows and, with guidance, what stands for no prompt. */
interface ImageTexts {
  readonly texts: readonly RowText[];
  /** Prompts of which only a part is there. */
  readonly truncations: readonly Truncation[];
}

/** An image whose prompts are encoded. */
export interface PreparedImage extends SampledImage, ImageTexts {}

/**
 * What happens while images are made, in order.
 *
 * @example
 * ```ts
 * function report(event: GenerateEvent): void {
 *   if (event.kind === "truncated") console.error(`"${event.truncation.prompt}" was cut`);
 *   if (event.kind === "progress") console.error(`step ${event.step} of ${event.steps}`);
 *   if (event.kind === "image") console.log(event.image.seed);
 * }
 * ```
 */
export type GenerateEvent =
  /** A prompt had more tokens than the model takes, and was cut. */
  | { readonly kind: "truncated"; readonly truncation: Truncation }
  /** So many steps of all are done. */
  | { readonly kind: "progress"; readonly step: number; readonly steps: number }
  /** An image is ready. */
  | { readonly kind: "image"; readonly image: GeneratedImage };

/**
 * What {@link Pipeline.run} takes of a request as it is.
 *
 * @example
 * ```ts
 * const options: RunOptions = { signal: AbortSignal.timeout(60_000) };
 * ```
 */
export type RunOptions = {
  readonly [name in "textFeatures" | "signal"]?: GenerateRequest[name] | undefined;
};

/**
 * What a pipeline turns to next: for reports of where the time goes.
 *
 * @example
 * ```ts
 * const began = new Map<Stage, number>();
 * const onStage = (stage: Stage) => began.set(stage, performance.now());
 * ```
 */
export type Stage = "model" | "device" | "tokenizer" | "text" | "weights" | "sampling" | "reading";

/**
 * What may be asked of {@link Pipeline.load}.
 *
 * @example
 * ```ts
 * const options: PipelineOptions = { lowMemory: true, memory: 4e9 };
 * ```
 */
export interface PipelineOptions extends GpuOptions, KernelOptions, ModelOptions {
  /** Whether the text encoder leaves the GPU once prompts are encoded; it is loaded again for new ones. */
  readonly lowMemory?: boolean;
  /** Bytes on the GPU that may be used: batches are made smaller, and images that do not fit are refused. */
  readonly memory?: number;
  /** Is called when a stage begins. */
  readonly onStage?: (stage: Stage) => void;
}

/** What the options may be that are not the model's. */
const OPTIONS: Readonly<Record<Exclude<keyof PipelineOptions, keyof ModelOptions>, Allowed>> = {
  subgroups: "boolean",
  deviceClass: ["software", "gpu"],
  convAlgorithm: CONV_ALGORITHMS,
  tuned: "object",
  lowMemory: "boolean",
  memory: "number",
  onStage: "function",
};

/**
 * A model, ready to make images.
 *
 * @example
 * ```ts
 * await using pipeline = await Pipeline.load("weights/shapes32");
 * for await (const event of pipeline.generate({ prompt: "a red circle", seed: 7 })) {
 *   if (event.kind === "image") console.log(event.image.levels[0]!.width);
 * }
 * ```
 */
export class Pipeline implements AsyncDisposable {
  readonly #pipelines: Pipelines;
  #weights: Weights;
  #batch: Batch | null = null;
  #disposed = false;
  #isRunning = false;

  private constructor(
    readonly gpu: Gpu,
    /** The model's folder: configuration and files. */
    readonly folder: ModelSource,
    pipelines: Pipelines,
    policy: KernelPolicy,
    private readonly text: TextSource,
    /** What is planned of the text encoder where memory is limited. */
    private readonly encoder: PlannedEncoder | null,
    private readonly options: PipelineOptions,
  ) {
    this.#pipelines = pipelines;
    this.#weights = new Weights(gpu, folder.file, policy);
  }

  /**
   * Opens a model's folder on the best GPU there is.
   *
   * @throws {MdmError} When there is no GPU or the folder is not a model.
   */
  static async load(path: string, options: PipelineOptions = {}): Promise<Pipeline> {
    checkModelArguments(path, options, OPTIONS);
    const { onStage } = options;
    using opened = new DisposableStack();
    onStage?.("model");
    const folder = opened.use(await ModelSource.open(path, options));
    onStage?.("device");
    const gpu = opened.use(await Gpu.open(options));
    const policy = modelPolicy(gpu.info, folder.network, options);
    const pipelines = opened.use(new Pipelines(gpu));
    onStage?.("tokenizer");
    const text = opened.use(await openText(folder, pipelines, policy));
    using encoder = options.memory === undefined || folder.text === null
      ? null
      : await openT5(folder.text.encoder);
    opened.move();
    return new Pipeline(gpu, folder, pipelines, policy, text, encoder, options);
  }

  /** Bytes on the GPU: weights, all else of the last run, and the text encoder. */
  get bytes(): { readonly weights: number; readonly run: number; readonly text: number } {
    return {
      weights: this.#weights.bytes,
      run: this.#batch?.bytes ?? 0,
      text: this.text.bytes,
    };
  }

  /** Multiplications and additions of one step of the last run. */
  get stepFlops(): number {
    return this.#batch?.stepFlops ?? 0;
  }

  /** Whether there is something that stands for no text, so that a prompt can be made to count more. */
  get guides(): boolean {
    return this.text.guides;
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
   * @throws {MdmError} When one image takes more memory than may be used.
   */
  resolve(request: GenerateRequest): ResolvedRequest {
    this.#checkThere();
    return this.fit(resolveRequest(request, this.folder.config, this.folder.diffusion));
  }

  /**
   * Makes the batch of a resolved request as small as the GPU and the memory that may be used demand.
   *
   * @throws {MdmError} When one image takes more memory than may be used.
   */
  fit(resolved: ResolvedRequest): ResolvedRequest {
    const { memory, lowMemory = false } = this.options;
    const isNew = this.#weights.bytes === 0;
    const { request: fitted, policy } = fitBatch(resolved, this.folder, this.encoder, {
      limits: this.gpu.limits,
      policy: this.#weights.policy,
      memory,
      // Weights stay once they are there: then the text encoder comes in addition.
      lowMemory: lowMemory && isNew,
      isNew,
    });
    if (policy !== this.#weights.policy) this.#use(policy);
    return fitted;
  }

  /** Chooses kernels by another policy; no weights are loaded yet. */
  #use(policy: KernelPolicy): void {
    this.#batch?.[Symbol.dispose]();
    this.#batch = null;
    this.#weights[Symbol.dispose]();
    this.#weights = new Weights(this.gpu, this.folder.file, policy);
  }

  /** How many images of a resolved request's kind fit into one batch, at most so many. */
  slots(resolved: ResolvedRequest, most: number): number {
    const jobs = Array<PictureJob>(most).fill(resolved.jobs[0]!);
    return this.fit({ ...resolved, jobs, batch: most }).batch;
  }

  /**
   * Makes images, all resolutions of each together.
   *
   * The same request gives the same images on one GPU, bit for bit, whatever is made together with them.
   *
   * @throws {UsageError} When the request asks for what the model cannot do, or other images are being made.
   * @throws The signal's reason, between two steps, when it is aborted.
   */
  async *generate(request: GenerateRequest): AsyncGenerator<GenerateEvent, void, void> {
    const resolved = this.resolve(request);
    const { textFeatures, signal } = request;
    yield* this.run(resolved, { textFeatures, signal });
  }

  /** Makes the images of a request that {@linkcode resolve} has resolved, as {@linkcode generate} does. */
  async *run(
    resolved: ResolvedRequest,
    options: RunOptions = {},
  ): AsyncGenerator<GenerateEvent, void, void> {
    this.#checkThere();
    if (!isJsonObject(resolved) || !Object.hasOwn(resolved, "plan")) {
      throw new UsageError(`Cannot make ${shown(resolved)}: give what resolve() gave.`);
    }
    checkOptions(options, { textFeatures: "string", signal: "object" });
    const { textFeatures, signal } = options;
    if (this.#isRunning) {
      throw new UsageError(
        "The pipeline is making other images: wait until they are done, or load another pipeline.",
      );
    }
    this.#isRunning = true;
    try {
      const { jobs, batch: size, plan } = resolved;
      const steps = Math.ceil(jobs.length / size) * plan.times.length;
      const features = textFeatures === undefined ? null : await readTextFeatures(
        textFeatures,
        new Set(jobs.map(({ promptIndex }) => promptIndex)).size,
        this.folder.config.conditioningFeatureDim,
      );
      // All at once, so that the encoder is loaded once and never while the weights are there.
      const prepared = this.options.lowMemory ? await this.prepare(resolved, jobs, features) : null;
      const truncated = new Set<string>();
      for (let first = 0; first < jobs.length; first += size) {
        const group = jobs.slice(first, first + size);
        const done = first / size * plan.times.length;
        signal?.throwIfAborted();
        const images = prepared?.slice(first, first + size) ??
          await this.prepare(resolved, group, features);
        for (const truncation of images.flatMap(({ truncations }) => truncations)) {
          if (truncated.has(truncation.prompt)) continue;
          truncated.add(truncation.prompt);
          yield { kind: "truncated", truncation };
        }
        const levels = new Map<SampledImage, Promise<Picture[]>>();
        try {
          this.options.onStage?.("weights");
          const batch = this.batch(batchKind(resolved, this.folder));
          await batch.add(images);
          this.options.onStage?.("sampling");
          const taken = denoise(batch, { schedule: cacheSchedule(resolved), signal });
          let step = done;
          for await (const { finished } of taken) {
            for (const [image, reading] of finished) levels.set(image, reading);
            yield { kind: "progress", step: ++step, steps };
          }
        } finally {
          for (const image of images) this.#batch?.remove(image);
        }
        this.options.onStage?.("reading");
        for (const [i, job] of group.entries()) {
          yield { kind: "image", image: this.finished(job, await levels.get(images[i]!)!) };
        }
      }
    } finally {
      this.#isRunning = false;
    }
  }

  /** Images of a request, ready for a batch: their prompts are encoded. */
  async prepare(
    { plan }: Pick<ResolvedRequest, "plan">,
    jobs: readonly PictureJob[],
    features: TextFeatures | null = null,
  ): Promise<PreparedImage[]> {
    this.options.onStage?.("text");
    const texts = await this.#texts(jobs, plan, features);
    return jobs.map(({ seed }, i) => ({ seed, plan, ...texts[i]! }));
  }

  /** @throws {UsageError} After it was disposed of. */
  #checkThere(): void {
    if (this.#disposed) {
      throw new UsageError("The pipeline was disposed of: load the model again.");
    }
  }

  /** The batch of a kind, whose session is kept until another kind is asked for. */
  batch(kind: BatchKind): Batch {
    if (this.#batch === null || !isSameKind(this.#batch.kind, kind)) {
      this.#batch?.[Symbol.dispose]();
      const runnable = { pipelines: this.#pipelines, weights: this.#weights };
      this.#batch = new Batch(this.folder.network, runnable, kind);
    }
    return this.#batch;
  }

  /** An image of which every level was read, with the frames of each. */
  finished(job: PictureJob, levels: readonly Picture[]): GeneratedImage {
    return { ...job, levels, frames: levels.map((mosaic, level) => this.frames(mosaic, level)) };
  }

  /** The frames of one level's mosaic; an image is one. */
  frames(mosaic: Picture, level: number): Picture[] {
    return framesOf(mosaic, frameGrids(this.folder.config)[level]!);
  }

  /** The texts of each image: what it shows and, with guidance, what stands for no prompt. */
  async #texts(
    group: readonly PictureJob[],
    plan: SamplingPlan,
    features: TextFeatures | null,
  ): Promise<ImageTexts[]> {
    if (!this.folder.network.takesText) return group.map(() => ({ texts: [], truncations: [] }));
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
    const cut = (prompt: string) => [rows.get(prompt)?.truncation ?? []].flat();
    return group.map(({ prompt, negative, promptIndex }) => {
      const shown = features?.prompts[promptIndex] ?? rows.get(prompt)!;
      const truncations = [
        ...features === null ? cut(prompt) : [],
        ...guided ? cut(negative).map((each) => ({ ...each, negative: true as const })) : [],
      ];
      if (!guided) return { texts: [shown], truncations };
      const none = features?.negative?.[promptIndex] ?? rows.get(negative)!;
      // In the reference both are padded to one length, which a model that attends to padding sees.
      const length = Math.max(shown.length, none.length);
      return { texts: [padded(shown, length), padded(none, length)], truncations };
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#disposed) return;
    this.#disposed = true;
    await this.gpu.finish().catch(() => {});
    this.#batch?.[Symbol.dispose]();
    this.#weights[Symbol.dispose]();
    this.text[Symbol.dispose]();
    this.#pipelines[Symbol.dispose]();
    this.gpu[Symbol.dispose]();
    this.folder[Symbol.dispose]();
  }
}
