/** The saved state of an image on its way, and as a file: with it another process can go on. */
import { encodeSafetensors } from "../checkpoint/safetensors.ts";
import { headerLength, LENGTH_BYTES, parseHeader } from "../checkpoint/header.ts";
import { MdmError } from "../errors.ts";

/** An image on its way: with this it can go on elsewhere, to the same result. */
export interface SamplerState {
  /** The hash of the model's files: with others it would become another image. */
  readonly weights: string;
  /** Steps that are done. */
  readonly step: number;
  /** x_t and the last x0 of every level, the outermost first. */
  readonly latents: readonly Float32Array[];
  readonly estimates: readonly Float32Array[];
}

/** Encodes a state as a safetensors file. */
export function encodeSamplerState(
  { step, weights, latents, estimates }: SamplerState,
): Uint8Array<ArrayBuffer> {
  const tensors = new Map<string, { shape: number[]; data: Float32Array }>();
  tensors.set("step", { shape: [1], data: Float32Array.of(step) });
  const letters = Float32Array.from(new TextEncoder().encode(weights));
  tensors.set("weights", { shape: [letters.length], data: letters });
  for (const [level, data] of latents.entries()) {
    tensors.set(`latent.${level}`, { shape: [data.length], data });
    tensors.set(`estimate.${level}`, {
      shape: [data.length],
      data: estimates[level]!,
    });
  }
  return encodeSafetensors(tensors);
}

/**
 * Decodes such a file.
 *
 * @param name Of the file, for the message.
 * @throws {MdmError} When it is not one.
 */
export function decodeSamplerState(bytes: Uint8Array<ArrayBuffer>, name: string): SamplerState {
  const size = bytes.length;
  if (size < LENGTH_BYTES) throw new MdmError(`Cannot load "${name}": it has only ${size} bytes.`);
  const length = headerLength(name, bytes, size);
  const text = bytes.subarray(LENGTH_BYTES, LENGTH_BYTES + length);
  const { tensors } = parseHeader(name, text, LENGTH_BYTES + length, size);
  const numbers = (key: string): Float32Array | null => {
    const info = tensors.get(key);
    if (info === undefined || info.dtype !== "F32") return null;
    return new Float32Array(bytes.slice(info.offset, info.offset + info.byteLength).buffer);
  };
  const all = (kind: string): Float32Array[] => {
    const found: Float32Array[] = [];
    for (let level = 0;; level++) {
      const data = numbers(`${kind}.${level}`);
      if (data === null) return found;
      found.push(data);
    }
  };
  const [step] = numbers("step") ?? [];
  const letters = numbers("weights");
  const [latents, estimates] = [all("latent"), all("estimate")];
  const fits = latents.length > 0 && latents.length === estimates.length &&
    latents.every((data, i) => data.length === estimates[i]!.length);
  if (step === undefined || !Number.isInteger(step) || step < 0 || letters === null || !fits) {
    throw new MdmError(`Cannot go on from "${name}": it is no saved state of an image.`);
  }
  const weights = new TextDecoder().decode(Uint8Array.from(letters));
  return { step, weights, latents, estimates };
}
