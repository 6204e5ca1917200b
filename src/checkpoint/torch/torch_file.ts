import { crc32 } from "node:zlib";
import { bytesPerElement } from "../dtype.ts";
import { checkRange, readElements } from "../elements.ts";
import { loadError, quote } from "../header.ts";
import { RangedFile } from "../ranged_file.ts";
import type { TensorFile } from "../tensor_file.ts";
import { noTensor } from "../unreadable.ts";
import type { Checkpoint, StoragePlace } from "./checkpoint.ts";
import { readConfiguration } from "./configuration.ts";
import { readLegacyCheckpoint } from "./legacy_checkpoint.ts";
import { MAGIC_BYTES, torchFormat } from "./magic.ts";
import { readStateDict, type StateDict, type TorchTensor } from "./state_dict.ts";
import { elementCount, gather, isContiguous, strideEnd } from "./strided.ts";
import { readZipCheckpoint } from "./zip_checkpoint.ts";

export type { TorchTensor } from "./state_dict.ts";

/** Bytes of a storage that are checked at a time. */
const PIECE_BYTES = 8 << 20;

/**
 * A checkpoint that torch.save wrote, open for reading in ranges. Its pickle is read as data:
 * nothing in it is imported or called. Tensors stay on disk.
 *
 * ```ts
 * using file = await TorchFile.open("tests/fixtures/golden/checkpoint_pth/vis_model_f16.pth");
 * const [name] = file.tensors.keys();
 * const weight = await file.readFloat32(name!);
 * ```
 */
export class TorchFile implements TensorFile {
  /** Storages whose checksum has been seen to fit. */
  readonly #intact = new Set<string>();

  private constructor(
    private readonly file: RangedFile,
    private readonly checkpoint: Checkpoint,
    private readonly stateDict: StateDict,
  ) {}

  /**
   * Opens a file, reads its pickle and checks every tensor of its state dict.
   *
   * @throws {MdmError} when the file cannot be read or is not a whole, valid checkpoint
   */
  static async open(path: string): Promise<TorchFile> {
    const file = await RangedFile.open(path);
    try {
      const checkpoint = await readCheckpoint(file);
      return new TorchFile(file, checkpoint, readStateDict(path, checkpoint));
    } catch (error) {
      file.close();
      throw error;
    }
  }

  /** Every tensor of the state dict by its name, in the file's order. */
  get tensors(): ReadonlyMap<string, TorchTensor> {
    return this.stateDict.tensors;
  }

  get unreadable(): ReadonlyMap<string, string> {
    return this.stateDict.unreadable;
  }

  get path(): string {
    return this.file.path;
  }

  get files(): readonly string[] {
    return [this.path];
  }

  get format(): string {
    return `torch checkpoint (${this.checkpoint.format})`;
  }

  /** How often the pickle has objects of each class that is not known here. */
  get unknownRecords(): ReadonlyMap<string, number> {
    return this.checkpoint.records;
  }

  /**
   * The configuration that was saved with the weights, in the reference's field names: `model`,
   * `unet_config`, `diffusion_config`, `reader_config`, as far as they are there, and the width of
   * the text features as `conditioning_feature_dim`.
   *
   * @returns undefined when there is none
   * @throws {MdmError} when it nests too deep or is too large
   */
  configuration(): Record<string, unknown> | undefined {
    const { value } = this.checkpoint;
    return value instanceof Map
      ? readConfiguration(this.path, value.get("args") ?? null, this.tensors)
      : undefined;
  }

  /**
   * Reads a whole tensor as float32, in row-major order.
   *
   * @throws {MdmError} when there is no such tensor, or its bytes are damaged
   */
  readFloat32(name: string): Promise<Float32Array> {
    return this.readFloat32Range(name, 0, elementCount(this.#tensor(name).shape));
  }

  /**
   * Reads `count` elements of a tensor, from element `start` in row-major order, as float32.
   * Calls may overlap in time. Of a tensor that is not contiguous all elements are read.
   *
   * @throws {MdmError} when there is no such tensor, or its bytes are damaged
   * @throws {RangeError} when the elements are not all inside the tensor
   */
  async readFloat32Range(name: string, start: number, count: number): Promise<Float32Array> {
    const tensor = this.#tensor(name);
    checkRange(name, elementCount(tensor.shape), start, count);
    if (isContiguous(tensor)) return await this.#readStorage(tensor, tensor.offset + start, count);
    const out = new Float32Array(count);
    const { offset } = tensor;
    const source = await this.#readStorage(tensor, offset, Math.max(0, strideEnd(tensor) - offset));
    gather(source, tensor, start, out);
    return out;
  }

  /** Closes the file; nothing can be read after. */
  close(): void {
    this.file.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #tensor(name: string): TorchTensor {
    const tensor = this.tensors.get(name);
    if (!tensor) throw noTensor(this, name);
    return tensor;
  }

  /** Reads elements of a tensor's storage, which on its first use is compared to its checksum. */
  async #readStorage(
    { dtype, storage, storageCount }: TorchTensor,
    first: number,
    count: number,
  ): Promise<Float32Array> {
    if (count === 0) return new Float32Array(0);
    const place = await this.checkpoint.locate(storage);
    const { source } = place;
    const offset = place.offset + first * bytesPerElement(dtype);
    if (count < storageCount) {
      await this.#checkStorage(storage, place);
      return await readElements(source, { dtype, offset, count });
    }
    let crc = 0;
    const out = await readElements(source, { dtype, offset, count }, (bytes) => {
      crc = crc32(bytes, crc);
    });
    this.#compare(storage, place, crc);
    return out;
  }

  async #checkStorage(storage: string, place: StoragePlace): Promise<void> {
    if (place.crc32 === undefined || this.#intact.has(storage)) return;
    const end = place.offset + this.checkpoint.byteLength(storage)!;
    let crc = 0;
    for (let at = place.offset; at < end; at += PIECE_BYTES) {
      crc = crc32(await place.source.read(at, Math.min(PIECE_BYTES, end - at)), crc);
    }
    this.#compare(storage, place, crc);
  }

  #compare(storage: string, place: StoragePlace, crc: number): void {
    if (place.crc32 !== undefined && place.crc32 !== crc) {
      throw loadError(
        this.path,
        `its storage ${quote(storage)} is damaged: the checksum does not fit`,
      );
    }
    this.#intact.add(storage);
  }
}

async function readCheckpoint(file: RangedFile): Promise<Checkpoint> {
  const start = await file.read(0, Math.min(MAGIC_BYTES, file.size));
  switch (torchFormat(start)) {
    case "zip":
      return await readZipCheckpoint(file);
    case "legacy":
      return await readLegacyCheckpoint(file);
    case null:
      throw loadError(file.path, "it is not a file that torch.save wrote");
  }
}
