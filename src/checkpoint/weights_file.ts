import { isFile } from "./file.ts";
import { MdmError } from "../errors.ts";
import { openTensorFile, type TensorFile } from "./tensor_file.ts";

/**
 * Finds the weights of a folder in Hugging Face's layout: one safetensors file or several with an
 * index, in full precision where there is a choice.
 *
 * @param stem what the files' names begin with: "model", "diffusion_pytorch_model"
 * @returns the path for {@linkcode openTensorFile}; null when there are none
 */
export async function findWeights(folder: string, stem: string): Promise<string | null> {
  const names = ["", ".fp16"].flatMap((variant) => [
    `${stem}${variant}.safetensors`,
    `${stem}.safetensors.index${variant}.json`,
    `${stem}${variant}.safetensors.index.json`,
  ]);
  for (const name of new Set(names)) {
    if (await isFile(`${folder}/${name}`)) return `${folder}/${name}`;
  }
  return null;
}

/**
 * Opens what {@linkcode findWeights} finds.
 *
 * @throws {MdmError} when there are none, or they cannot be read
 */
export async function openWeights(folder: string, stem: string): Promise<TensorFile> {
  const path = await findWeights(folder, stem);
  if (path !== null) return await openTensorFile(path);
  throw new MdmError(
    `Cannot load "${folder}": it has no weights (${stem}.safetensors, or several with an index). ` +
      "Download the whole folder.",
  );
}
