import type { TensorFile } from "../checkpoint/tensor_file.ts";
import type { KernelPolicy } from "../gpu/kernel_policy.ts";
import type { Pipelines } from "../gpu/recording.ts";
import { Tensor } from "../gpu/tensor.ts";
import { Weights } from "../gpu/weights.ts";
import { Executable } from "../graph/executable.ts";
import { Graph } from "../graph/graph.ts";
import type { T5Encoder } from "../model/t5.ts";
import { textCapacity } from "../model/text_inputs.ts";
import { openT5 } from "./t5_files.ts";

/** A T5 encoder on the GPU, from a folder in Hugging Face's layout (config.json, and model.safetensors or its shards with their index). */
export class TextEncoder implements Disposable {
  readonly #runs = new Map<number, Run>();

  private constructor(
    readonly model: T5Encoder,
    readonly weights: Weights,
    readonly file: TensorFile,
    private readonly pipelines: Pipelines,
  ) {}

  /**
   * Opens a folder; weights are read when the first text is encoded.
   *
   * @throws {MdmError} When the folder is not a T5 encoder.
   */
  static async open(
    folder: string,
    pipelines: Pipelines,
    policy?: KernelPolicy,
  ): Promise<TextEncoder> {
    const { model, file } = await openT5(folder);
    return new TextEncoder(model, new Weights(pipelines.gpu, file, policy), file, pipelines);
  }

  /** Bytes on the GPU. */
  get bytes(): number {
    return this.#runs.values().reduce((sum, run) => sum + run.bytes, this.weights.bytes);
  }

  /** Width of the features. */
  get width(): number {
    return this.model.config.dModel;
  }

  /**
   * Encodes texts, one by one; all are waited for together, since a wait takes 11 ms.
   *
   * @param texts The tokens of each, without padding.
   * @returns The last hidden state of each, [tokens, width].
   */
  async encode(texts: readonly (readonly number[])[]): Promise<Float32Array<ArrayBuffer>[]> {
    const { width } = this;
    const prepared: { run: Run; embedded: Float32Array; length: number }[] = [];
    for (const ids of texts) {
      const run = await this.#run(ids.length);
      prepared.push({ run, embedded: await this.#embed(ids, run.tokens), length: ids.length });
    }
    const encoded = await Promise.all(
      prepared.map(({ run, embedded, length }) => run.encode(embedded, length)),
    );
    return encoded.map((features, i) => features.slice(0, prepared[i]!.length * width));
  }

  /** The encoder recorded with room for some tokens. */
  async #run(tokens: number): Promise<Run> {
    const capacity = textCapacity(tokens);
    const known = this.#runs.get(capacity);
    if (known !== undefined) return known;
    const run = await Run.make(this, this.pipelines, capacity);
    this.#runs.set(capacity, run);
    return run;
  }

  /** The embeddings of tokens, zeros after them: [capacity, width]. */
  async #embed(ids: readonly number[], capacity: number): Promise<Float32Array> {
    const { width } = this;
    const embedded = new Float32Array(capacity * width);
    for (const [i, id] of ids.entries()) {
      const row = await this.file.readFloat32Range(this.model.embedding.name, id * width, width);
      embedded.set(row, i * width);
    }
    return embedded;
  }

  [Symbol.dispose](): void {
    for (const run of this.#runs.values()) run[Symbol.dispose]();
    this.weights[Symbol.dispose]();
    this.file.close();
  }
}

/** Encodes one text: "embedded" [1, tokens, width] and "mask" [1, tokens] to "features" [1, tokens, width]. */
export function textGraph(model: T5Encoder, tokens: number): Graph {
  const graph = new Graph();
  const embedded = graph.input("embedded", [1, tokens, model.config.dModel]);
  const mask = graph.input("mask", [1, tokens]);
  graph.output("features", model.forward(graph, embedded, mask));
  return graph;
}

/** The encoder recorded for a number of tokens. */
class Run implements Disposable {
  private constructor(
    readonly tokens: number,
    readonly tensors: ReadonlyMap<string, Tensor>,
    readonly executable: Executable,
  ) {}

  static async make(
    { model, weights, width }: TextEncoder,
    pipelines: Pipelines,
    tokens: number,
  ): Promise<Run> {
    const graph = textGraph(model, tokens);
    const shapes = {
      embedded: [1, tokens, width],
      mask: [1, tokens],
      features: [1, tokens, width],
    };
    using made = new DisposableStack();
    const tensors = new Map<string, Tensor>();
    for (const [name, shape] of Object.entries(shapes)) {
      tensors.set(name, made.use(new Tensor(pipelines.gpu, name, shape)));
    }
    const executable = await Executable.make(graph, { pipelines, weights, tensors });
    made.move();
    return new Run(tokens, tensors, executable);
  }

  /** Bytes on the GPU beside the weights. */
  get bytes(): number {
    return this.tensors.values()
      .reduce((sum, { bytes }) => sum + bytes, this.executable.plan.arenaBytes);
  }

  /** @param embedded Embeddings of the tokens, of which the first `length` count. */
  async encode(embedded: Float32Array, length: number): Promise<Float32Array<ArrayBuffer>> {
    this.tensors.get("embedded")!.write(embedded);
    this.tensors.get("mask")!.write(new Float32Array(this.tokens).fill(1, 0, length));
    this.executable.submit();
    return await this.tensors.get("features")!.read();
  }

  [Symbol.dispose](): void {
    this.executable[Symbol.dispose]();
    for (const tensor of this.tensors.values()) tensor[Symbol.dispose]();
  }
}
