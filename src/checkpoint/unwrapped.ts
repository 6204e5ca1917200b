import { type RenamedTensor, RenamedTensors } from "./renamed.ts";
import type { TensorFile } from "./tensor_file.ts";

/**
 * Parts of names that say no more than that a module was wrapped: by DataParallel and averaging, by
 * torch.compile, by FSDP, activation checkpointing, and Lightning.
 */
const WRAPPERS: ReadonlySet<string> = new Set([
  "module",
  "_orig_mod",
  "_fsdp_wrapped_module",
  "_checkpoint_wrapped_module",
  "_forward_module",
]);

/** What training scripts call the model that they hold: a part of a name where all begin with it. */
const HOLDERS: ReadonlySet<string> = new Set([
  "model",
  "net",
  "unet",
  "vision_model",
  "diffusion_model",
]);

/** A count that stands beside the names of `torch.optim.swa_utils.AveragedModel`. */
const AVERAGED = "n_averaged";

/** A file's tensors under the names that the model itself has; the file as it is where it has those. */
export function unwrapped(file: TensorFile): TensorFile {
  const names = unwrappedNames([...file.tensors.keys(), ...file.unreadable.keys()]);
  if (names === null) return file;
  const renamed = [...names].map(([stored, name]): [string, RenamedTensor] => [
    name,
    { file, stored, shape: file.tensors.get(stored)?.shape ?? [] },
  ]);
  return new RenamedTensors(file.path, [file], new Map(renamed));
}

/**
 * Takes away what wrappers put into names, in whatever order they were put on.
 *
 * @returns the names without that, by the names as they are; null where there is nothing to take
 * away, or two names would become one
 */
export function unwrappedNames(all: readonly string[]): ReadonlyMap<string, string> | null {
  const stored = [...new Set(all)].filter((name) => name !== AVERAGED);
  let parts = stored.map(withoutWrappers);
  while (haveHolder(parts)) parts = parts.map((path) => path.slice(1));
  const names = new Map(stored.map((name, i) => [name, parts[i]!.join(".")]));
  const isSame = stored.every((name) => names.get(name) === name);
  return isSame || new Set(names.values()).size < stored.length ? null : names;
}

/** The last part is the tensor's own. */
function withoutWrappers(name: string): string[] {
  const parts = name.split(".");
  return parts.filter((part, i) => i === parts.length - 1 || !WRAPPERS.has(part));
}

function haveHolder(names: readonly (readonly string[])[]): boolean {
  const first = names[0]?.[0];
  return first !== undefined && HOLDERS.has(first) &&
    names.every((path) => path.length > 1 && path[0] === first);
}
