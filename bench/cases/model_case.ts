import { Safetensors } from "../../src/checkpoint/safetensors.ts";
import type { WrittenDtype } from "../../src/checkpoint/write_safetensors.ts";
import { Gpu } from "../../src/gpu/device.ts";
import { Pipelines } from "../../src/gpu/recording.ts";
import { Tensor } from "../../src/gpu/tensor.ts";
import { Weights } from "../../src/gpu/weights.ts";
import { Executable } from "../../src/graph/executable.ts";
import type { Graph } from "../../src/graph/graph.ts";
import type { Parameter } from "../../src/graph/operation.ts";
import type { Shape } from "../../src/graph/shape.ts";
import type { ModelConfig } from "../../src/model/config.ts";
import { modelJson } from "../../src/model/config_json.ts";
import { Network, type NetworkSizes } from "../../src/model/network.ts";
import { channelsLast } from "../../src/verify/comparison.ts";
import { indices } from "../onnx/export.ts";
import { onnxShape } from "../onnx/layout.ts";
import type { Case, Numbers, ReferenceInputs } from "./case.ts";
import {
  type ForwardGraphs,
  forwardGraphs,
  forwardSizes,
  pictures,
  readInput,
  writtenTensors,
} from "./forward.ts";
import { randomNumbers } from "./random.ts";

/** Rows of a guided picture: without its text and with it. */
const ROWS = 2;

/** Where in its schedule of 1000 steps the picture is. */
const TIME = 421;

/** What a model's case is made of. */
export interface ModelOptions {
  readonly config: ModelConfig;
  /** A file of weights; random ones without it. */
  readonly checkpoint?: string;
  /** Width and height of the outermost picture. */
  readonly size: number;
  readonly tokens: number;
  /** What random weights are kept in. */
  readonly dtype?: WrittenDtype;
  readonly large?: boolean;
}

/** A whole model: a forward pass of one guided picture. */
export class ModelCase implements Case {
  readonly group = "model";
  readonly large: boolean;
  readonly checkpoint: string | null;
  readonly dtype: WrittenDtype;
  readonly reference: ReferenceInputs;
  readonly #network: Network;
  readonly #sizes: NetworkSizes;
  readonly #pictures: readonly Shape[];

  constructor(readonly name: string, private readonly options: ModelOptions) {
    const { config, checkpoint, size, tokens, dtype, large } = options;
    this.large = large ?? false;
    this.checkpoint = checkpoint ?? null;
    this.dtype = dtype ?? "F32";
    this.reference = { config: modelJson(config), forward: () => this.#forward() };
    this.#network = new Network(config);
    this.#sizes = forwardSizes(ROWS, tokens);
    this.#pictures = pictures(this.#network, ROWS, size);
  }

  graph(): Graph {
    return this.#graphs().step;
  }

  parameters(): readonly Parameter[] {
    return [...this.#network.parameters.values()];
  }

  /** Our own engine computes those that are computed once a prompt. */
  async inputs(weightsPath: string): Promise<Map<string, Float32Array>> {
    const { before, step } = this.#graphs();
    using gpu = await Gpu.open();
    using pipelines = new Pipelines(gpu);
    using file = await Safetensors.open(weightsPath);
    using weights = new Weights(gpu, file);
    const given = this.#forward();
    const tensors = this.#written(gpu, given);
    for (const graph of before) {
      for (const [name, { shape }] of graph.outputs) {
        tensors.set(name, new Tensor(gpu, name, shape));
      }
      using executable = await Executable.make(graph, { pipelines, weights, tensors });
      executable.submit();
      await gpu.finish();
    }
    const ids = indices(step);
    const numbers = new Map<string, Float32Array>();
    for (const [name, value] of step.inputs) {
      const picture = given.get(name);
      numbers.set(
        name,
        picture === undefined
          ? await readInput(tensors.get(name)!, ids.has(value))
          : channelsLast(picture.data, picture.shape),
      );
    }
    return numbers;
  }

  #graphs(): ForwardGraphs {
    return forwardGraphs(this.#network, this.#sizes, this.#pictures);
  }

  /** A forward pass in the layout of the golden data; the text of the first row is half as long as there is room. */
  #forward(): Map<string, Numbers> {
    const { config: { conditioningFeatureDim: width }, tokens } = this.options;
    const noisy = this.#pictures.map((shape, level): [string, Numbers] => {
      const channelsSecond = onnxShape(shape);
      const data = randomNumbers(`${this.name} ${level}`, channelsSecond);
      return [`x_t.${level}`, { shape: channelsSecond, data }];
    });
    const mask = Float32Array.from(
      { length: ROWS * tokens },
      (_, i) => Number(i < tokens / 2 || i >= tokens),
    );
    const features = randomNumbers(`${this.name} text`, [ROWS, tokens, width])
      .map((x, i) => x * mask[Math.floor(i / width)]!);
    return new Map([
      ...noisy,
      ["times", { shape: [ROWS], data: new Float32Array(ROWS).fill(TIME) }],
      ["lm_outputs", { shape: [ROWS, tokens, width], data: features }],
      ["lm_mask", { shape: [ROWS, tokens], data: mask }],
    ]);
  }

  /** The network's tensors on a device, with a forward pass written to them. */
  #written(gpu: Gpu, given: ReadonlyMap<string, Numbers>): Map<string, Tensor> {
    const { config: { conditioningFeatureDim: width }, tokens } = this.options;
    const [times, features, mask] = ["times", "lm_outputs", "lm_mask"]
      .map((name) => given.get(name)!.data) as [Float32Array, Float32Array, Float32Array];
    const texts = Array.from({ length: ROWS }, (_, row) => ({
      features: features.subarray(row * tokens * width, (row + 1) * tokens * width),
      length: tokens,
      mask: mask.subarray(row * tokens, (row + 1) * tokens),
    }));
    return writtenTensors(gpu, this.#network, this.#sizes, { texts, times });
  }
}
