import { readJson } from "../checkpoint/json.ts";
import { matchTensors } from "../checkpoint/match.ts";
import type { TensorFile } from "../checkpoint/tensor_file.ts";
import { openWeights } from "../checkpoint/weights_file.ts";
import { T5Encoder } from "../model/t5.ts";
import { parseT5Config } from "../model/t5_config.ts";

/** A T5 encoder's files, opened: the configuration read and checked, weights not read yet. */
export interface T5Files {
  readonly model: T5Encoder;
  readonly file: TensorFile;
}

/** What files call the embedding. */
const EMBEDDINGS = ["shared.weight", "encoder.embed_tokens.weight"];

/**
 * Opens a folder in Hugging Face's layout: config.json, and model.safetensors or its shards with their index.
 *
 * @throws {MdmError} When it is not a T5 encoder, or lacks a tensor.
 */
export async function openT5(folder: string): Promise<T5Files> {
  const config = parseT5Config(await readJson(`${folder}/config.json`), `${folder}/config.json`);
  const file = await openWeights(folder, "model");
  try {
    const model = new T5Encoder(config, EMBEDDINGS.find((name) => file.tensors.has(name)));
    // Published files hold a decoder as well.
    matchTensors(file.tensors, model.parameters, { source: file.path, allowSurplus: true });
    return { model, file };
  } catch (error) {
    file.close();
    throw error;
  }
}
