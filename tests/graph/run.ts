import assert from "../assert.ts";
import { Gpu, type GpuOptions } from "../../src/gpu/device.ts";
import {
  type KernelOptions,
  type KernelPolicy,
  kernelPolicy,
} from "../../src/gpu/kernel_policy.ts";
import { Pipelines } from "../../src/gpu/recording.ts";
import { Tensor } from "../../src/gpu/tensor.ts";
import { Weights } from "../../src/gpu/weights.ts";
import { Executable } from "../../src/graph/executable.ts";
import { Graph } from "../../src/graph/graph.ts";
import type { Parameter, Value } from "../../src/graph/operation.ts";
import { elements } from "../../src/graph/shape.ts";

/** Numbers between -1 and 1 that a seed determines. */
export function random(count: number, seed: number): Float32Array<ArrayBuffer> {
  let state = seed * 2654435761 >>> 0;
  return Float32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state >>> 8) / 8388608 - 1;
  });
}

/** What outputs hold before a run. */
const UNWRITTEN = 777;

/** A device for one test, with everything that has to be disposed of. */
export class Bench implements AsyncDisposable {
  readonly pipelines: Pipelines;
  readonly parameters = new Map<string, Float32Array>();
  readonly #dtypes = new Map<string, { dtype: string }>();
  readonly #tensors: Tensor[] = [];

  private constructor(readonly gpu: Gpu, readonly policy: KernelPolicy) {
    this.pipelines = new Pipelines(gpu);
  }

  static async open(options: GpuOptions & KernelOptions = {}): Promise<Bench> {
    const gpu = await Gpu.open(options);
    return new Bench(gpu, kernelPolicy(gpu.info, options));
  }

  /** A parameter with random values, scaled. */
  parameter(name: string, shape: number[], scale = 1): Parameter {
    const data = random(elements(shape), this.parameters.size + 17).map((x) => x * scale);
    this.parameters.set(name, data);
    return { name, shape };
  }

  /** A parameter that the checkpoint has in 16 bits. */
  halfParameter(name: string, shape: number[]): Parameter {
    const parameter = this.parameter(name, shape);
    this.parameters.set(name, this.parameters.get(name)!.map(Math.f16round));
    this.#dtypes.set(name, { dtype: "F16" });
    return parameter;
  }

  /** Builds a graph with inputs of the given values, runs it once (or more often) and reads its outputs. */
  async run(
    inputs: Record<string, { shape: number[]; data: Float32Array | Uint32Array<ArrayBuffer> }>,
    build: (graph: Graph, inputs: Record<string, Value>) => Record<string, Value>,
  ): Promise<Record<string, Float32Array>> {
    const graph = new Graph();
    const tensors = new Map<string, Tensor>();
    const values: Record<string, Value> = {};
    for (const [name, { shape, data }] of Object.entries(inputs)) {
      const tensor = this.#tensor(name, shape);
      if (data instanceof Uint32Array) tensor.writeRaw(data);
      else tensor.write(data);
      tensors.set(name, tensor);
      values[name] = graph.input(name, shape);
    }
    for (const [name, value] of Object.entries(build(graph, values))) {
      graph.output(name, value);
      const tensor = this.#tensor(name, [...value.shape]);
      // Whatever is not written shows.
      tensor.writeRaw(new Float32Array(tensor.bytes / 4).fill(UNWRITTEN));
      tensors.set(name, tensor);
    }
    const source = {
      tensors: this.#dtypes,
      readFloat32: (name: string) => Promise.resolve(this.parameters.get(name)!),
    };
    using weights = new Weights(this.gpu, source, this.policy);
    using executable = await Executable.make(graph, {
      pipelines: this.pipelines,
      weights,
      tensors,
    });
    executable.submit();
    const results: Record<string, Float32Array> = {};
    for (const name of [...graph.outputs.keys(), ...Object.keys(inputs)]) {
      results[name] = await tensors.get(name)!.read();
    }
    for (const name of graph.outputs.keys()) await this.#assertPadding(tensors.get(name)!);
    return results;
  }

  /** The padding of every value is zero. */
  async #assertPadding(tensor: Tensor): Promise<void> {
    const width = tensor.shape.at(-1)!;
    if (width % 4 === 0) return;
    const stride = Math.ceil(width / 4) * 4;
    const raw = new Float32Array(await this.gpu.read(tensor.buffer, 0, tensor.bytes));
    const stray = raw.findIndex((x, i) => i % stride >= width && x !== 0);
    assert.equal(stray, -1, `"${tensor.name}" has ${raw[stray]} in its padding`);
  }

  #tensor(name: string, shape: number[]): Tensor {
    const tensor = new Tensor(this.gpu, name, shape);
    this.#tensors.push(tensor);
    return tensor;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.gpu.finish();
    for (const tensor of this.#tensors) tensor[Symbol.dispose]();
    this.pipelines[Symbol.dispose]();
    this.gpu[Symbol.dispose]();
  }
}
