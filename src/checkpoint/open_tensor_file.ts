import { RangedFile } from "./ranged_file.ts";
import { Safetensors } from "./safetensors.ts";
import { ShardedTensors } from "./sharded.ts";
import { MAGIC_BYTES, torchFormat } from "./torch/magic.ts";
import { unwrapped } from "./unwrapped.ts";
import type { TensorFile } from "./tensor_file.ts";

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
