import { MdmError } from "../errors.ts";
import { Safetensors } from "./safetensors.ts";
import { ShardedSafetensors } from "./sharded.ts";
import type { TensorFile } from "./tensor_file.ts";

/**
 * Opens the weights of a folder in Hugging Face's layout: one safetensors file or several with an
 * index, in full precision where there is a choice.
 *
 * @param stem what the files' names begin with: "model", "diffusion_pytorch_model"
 * @throws {MdmError} when there are none, or they cannot be read
 */
export async function openWeights(folder: string, stem: string): Promise<TensorFile> {
  const names = ["", ".fp16"].flatMap((variant) => [
    `${stem}${variant}.safetensors`,
    `${stem}.safetensors.index${variant}.json`,
    `${stem}${variant}.safetensors.index.json`,
  ]);
  for (const name of new Set(names)) {
    if (!await isFile(`${folder}/${name}`)) continue;
    return name.endsWith(".json")
      ? await ShardedSafetensors.open(`${folder}/${name}`)
      : await Safetensors.open(`${folder}/${name}`);
  }
  throw new MdmError(
    `Cannot load "${folder}": it has no weights (${stem}.safetensors, or several with an index). ` +
      "Download the whole folder.",
  );
}

async function isFile(path: string): Promise<boolean> {
  return await Deno.stat(path).then((info) => info.isFile, () => false);
}
