import type { Gpu } from "./device.ts";
import type { BufferRange } from "./kernel.ts";

/** A tensor on the GPU, its last dimension padded with zeros to a multiple of four as kernels need it. */
export class Tensor implements Disposable, BufferRange {
  readonly buffer: GPUBuffer;
  readonly offset = 0;
  readonly bytes: number;
  readonly #width: number;
  readonly #stride: number;

  constructor(readonly gpu: Gpu, readonly name: string, readonly shape: readonly number[]) {
    this.#width = shape.at(-1)!;
    this.#stride = Math.ceil(this.#width / 4) * 4;
    const rows = shape.slice(0, -1).reduce((product, size) => product * size, 1);
    this.bytes = rows * this.#stride * 4;
    this.buffer = gpu.buffer(this.bytes, name);
  }

  /** Writes numbers without padding, from row `first` on (rows of the first dimension). */
  write(data: Float32Array, first = 0): void {
    const rows = data.length / this.#width;
    const padded = new Float32Array(rows * this.#stride);
    for (let row = 0; row < rows; row++) {
      padded.set(data.subarray(row * this.#width, (row + 1) * this.#width), row * this.#stride);
    }
    this.gpu.device.queue.writeBuffer(this.buffer, first * this.rowBytes, padded);
  }

  /** Writes bytes as they are. */
  writeRaw(data: ArrayBufferView<ArrayBuffer>): void {
    this.gpu.device.queue.writeBuffer(this.buffer, 0, data);
  }

  /** Bytes of a row of the first dimension. */
  get rowBytes(): number {
    return this.bytes / this.shape[0]!;
  }

  /** Reads numbers back, without padding: of so many rows of the first dimension, from row `first` on. */
  async read(first = 0, count = this.shape[0]! - first): Promise<Float32Array<ArrayBuffer>> {
    const { rowBytes } = this;
    const bytes = await this.gpu.read(this.buffer, first * rowBytes, count * rowBytes);
    const padded = new Float32Array(bytes);
    const rows = padded.length / this.#stride;
    const data = new Float32Array(rows * this.#width);
    for (let row = 0; row < rows; row++) {
      data.set(
        padded.subarray(row * this.#stride, row * this.#stride + this.#width),
        row * this.#width,
      );
    }
    return data;
  }

  [Symbol.dispose](): void {
    this.buffer.destroy();
  }
}
