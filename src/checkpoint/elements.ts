import { bytesPerElement, type Dtype, toFloat32 } from "./dtype.ts";
import { quote } from "./header.ts";
import type { ByteSource } from "./ranged_file.ts";

/** Elements converted at a time: the file's bytes in memory stay below 8 MiB. */
const PIECE = 1 << 20;

/** Elements that lie one after the other. */
export interface ElementRange {
  readonly dtype: Dtype;
  /** Absolute byte of the first one. */
  readonly offset: number;
  readonly count: number;
}

/**
 * Reads elements as float32.
 *
 * @param onBytes is given the bytes as they are in the file, in order
 */
export async function readElements(
  file: ByteSource,
  { dtype, offset, count }: ElementRange,
  onBytes: (bytes: Uint8Array) => void = () => {},
): Promise<Float32Array> {
  const convert = toFloat32(dtype);
  const size = bytesPerElement(dtype);
  const out = new Float32Array(count);
  for (let done = 0; done < count; done += PIECE) {
    const piece = out.subarray(done, done + PIECE);
    const bytes = await file.read(offset + done * size, piece.length * size);
    onBytes(bytes);
    convert(bytes.buffer, piece);
  }
  return out;
}

/** @throws {RangeError} when elements `start` to `start + count` are not all inside the tensor */
export function checkRange(name: string, elements: number, start: number, count: number): void {
  const fits = Number.isSafeInteger(start) && Number.isSafeInteger(count) &&
    start >= 0 && count >= 0 && start + count <= elements;
  if (!fits) {
    throw new RangeError(
      `Tensor ${quote(name)} has ${elements} elements, not ${count} from ${start} on`,
    );
  }
}
