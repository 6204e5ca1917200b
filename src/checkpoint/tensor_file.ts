import type { Dtype } from "./dtype.ts";
import { RangedFile } from "./ranged_file.ts";
import { Safetensors } from "./safetensors.ts";
import { ShardedSafetensors } from "./sharded.ts";
import { MAGIC_BYTES, torchFormat } from "./torch/magic.ts";

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
  /** The configuration that was saved with the tensors, in formats that can hold one. */
  configuration?(): Record<string, unknown> | undefined;
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
  if (!await startsAsTorch(path)) return await Safetensors.open(path);
  // Loaded where there is such a file only: what reads it takes as long to load as all else here.
  const { TorchFile } = await import("./torch/torch_file.ts");
  return await TorchFile.open(path);
}

async function startsAsTorch(path: string): Promise<boolean> {
  using file = await RangedFile.open(path);
  return torchFormat(await file.read(0, Math.min(MAGIC_BYTES, file.size))) !== null;
}
