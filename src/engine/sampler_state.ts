/** A picture on its way, as a file: what another process needs to go on with it. */
import { encodeSafetensors } from "../checkpoint/safetensors.ts";
import { headerLength, LENGTH_BYTES, parseHeader } from "../checkpoint/header.ts";
import { MdmError } from "../errors.ts";
import type { Checkpoint } from "./picture_task.ts";

export const CHECKPOINT_TYPE = "application/octet-stream";

/** The name of a picture's checkpoint in the store. */
export function checkpointName(picture: number): string {
  return `checkpoint-${picture}.safetensors`;
}

/** The picture of a checkpoint's name; null: it is none. */
export function pictureOf(name: string): number | null {
  const [, picture] = /^checkpoint-(\d+)\.safetensors$/.exec(name) ?? [];
  return picture === undefined ? null : Number(picture);
}

/** Writes down how far a picture is. */
export function encodeCheckpoint(
  { step, weights, latents, estimates }: Checkpoint,
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
 * Reads it back.
 *
 * @param name For the message.
 * @throws {MdmError} When it is not one.
 */
export function decodeCheckpoint(bytes: Uint8Array<ArrayBuffer>, name: string): Checkpoint {
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
    throw new MdmError(`Cannot go on from "${name}": it is no checkpoint of a picture.`);
  }
  const weights = new TextDecoder().decode(Uint8Array.from(letters));
  return { step, weights, latents, estimates };
}
