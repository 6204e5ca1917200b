import { encodeSafetensors } from "../../src/checkpoint/safetensors.ts";
import type { Numbers } from "./case.ts";

/** Writes numbers that fit into memory as a file of tensors. */
export async function writeTensors(
  path: string,
  tensors: ReadonlyMap<string, Numbers>,
): Promise<void> {
  const copies = new Map<string, { shape: number[]; data: Float32Array }>();
  for (const [name, { shape, data }] of tensors) copies.set(name, { shape: [...shape], data });
  await Deno.writeFile(path, encodeSafetensors(copies));
}
