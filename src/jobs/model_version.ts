/** Which model it is, to the last bit. */
import { modelIdentity } from "../pipeline/recipe.ts";
import type { ModelSource } from "../pipeline/model_source.ts";
import type { ModelVersion } from "./jobs.ts";

/** Reads all of a model's files, once: their hash is what its PNGs hold as well. Where that fails it is tried again when it is asked for. */
export function modelVersion(source: ModelSource): () => Promise<ModelVersion> {
  let known: Promise<ModelVersion> | null = null;
  return () => {
    known ??= readVersion(source).catch((error) => {
      known = null;
      throw error;
    });
    return known;
  };
}

async function readVersion(source: ModelSource): Promise<ModelVersion> {
  const { weights } = await modelIdentity(source);
  const infos = await Promise.all((await source.files()).map((path) => Deno.stat(path)));
  const times = infos.map(({ mtime }) => mtime?.getTime() ?? 0);
  return { id: weights, changedAt: Math.max(...times) };
}
