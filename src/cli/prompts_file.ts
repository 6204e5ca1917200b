import { Buffer } from "node:buffer";
import { readFile } from "../files/read_file.ts";
import { MdmError } from "../errors.ts";

/** Ten thousand prompts of a hundred letters. */
const PROMPTS = { largest: 1 << 20, what: "a file of prompts" } as const;

/**
 * Reads prompts from a file, or with "-" from the standard input: one a line, without blank lines and those that begin with "#".
 *
 * @throws {MdmError} When it cannot be read, is no text, or has no prompt.
 */
export async function readPrompts(path: string): Promise<string[]> {
  const prompts = decode(path, path === "-" ? await readStdin() : await readFile(path, PROMPTS))
    .split(/\r\n|[\r\n]/)
    .map((line) => line.trim())
    .filter((line) => line !== "" && !line.startsWith("#"));
  if (prompts.length === 0) {
    throw new MdmError(`Cannot read prompts from "${path}": it has none. Write one a line.`);
  }
  return prompts;
}

/** @throws {MdmError} When there is too much. */
async function readStdin(): Promise<Uint8Array> {
  const { largest, what } = PROMPTS;
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of Deno.stdin.readable) {
    parts.push(part);
    size += part.length;
    if (size > largest) {
      throw new MdmError(
        `Cannot read the standard input: it has over ${largest} bytes, too many for ${what}.`,
      );
    }
  }
  return Buffer.concat(parts);
}

function decode(path: string, bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new MdmError(`Cannot read prompts from "${path}": it is not text. Save it as UTF-8.`);
  }
}
