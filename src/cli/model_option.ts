import { fileURLToPath } from "node:url";
import { ModelFolder } from "../pipeline/model_folder.ts";

/** The model that comes with mdm, where a command is given none. */
export const DEFAULT_MODEL = fileURLToPath(new URL("../../weights/shapes32", import.meta.url));

/** The option that several commands share. */
export const MODEL_OPTION = {
  long: "model",
  short: "m",
  value: "FOLDER",
  description: "The model's folder; without it the small model that comes with mdm",
} as const;

/** Opens a model's folder; recorded cases call the weights "weights.safetensors". */
export async function openModel(path: string): Promise<ModelFolder> {
  const exists = (name: string) => Deno.stat(`${path}/${name}`).then(() => true, () => false);
  const recorded = !await exists("model.safetensors") && await exists("weights.safetensors");
  return await ModelFolder.open(path, recorded ? "weights.safetensors" : "model.safetensors");
}
