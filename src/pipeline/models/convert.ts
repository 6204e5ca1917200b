import { basename, dirname, join, resolve } from "node:path";
import { type Allowed, checkArgument, checkOptions } from "../../check_arguments.ts";
import { bytesPerElement } from "../../checkpoint/dtype.ts";
import { openFile } from "../../files/read_file.ts";
import type { TensorFile } from "../../checkpoint/tensor_file.ts";
import {
  type WriteOptions,
  writeSafetensors,
  WRITTEN_DTYPES,
  type WrittenDtype,
} from "../../checkpoint/write_safetensors.ts";
import { diffusionJson } from "../../diffusion/config_json.ts";
import { MdmError } from "../../errors.ts";
import { elements } from "../../graph/shape.ts";
import { asWriteError, makeAtomically } from "../../files/write_file.ts";
import { modelJson } from "../../model/config_json.ts";
import { openT5, type T5Files, WIDE_IN_T5 } from "../../text/t5_files.ts";
import { findTokenizer } from "../../text/tokenizer_file.ts";
import { checkEncoder } from "./check_encoder.ts";
import type { ModelSource } from "./model_source.ts";

/**
 * What may be asked of {@linkcode convert}.
 *
 * @example
 * ```ts
 * const options: ConvertOptions = {
 *   dtype: "F16",
 *   onProgress: (done, total) => console.error(`${done} of ${total} bytes`),
 * };
 * ```
 */
export interface ConvertOptions {
  /** Of all tensors; without it float16 stays, and all else becomes float32. */
  readonly dtype?: WrittenDtype;
  /** Is told how many of all bytes are written. */
  readonly onProgress?: (done: number, total: number) => void;
  readonly signal?: AbortSignal;
}

const OPTIONS: Readonly<Record<keyof ConvertOptions, Allowed>> = {
  dtype: WRITTEN_DTYPES,
  onProgress: "function",
  signal: "object",
};

/** The names of the folders in a model's folder. */
const FOLDERS = { encoder: "text_encoder", tokenizer: "tokenizer" } as const;

/**
 * Writes a model as a folder of ours: config.json, model.safetensors and, where the model has them, text_encoder/ and tokenizer/.
 * The folder takes its name when it is whole; tensors are in memory in pieces.
 *
 * @param out A folder that is not there yet, or is empty.
 * @throws {MdmError} When something is there, the folder cannot be written, or a value does not fit the type.
 *
 * @example
 * ```ts
 * import { ModelSource } from "./model_source.ts";
 *
 * using model = await ModelSource.open("weights/shapes32");
 * const folder = await Deno.makeTempDir();
 * await convert(model, folder, { dtype: "F16" });
 * await Deno.remove(folder, { recursive: true });
 * ```
 */
export async function convert(
  source: ModelSource,
  out: string,
  options: ConvertOptions = {},
): Promise<void> {
  checkArgument("out", "string", out);
  checkOptions(options, OPTIONS);
  await checkFree(out);
  using text = await openText(source);
  const parts = [
    { name: ".", file: source.file, dtypes: dtypesOf(source.file, source.network, options) },
    ...text === null ? [] : [{
      name: FOLDERS.encoder,
      file: text.file,
      dtypes: dtypesOf(text.file, text.model, options, WIDE_IN_T5),
    }],
  ];
  const total = parts.reduce((sum, { file, dtypes }) => sum + byteLength(file, dtypes), 0);
  let done = 0;
  const writing: WriteOptions = {
    signal: options.signal,
    onBytes: (bytes) => options.onProgress?.(done += bytes, total),
  };
  const target = resolve(out);
  try {
    await makeAtomically(target, async (temporary) => {
      await Deno.mkdir(temporary);
      await writeJson(`${temporary}/config.json`, configJson(source));
      if (source.text !== null) await copyText(source.text, temporary);
      for (const { name, file, dtypes } of parts) {
        await writeSafetensors(join(temporary, name, "model.safetensors"), file, dtypes, writing);
      }
      await Deno.remove(target).catch(() => {}); // An empty folder, or nothing.
    });
  } catch (error) {
    throw isOfSystem(error) ? asWriteError(out, error) : error;
  }
}

