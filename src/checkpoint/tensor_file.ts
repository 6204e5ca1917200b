import type { Dtype } from "./dtype.ts";
import { RangedFile } from "./ranged_file.ts";
import { Safetensors } from "./safetensors.ts";
import { ShardedSafetensors } from "./sharded.ts";
import { isTorchFile, MAGIC_BYTES, TorchFile } from "./torch/torch_file.ts";

/** What a file of tensors says about one of them. */
export interface TensorDescription {
  readonly name: string;
  readonly dtype: Dtype;
  readonly shape: readonly number[];
}

/** A file of named tensors, open for reading in ranges, in whichever format. */
export interface TensorFile extends Disposable {
  readonly path: string;
  /** Every file that is read. */
  readonly files: readonly string[];
  /** Every tensor by its name, in the file's order. */
  readonly tensors: ReadonlyMap<string, TensorDescription>;
  /** Reads a whole tensor as float32, in row-major order. */
  readFloat32(name: string): Promise<Float32Array>;
  /** Reads `count` elements from element `start` on, in row-major order. */
  readFloat32Range(name: string, start: number, count: number): Promise<Float32Array>;
  close(): void;
}

/**
 * Opens a file of tensors: a torch checkpoint or safetensors, told apart by the first bytes and
 * not by the file's name; or the index of safetensors in several files (`*.index.json`).
 *
 * @throws {MdmError} when the file cannot be read or is not a whole, valid file of either format
 */
export async function openTensorFile(path: string): Promise<TensorFile> {
  if (/\.index(\.fp16)?\.json$/.test(path)) return await ShardedSafetensors.open(path);
  return await startsAsTorch(path) ? await TorchFile.open(path) : await Safetensors.open(path);
}

async function startsAsTorch(path: string): Promise<boolean> {
  using file = await RangedFile.open(path);
  return isTorchFile(await file.read(0, Math.min(MAGIC_BYTES, file.size)));
}
