import {
  builtInEncoder,
  builtInModel,
  type DescribedModel,
  isBuiltIn,
} from "../../pipeline/models/built_in.ts";
import type { PlannedEncoder } from "../../pipeline/planning/estimate.ts";
import { type ModelOptions, ModelSource } from "../../pipeline/models/model_source.ts";
import { openT5 } from "../../text/t5_files.ts";

/** A model that can be planned, with or without its files. */
export interface Described {
  readonly model: DescribedModel;
  /** Null where there is no text encoder. */
  readonly encoder: PlannedEncoder | null;
  /** What is taken for granted of files that are not there. */
  readonly assumed: string | null;
}

/**
 * Opens a model's files, or takes a published model's configuration where there are none; no weights are read.
 *
 * @param opened Closes the files.
 * @throws {MdmError} When it is neither.
 */
export async function openDescribed(
  path: string,
  options: ModelOptions,
  opened: DisposableStack,
): Promise<Described> {
  const isThere = await Deno.stat(path).then(() => true, () => false);
  if (!isBuiltIn(path) || isThere) {
    const model = opened.use(await ModelSource.open(path, options));
    const encoder = model.text && opened.use(await openT5(model.text.encoder));
    return { model, encoder, assumed: null };
  }
  const model = builtInModel(path);
  if (options.textEncoder !== undefined) {
    const encoder = opened.use(await openT5(options.textEncoder));
    return { model, encoder, assumed: "weights of 16 bits" };
  }
  return { model, encoder: builtInEncoder(), assumed: "weights of 16 bits, FLAN-T5 XL" };
}
