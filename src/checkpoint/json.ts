import { MdmError } from "../errors.ts";
import { asReadError, openFile } from "./file.ts";

/** Configurations and tokenizers are small; anything larger is neither. */
const LARGEST = 64 << 20;

/**
 * Reads a JSON file.
 *
 * @throws {MdmError} When it is not there, is too large or is not JSON.
 */
export async function readJson(path: string): Promise<unknown> {
  const { file, size } = await openFile(path);
  file.close();
  if (size > LARGEST) {
    throw new MdmError(
      `Cannot load "${path}": it has ${size} bytes, too many for a configuration.`,
    );
  }
  let text: string;
  try {
    text = await Deno.readTextFile(path);
  } catch (error) {
    throw asReadError(path, error);
  }
  try {
    return JSON.parse(text);
  } catch {
    throw new MdmError(`Cannot load "${path}": it is not JSON. Get the file again.`);
  }
}