/** A model's config.json. */
function configJson(source: ModelSource): Record<string, unknown> {
  const { config, diffusion, text, reading, classes } = source;
  return {
    ...modelJson(config),
    ...diffusion !== null && { diffusion_config: diffusionJson(diffusion) },
    ...!classes && {
      text: {
        ...text !== null && FOLDERS,
        max_token_length: reading.maxTokens,
        max_caption_length: reading.maxCharacters,
        tokenizer_mode: reading.tokenizerMode,
      },
    },
  };
}

/** The text encoder's files, where there is one. */
async function openText({ text, config }: ModelSource): Promise<T5Files | null> {
  if (text === null) return null;
  const files = await openT5(text.encoder);
  try {
    checkEncoder(text.encoder, files.model.config, config);
    return files;
  } catch (error) {
    files[Symbol.dispose]();
    throw error;
  }
}

/** The type of each tensor of a model, in the file's order. */
function dtypesOf(
  { tensors }: TensorFile,
  { parameters }: { readonly parameters: ReadonlyMap<string, unknown> },
  { dtype }: ConvertOptions,
  wide?: RegExp,
): Map<string, WrittenDtype> {
  const typeOf = (name: string, stored: string): WrittenDtype => {
    if (dtype === undefined) return stored === "F16" ? "F16" : "F32";
    return wide?.test(name) ? "F32" : dtype;
  };
  return new Map(
    [...tensors]
      .filter(([name]) => parameters.has(name))
      .map(([name, tensor]) => [name, typeOf(name, tensor.dtype)]),
  );
}

function byteLength({ tensors }: TensorFile, dtypes: ReadonlyMap<string, WrittenDtype>): number {
  return [...dtypes].reduce(
    (sum, [name, dtype]) => sum + elements(tensors.get(name)!.shape) * bytesPerElement(dtype),
    0,
  );
}

/** Copies what there is of the text's parts besides weights. */
async function copyText(
  { encoder, tokenizer }: NonNullable<ModelSource["text"]>,
  folder: string,
): Promise<void> {
  await Deno.mkdir(`${folder}/${FOLDERS.encoder}`);
  await Deno.mkdir(`${folder}/${FOLDERS.tokenizer}`);
  await copy(`${encoder}/config.json`, `${folder}/${FOLDERS.encoder}`);
  const pieces = await findTokenizer(tokenizer) ?? `${tokenizer}/tokenizer.json`;
  await copy(pieces, `${folder}/${FOLDERS.tokenizer}`);
  const extra = `${dirname(pieces)}/tokenizer_config.json`;
  const info = await Deno.stat(extra).catch(() => null);
  if (info !== null) await copy(extra, `${folder}/${FOLDERS.tokenizer}`);
}

async function copy(path: string, folder: string): Promise<void> {
  // Says what is wrong with it; a pipe would never end.
  (await openFile(path)).file.close();
  await Deno.copyFile(path, join(folder, basename(path)));
}

async function writeJson(path: string, value: unknown): Promise<void> {
  await Deno.writeTextFile(path, `${JSON.stringify(value, null, 2)}\n`, { createNew: true });
}

/** @throws {MdmError} When there is something that a conversion would replace */
async function checkFree(out: string): Promise<void> {
  if (out === "") throw new MdmError(`Cannot write "": give a new folder's name.`);
  const info = await Deno.lstat(out).catch(() => null);
  if (info === null) return;
  if (info.isDirectory && (await Array.fromAsync(Deno.readDir(out))).length === 0) return;
  throw new MdmError(`Cannot write "${out}": something is there. Give a new folder's name.`);
}

/** Whether an error is what the system says about a file. */
function isOfSystem(error: unknown): boolean {
  return error instanceof Error && "code" in error && typeof error.code === "string";
}
