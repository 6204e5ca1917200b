import { MdmError } from "../errors.ts";
import { makeAtomically } from "../files/write_file.ts";
import { bytesPerElement } from "./dtype.ts";
import { encodeHeader, quote } from "./header.ts";
import type { TensorFile } from "./tensor_file.ts";

/** Element types that are written. */
export const WRITTEN_DTYPES = ["F32", "F16"] as const;

/** One of {@linkcode WRITTEN_DTYPES}. */
export type WrittenDtype = typeof WRITTEN_DTYPES[number];

/** Elements in memory at a time: 32 MiB in float32. */
const PIECE = 8 << 20;

/** What may be asked of {@linkcode writeSafetensors}. */
export interface WriteOptions {
  /** Is given the bytes of tensors that were written since the last call. */
  readonly onBytes?: (bytes: number) => void;
  /** Stops between two pieces. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Writes tensors of a file, in pieces, as safetensors. The new file takes its name when it is whole.
 *
 * @param dtypes What to write, and as which type.
 * @throws {MdmError} When a value is not finite, or not in float16's range where that is asked for.
 */
export async function writeSafetensors(
  path: string,
  source: TensorFile,
  dtypes: ReadonlyMap<string, WrittenDtype>,
  { onBytes, signal }: WriteOptions = {},
): Promise<void> {
  // Wide elements first, so that each stands at a multiple of its size.
  const tensors = [...dtypes]
    .map(([name, dtype]) => ({ name, dtype, shape: source.tensors.get(name)!.shape }))
    .toSorted((a, b) => bytesPerElement(b.dtype) - bytesPerElement(a.dtype));
  await makeAtomically(path, async (temporary) => {
    using file = await Deno.open(temporary, { write: true, createNew: true });
    await writeAll(file, encodeHeader(tensors).header);
    for (const { name, dtype, shape } of tensors) {
      const count = shape.reduce((product, side) => product * side, 1);
      for (let start = 0; start < count; start += PIECE) {
        signal?.throwIfAborted();
        const length = Math.min(PIECE, count - start);
        const bytes = encode(name, dtype, await source.readFloat32Range(name, start, length));
        await writeAll(file, bytes);
        onBytes?.(bytes.length);
      }
    }
    await file.sync();
  });
}

function encode(name: string, dtype: WrittenDtype, values: Float32Array): Uint8Array {
  const encoded = dtype === "F16" ? new Float16Array(values.length) : values;
  if (dtype === "F16") encoded.set(values);
  let sum = 0;
  for (let i = 0; i < encoded.length; i++) sum += encoded[i]! * 0;
  if (sum === 0) return new Uint8Array(encoded.buffer, encoded.byteOffset, encoded.byteLength);
  const found = values[encoded.findIndex((value) => !Number.isFinite(value))]!;
  throw new MdmError(
    Number.isFinite(found)
      ? `Cannot write tensor ${
        quote(name)
      } as F16: it holds ${found}, and F16 ends at 65504. Write F32 instead.`
      : `Cannot write tensor ${quote(name)}: it holds ${found}. Get the file again.`,
  );
}

async function writeAll(file: Deno.FsFile, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length;) done += await file.write(bytes.subarray(done));
}
