import { asReadError, isFile } from "../files/read_file.ts";
import { MdmError } from "../errors.ts";
import { openTensorFile } from "./open_tensor_file.ts";
import type { TensorFile } from "./tensor_file.ts";

/** Variants of weights in the order in which they are preferred: in full precision first. */
const PREFERRED = ["", "fp32", "bf16", "fp16"];

/**
 * Finds the weights of a folder in Hugging Face's layout: one file or several with an index, of
 * safetensors or else of torch, in full precision where there is a choice.
 *
 * @param stem what the files' names begin with: "model", "diffusion_pytorch_model"
 * @returns the path for {@linkcode openTensorFile}; null when there are none
 */
export async function findWeights(folder: string, stem: string): Promise<string | null> {
  const torch = stem.endsWith("pytorch_model") ? stem : `pytorch_${stem}`;
  const names = await namesIn(folder, [stem, torch]);
  return findVariant(names, folder, stem, ".safetensors") ??
    findVariant(names, folder, torch, ".bin");
}

/** A file's name ends in its format, with the variant before it or, of an index, within its end. */
function findVariant(
  names: readonly string[],
  folder: string,
  stem: string,
  ending: string,
): string | null {
  const variants = new Map<string, string>();
  for (const name of names) {
    const middle = middleOf(name, stem, ending) ??
      middleOf(name, stem, `${ending}.index.json`) ??
      middleOf(name, `${stem}${ending}.index`, ".json");
    // One file is preferred to several of the same variant.
    const known = middle === undefined ? undefined : variants.get(middle);
    if (middle !== undefined && (known === undefined || known.endsWith(".json"))) {
      variants.set(middle, name);
    }
  }
  const order = [...new Set([...PREFERRED, ...[...variants.keys()].sort()])];
  const chosen = order.find((variant) => variants.has(variant));
  return chosen === undefined ? null : `${folder}/${variants.get(chosen)}`;
}

/** The variant in a name, "" for none; undefined: it is another name. */
function middleOf(name: string, start: string, end: string): string | undefined {
  if (!name.startsWith(start) || !name.endsWith(end)) return undefined;
  const middle = name.slice(start.length, -end.length);
  return middle === "" ? "" : /^\.(\w+)$/.exec(middle)?.[1];
}

/** The files of a folder whose names begin in one of these ways. */
async function namesIn(folder: string, stems: readonly string[]): Promise<string[]> {
  const names: string[] = [];
  try {
    for await (const { name } of Deno.readDir(folder)) {
      if (stems.some((stem) => name.startsWith(stem))) names.push(name);
    }
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw asReadError(folder, error);
  }
  const files = await Promise.all(names.map((name) => isFile(`${folder}/${name}`)));
  return names.filter((_, i) => files[i]).sort();
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
