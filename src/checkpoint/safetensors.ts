import { bytesPerElement, isDtype } from "./dtype.ts";
import { checkRange, readElements } from "./elements.ts";
import { KIND_BYTES, kindOf, wrongKind } from "./file_kind.ts";
import {
  encodeHeader,
  type Header,
  headerLength,
  LENGTH_BYTES,
  loadError,
  parseHeader,
  quote,
  type TensorInfo,
} from "./header.ts";
import { RangedFile } from "./ranged_file.ts";
import type { TensorFile } from "./tensor_file.ts";
import { noTensor } from "./unreadable.ts";

export type { Dtype } from "./dtype.ts";
export type { TensorInfo } from "./header.ts";

/**
 * A safetensors file, open for reading in ranges. The header is checked in full when it opens and
 * the tensors stay on disk, so opening costs the same for any size.
 *
 * ```ts
 * using file = await Safetensors.open("weights/shapes32/model.safetensors");
 * const [name] = file.tensors.keys();
 * const weight = await file.readFloat32(name!);
 * ```
 */
export class Safetensors implements TensorFile {
  private constructor(private readonly file: RangedFile, private readonly header: Header) {}

  /**
   * Opens a file and checks its header.
   *
   * @throws {MdmError} when the file cannot be read or is not a whole, valid safetensors file
   */
  static async open(path: string): Promise<Safetensors> {
    const file = await RangedFile.open(path);
    try {
      const { size } = file;
      const start = await file.read(0, Math.min(KIND_BYTES, size));
      const kind = startsAsSafetensors(start) ? undefined : kindOf(start);
      if (kind !== undefined) throw wrongKind(path, kind, "a file of weights");
      if (size < LENGTH_BYTES) throw loadError(path, `it has only ${size} bytes`);
      const length = headerLength(path, start, size);
      const text = await file.read(LENGTH_BYTES, length);
      return new Safetensors(file, parseHeader(path, text, LENGTH_BYTES + length, size));
    } catch (error) {
      file.close();
      throw error;
    }
  }

  get path(): string {
    return this.file.path;
  }

  get files(): readonly string[] {
    return [this.path];
  }

  /** Every tensor by its name, in the header's order. */
  get tensors(): ReadonlyMap<string, TensorInfo> {
    return this.header.tensors;
  }

  readonly format = "safetensors";

  get unreadable(): ReadonlyMap<string, string> {
    return new Map(
      [...this.tensors.values()]
        .filter(({ dtype }) => !isDtype(dtype))
        .map(({ name, dtype }) => [name, `has dtype ${dtype}`]),
    );
  }

  /** The header's `__metadata__`; empty when there is none. */
  get metadata(): ReadonlyMap<string, string> {
    return this.header.metadata;
  }

  /**
   * Reads a whole tensor as float32, in row-major order.
   *
   * @throws {MdmError} when there is no such tensor, or its dtype does not become float32
   */
  readFloat32(name: string): Promise<Float32Array> {
    return this.readFloat32Range(name, 0, elements(this.#info(name)));
  }

  /**
   * Reads `count` elements of a tensor, from element `start` in row-major order, as float32.
   * Calls may overlap in time.
   *
   * @throws {MdmError} when there is no such tensor, or its dtype does not become float32
   * @throws {RangeError} when the elements are not all inside the tensor
   */
  async readFloat32Range(name: string, start: number, count: number): Promise<Float32Array> {
    const info = this.#info(name);
    const { dtype } = info;
    if (!isDtype(dtype)) throw noTensor(this, name);
    checkRange(name, elements(info), start, count);
    const offset = info.offset + start * bytesPerElement(dtype);
    return await readElements(this.file, { dtype, offset, count });
  }

  /** Closes the file; nothing can be read after. */
  close(): void {
    this.file.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #info(name: string): TensorInfo {
    const info = this.tensors.get(name);
    if (!info) throw noTensor(this, name);
    return info;
  }
}

/**
 * Writes tensors as a safetensors file, in the map's order; the same input gives the same bytes.
 *
 * @throws {RangeError} when a shape does not fit its data
 */
export function encodeSafetensors(
  tensors: Map<string, { shape: number[]; data: Float32Array }>,
  dtype: "F32" | "F16" = "F32",
): Uint8Array<ArrayBuffer> {
  for (const [name, { shape, data }] of tensors) {
    if (shape.reduce((a, b) => a * b, 1) !== data.length) {
      throw new RangeError(
        `Tensor ${quote(name)}: [${shape.join(", ")}] is not ${data.length} values`,
      );
    }
  }
  const { header, dataBytes } = encodeHeader(
    [...tensors].map(([name, { shape }]) => ({ name, dtype, shape })),
  );
  const bytes = new Uint8Array(header.length + dataBytes);
  bytes.set(header);
  const View = dtype === "F16" ? Float16Array : Float32Array;
  const values = new View(bytes.buffer, header.length);
  let at = 0;
  for (const { data } of tensors.values()) {
    values.set(data, at);
    at += data.length;
  }
  return bytes;
}

/** Whether a header's first byte is where it has to be; the bytes of its length may be any. */
function startsAsSafetensors(start: Uint8Array): boolean {
  return start[LENGTH_BYTES] === 0x7b && start[LENGTH_BYTES - 1] === 0;
}

function elements({ shape }: TensorInfo): number {
  return shape.reduce((count, side) => count * side, 1);
}
