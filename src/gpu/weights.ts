import { MdmError } from "../errors.ts";
import type { Gpu } from "./device.ts";
import type { BufferRange } from "./kernel.ts";
import type { KernelPolicy } from "./kernel_policy.ts";
import type { Packing } from "./packing.ts";

/** Where tensors come from, by the names of the checkpoint. */
export interface TensorSource {
  readonly tensors?: ReadonlyMap<string, { readonly dtype: string }>;
  readFloat32(name: string): Promise<Float32Array>;
}

/** Whether a tensor is kept in 16 bits: as it is in the file, so nothing is lost. */
export function isHalf({ tensors }: Pick<TensorSource, "tensors">, name: string): boolean {
  return tensors?.get(name)?.dtype === "F16";
}

/** Tensors to be laid out as one. */
interface WeightRequest {
  readonly key: string;
  readonly parameters: readonly { readonly name: string }[];
  readonly packing: Packing;
}

const ALIGNMENT = 256;

/** Bytes that are uploaded before they are waited for: until the GPU has them they are in memory twice. */
export const LARGEST_UPLOAD = 64 << 20;

/** The most bytes that weights take, each at an offset that can be bound. */
export function weightBytes(weights: Iterable<{ readonly packing: Packing }>): number {
  let sum = 0;
  for (const { packing: { bytes } } of weights) {
    sum += Math.ceil(Math.max(16, bytes) / ALIGNMENT) * ALIGNMENT;
  }
  return sum;
}

/** Buffers are made no larger than this: drivers differ in what they can do in one piece. */
const LARGEST_BUFFER = 1 << 30;

/** The weights of one model on the GPU, each loaded once however many plans read it. */
export class Weights implements Disposable {
  readonly #ranges = new Map<string, BufferRange>();
  readonly #buffers: GPUBuffer[] = [];
  #bytes = 0;

  constructor(
    readonly gpu: Gpu,
    readonly source: TensorSource,
    /** They are packed as the kernels read them that it chooses. */
    readonly policy: KernelPolicy = gpu.info,
  ) {}

  /** Bytes on the GPU. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Whether a tensor is kept in 16 bits. */
  isHalf(name: string): boolean {
    return isHalf(this.source, name);
  }

  /** Where a loaded weight is. */
  range(key: string): BufferRange {
    const range = this.#ranges.get(key);
    if (range === undefined) throw new Error(`Weight "${key}" was not loaded`);
    return range;
  }

  /**
   * Loads what is not there yet, one tensor at a time: at no moment is more than one in JavaScript's memory.
   *
   * @throws {MdmError} When a tensor is larger than the device can bind, or holds what is not a number.
   */
  async load(requests: readonly WeightRequest[]): Promise<void> {
    const missing = requests.filter(({ key }) => !this.#ranges.has(key));
    for (const { key, packing } of missing) {
      if (packing.bytes > this.gpu.limits.maxStorageBufferBindingSize) {
        throw new MdmError(
          `The GPU cannot hold "${key}": it takes ${packing.bytes} bytes and the limit for one tensor is ${this.gpu.limits.maxStorageBufferBindingSize}. Use a GPU with a larger limit.`,
        );
      }
    }
    const ranges = this.#allocate(missing);
    let waiting = 0;
    for (const { key, parameters, packing } of missing) {
      const tensors: Float32Array[] = [];
      for (const { name } of parameters) tensors.push(await this.#read(name));
      const range = ranges.get(key)!;
      this.gpu.device.queue.writeBuffer(range.buffer, range.offset, packing.pack(tensors));
      // Only now: what could not be read must not count as loaded.
      this.#ranges.set(key, range);
      waiting += packing.bytes;
      if (waiting < LARGEST_UPLOAD) continue;
      this.gpu.device.queue.submit([]);
      await this.gpu.finish();
      waiting = 0;
    }
    this.gpu.check();
  }

  /** Reads a tensor; with a NaN in it, images would be nothing but NaN, clipped to look like one. */
  async #read(name: string): Promise<Float32Array> {
    const tensor = await this.source.readFloat32(name);
    let sum = 0;
    for (let i = 0; i < tensor.length; i++) sum += tensor[i]! * 0;
    if (sum === 0) return tensor;
    throw new MdmError(
      `Cannot use the weights: tensor "${name}" holds values that are not finite. Get the file again.`,
    );
  }

  /** Gives each request a range, in as few buffers as the limits allow. */
  #allocate(requests: readonly WeightRequest[]): Map<string, BufferRange> {
    const limit = Math.min(this.gpu.limits.maxBufferSize, LARGEST_BUFFER);
    const ranges = new Map<string, BufferRange>();
    let group: { key: string; offset: number; bytes: number }[] = [];
    let size = 0;
    const close = () => {
      if (group.length === 0) return;
      const buffer = this.gpu.buffer(size, "weights");
      this.#buffers.push(buffer);
      this.#bytes += size;
      for (const { key, offset, bytes } of group) ranges.set(key, { buffer, offset, bytes });
      group = [];
      size = 0;
    };
    for (const { key, packing } of requests) {
      const bytes = Math.max(16, packing.bytes);
      if (size + bytes > limit) close();
      group.push({ key, offset: size, bytes });
      size = Math.ceil((size + bytes) / ALIGNMENT) * ALIGNMENT;
    }
    close();
    return ranges;
  }

  [Symbol.dispose](): void {
    for (const buffer of this.#buffers) buffer.destroy();
  }
}
