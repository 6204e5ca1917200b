import { MdmError } from "../errors.ts";
import { loadError, quote } from "./header.ts";
import type { TensorFile } from "./tensor_file.ts";

/** Problems that a message spells out; the others are counted. */
const LISTED = 20;

/**
 * Says which tensors of a file cannot be read.
 *
 * @param problems names, and why, as {@linkcode TensorFile.unreadable} has it
 */
export function unreadableError(
  path: string,
  problems: readonly (readonly [name: string, problem: string])[],
): MdmError {
  const listed = problems.slice(0, LISTED)
    .map(([name, problem]) => `tensor ${quote(name)} ${problem}`);
  const rest = problems.length > LISTED ? `; and ${problems.length - LISTED} more` : "";
  return new MdmError(
    `Cannot load "${path}": ${listed.join("; ")}${rest}. ` +
      "Get the file again, or save its tensors as F32, F16 or BF16.",
  );
}

/** Says why a file has no such tensor. */
export function noTensor(
  { path, unreadable }: Pick<TensorFile, "path" | "unreadable">,
  name: string,
): MdmError {
  const problem = unreadable.get(name);
  return problem === undefined
    ? loadError(path, `it holds no tensor ${quote(name)}`)
    : unreadableError(path, [[name, problem]]);
}
