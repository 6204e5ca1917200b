import { readJson } from "../checkpoint/json.ts";
import { matchTensors } from "../checkpoint/match.ts";
import type { TensorFile } from "../checkpoint/tensor_file.ts";
import { openWeights } from "../checkpoint/weights_file.ts";
import { T5Encoder } from "../model/t5.ts";
import { parseT5Config } from "../model/t5_config.ts";

/** A T5 encoder's files, opened: the configuration read and checked, weights not read yet. */
export interface T5Files extends Disposable {
  readonly model: T5Encoder;
  readonly file: TensorFile;
}

/** Weights whose results overflow float16, so that they are not converted to it. */
export const WIDE_IN_T5 = /\.wo\.weight$/;

/** What files call the embedding. */
const EMBEDDINGS = ["shared.weight", "encoder.embed_tokens.weight"];

/** The model of a configuration, with the names that a file has. */
export function t5Model(json: unknown, source: string, { tensors }: TensorFile): T5Encoder {
  return new T5Encoder(parseT5Config(json, source), EMBEDDINGS.find((name) => tensors.has(name)));
}

/**
 * Opens a folder in Hugging Face's layout: config.json, and model.safetensors or its shards with their index.
 *
 * @throws {MdmError} When it is not a T5 encoder, or lacks a tensor.
 */
export async function openT5(folder: string): Promise<T5Files> {
  const config = `${folder}/config.json`;
  const json = await readJson(config);
  const file = await openWeights(folder, "model");
  try {
    const model = t5Model(json, config, file);
    // Published files hold a decoder as well.
    matchTensors(file, model.parameters, { allowSurplus: true });
    return { model, file, [Symbol.dispose]: () => file.close() };
  } catch (error) {
    file.close();
    throw error;
  }
}
