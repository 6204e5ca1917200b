import { matchTensors } from "../checkpoint/match.ts";
import { readJson } from "../checkpoint/json.ts";
import { Safetensors } from "../checkpoint/safetensors.ts";
import type { Pipelines } from "../gpu/recording.ts";
import { Tensor } from "../gpu/tensor.ts";
import { Weights } from "../gpu/weights.ts";
import { Executable } from "../graph/executable.ts";
import { Graph } from "../graph/graph.ts";
import { T5Encoder } from "../model/t5.ts";
import { parseT5Config } from "../model/t5_config.ts";

/** Texts are encoded with room for a multiple of this many tokens, so that few sizes have to be recorded. */
const TOKEN_STEP = 16;

/** A T5 encoder on the GPU, from a folder in Hugging Face's layout (config.json, model.safetensors). */
export class TextEncoder implements Disposable {
  readonly #runs = new Map<number, Run>();

  private constructor(
    readonly model: T5Encoder,
    readonly weights: Weights,
    private readonly file: Safetensors,
    private readonly pipelines: Pipelines,
  ) {}

  /**
   * Opens a folder; weights are read when the first text is encoded.
   *
   * @throws {MdmError} When the folder is not a T5 encoder.
   */
  static async open(folder: string, pipelines: Pipelines): Promise<TextEncoder> {
    const config = parseT5Config(await readJson(`${folder}/config.json`), `${folder}/config.json`);
    const model = new T5Encoder(config);
    const file = await Safetensors.open(`${folder}/model.safetensors`);
    try {
      // Published files hold a decoder as well.
      matchTensors(file.tensors, model.parameters, { source: file.path, allowSurplus: true });
      return new TextEncoder(model, new Weights(pipelines.gpu, file), file, pipelines);
    } catch (error) {
      file.close();
      throw error;
    }
  }

  /** Width of the features. */
  get width(): number {
    return this.model.config.dModel;
  }

  /**
   * Encodes one text.
   *
   * @param ids Its tokens, without padding.
   * @returns The last hidden state, [tokens, width].
   */
  async encode(ids: readonly number[]): Promise<Float32Array<ArrayBuffer>> {
    const capacity = Math.ceil(ids.length / TOKEN_STEP) * TOKEN_STEP;
    let run = this.#runs.get(capacity);
    if (run === undefined) {
      this.#runs.set(capacity, run = await Run.make(this, this.pipelines, capacity));
    }
    return (await run.encode(ids)).slice(0, ids.length * this.width);
  }

  [Symbol.dispose](): void {
    for (const run of this.#runs.values()) run[Symbol.dispose]();
    this.weights[Symbol.dispose]();
    this.file.close();
  }
}

/** Encodes one text: "ids" and "mask" [1, tokens] to "features" [1, tokens, width]. */
export function textGraph(model: T5Encoder, tokens: number): Graph {
  const graph = new Graph();
  const ids = graph.input("ids", [1, tokens]);
  const mask = graph.input("mask", [1, tokens]);
  graph.output("features", model.forward(graph, ids, mask));
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
    const tensors = new Map(
      ([["ids", [1, tokens]], ["mask", [1, tokens]], ["features", [1, tokens, width]]] as const)
        .map(([name, shape]) => [name, new Tensor(pipelines.gpu, name, shape)]),
    );
    return new Run(tokens, tensors, await Executable.make(graph, { pipelines, weights, tensors }));
  }

  async encode(ids: readonly number[]): Promise<Float32Array<ArrayBuffer>> {
    const padded = new Uint32Array(this.tokens);
    padded.set(ids);
    this.tensors.get("ids")!.writeRaw(padded);
    this.tensors.get("mask")!.write(Float32Array.from(padded, (_, i) => i < ids.length ? 1 : 0));
    this.executable.submit();
    return await this.tensors.get("features")!.read();
  }

  [Symbol.dispose](): void {
    this.executable[Symbol.dispose]();
    for (const tensor of this.tensors.values()) tensor[Symbol.dispose]();
  }
}
