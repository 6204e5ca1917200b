import { RangedFile } from "./ranged_file.ts";
import { Safetensors } from "./safetensors.ts";
import { ShardedTensors } from "./sharded.ts";
import { MAGIC_BYTES, torchFormat } from "./torch/magic.ts";
import { unwrapped } from "./unwrapped.ts";

/** What a file of tensors says about one of them. */
export interface TensorDescription {
  readonly name: string;
  /** A `Dtype`, or the file's own name for one that is not read. */
  readonly dtype: string;
  readonly shape: readonly number[];
}

/** A file of named tensors, open for reading in ranges, in whichever format. */
export interface TensorFile extends Disposable {
  readonly path: string;
  /** Every file that is read. */
  readonly files: readonly string[];
  /** What it is, in words: "torch checkpoint (zip)". */
  readonly format: string;
  /** Every tensor by its name, in the file's order. */
  readonly tensors: ReadonlyMap<string, TensorDescription>;
  /**
   * Names under which something stands that cannot be read, and why, as the end of a sentence: "is a
   * sparse tensor". Nothing is wrong with that as long as it is not read.
   */
  readonly unreadable: ReadonlyMap<string, string>;
  /** Reads a whole tensor as float32, in row-major order. */
  readFloat32(name: string): Promise<Float32Array>;
  /** Reads `count` elements from element `start` on, in row-major order. */
  readFloat32Range(name: string, start: number, count: number): Promise<Float32Array>;
  /** The configuration that was saved with the tensors, in formats that can hold one. */
  configuration?(): Record<string, unknown> | undefined;
  /** How often objects of each class that is not known here are in it, in formats that have such. */
  readonly unknownRecords?: ReadonlyMap<string, number>;
  close(): void;
}

/**
 * Opens a file of tensors: a torch checkpoint or safetensors, told apart by the first bytes and
 * not by the file's name; or the index of several such files (`*.index.json`). Names are without
 * what programs that wrap a model put before them.
 *
 * @throws {MdmError} when the file cannot be read or is not a whole, valid file of either format
 */
export async function openTensorFile(path: string): Promise<TensorFile> {
  return unwrapped(
    /\.index(\.[\w-]+)?\.json$/.test(path)
      ? await ShardedTensors.open(path, openOneFile)
      : await openOneFile(path),
  );
}

/** Opens one file, with the names that are in it. */
async function openOneFile(path: string): Promise<TensorFile> {
  if (torchFormat(await startOf(path)) !== null) {
    // Loaded where there is such a file only: what reads it takes as long to load as all else here.
    const { TorchFile } = await import("./torch/torch_file.ts");
    return await TorchFile.open(path);
  }
  return await Safetensors.open(path);
}

async function startOf(path: string): Promise<Uint8Array> {
  using file = await RangedFile.open(path);
  return await file.read(0, Math.min(MAGIC_BYTES, file.size));
}
