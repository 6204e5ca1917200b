import { readFile } from "../files/read_file.ts";
import { MdmError } from "../errors.ts";

/** Ten thousand prompts of a hundred letters. */
const PROMPTS = { largest: 1 << 20, what: "a file of prompts" } as const;

/**
 * Reads prompts from a file: one a line, without blank lines and those that begin with "#".
 *
 * @throws {MdmError} When it cannot be read, is no text, or has no prompt.
 */
export async function readPrompts(path: string): Promise<string[]> {
  const prompts = decode(path, await readFile(path, PROMPTS))
    .split(/\r\n|[\r\n]/)
    .map((line) => line.trim())
    .filter((line) => line !== "" && !line.startsWith("#"));
  if (prompts.length === 0) {
    throw new MdmError(`Cannot read prompts from "${path}": it has none. Write one a line.`);
  }
  return prompts;
}

function decode(path: string, bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new MdmError(`Cannot read prompts from "${path}": it is not text. Save it as UTF-8.`);
  }
}
