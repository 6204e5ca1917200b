import { MdmError } from "../errors.ts";
import { Safetensors } from "./safetensors.ts";
import { ShardedSafetensors } from "./sharded.ts";
import type { TensorFile } from "./tensor_file.ts";

/**
 * Opens the safetensors of a folder, as Hugging Face's libraries name them: `<stem>.safetensors`, its shards by their index, or the
 * same in 16 bits (`<stem>.fp16.safetensors`).
 *
 * @throws {MdmError} When there are none, or they cannot be read.
 */
export async function openSafetensors(folder: string, stem: string): Promise<TensorFile> {
  for (const variant of [stem, `${stem}.fp16`]) {
    const whole = `${folder}/${variant}.safetensors`;
    if (await isThere(whole)) return await Safetensors.open(whole);
    const index = `${whole}.index.json`;
    if (await isThere(index)) return await ShardedSafetensors.open(index);
  }
  throw new MdmError(
    `Cannot load "${folder}": it has neither "${stem}.safetensors" nor its shards. Check the folder.`,
  );
}

async function isThere(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}
