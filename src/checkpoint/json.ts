import { MdmError } from "../errors.ts";
import type { ReadLimit } from "../files/read_file.ts";
import { readTextFile } from "./text_file.ts";

/** Configurations and tokenizers are small; anything larger is neither. */
const CONFIGURATION = { largest: 64 << 20, what: "a configuration" } as const;

/** Stands for NaN, which JSON has no number for, until all is parsed. */
const NAN = "\0NaN";

/**
 * Reads a JSON file: in UTF-8, with or without a byte order mark, and with the numbers NaN,
 * Infinity and -Infinity, which Python's json writes.
 *
 * @throws {MdmError} When it is not there, is too large or is not JSON.
 */
export async function readJson(
  path: string,
  limit: ReadLimit = CONFIGURATION,
): Promise<unknown> {
  const text = await readTextFile(path, limit);
  try {
    return parseJson(text);
  } catch (error) {
    const [, line, column] = /line (\d+) column (\d+)/.exec(String(error)) ?? [];
    const place = line === undefined ? "" : ` (line ${line}, column ${column})`;
    throw new MdmError(`Cannot load "${path}": it is not JSON${place}. Get the file again.`);
  }
}

/**
 * Parses JSON in which numbers may also be NaN, Infinity and -Infinity.
 *
 * @throws {SyntaxError} When it is not JSON.
 */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    const plain = withoutPythonNumbers(text);
    if (plain === text) throw error;
    return JSON.parse(plain, (_, value) => value === NAN ? NaN : value);
  }
}

/** Writes the numbers that only Python has as what JSON can hold; texts stay as they are. */
function withoutPythonNumbers(text: string): string {
  const parts: string[] = [];
  for (let at = 0; at < text.length;) {
    const open = endOr(text.indexOf('"', at), text);
    const between = text.slice(at, open);
    parts.push(
      between.replaceAll("Infinity", "1e999").replaceAll("NaN", JSON.stringify(NAN)),
    );
    at = endOfString(text, open);
    parts.push(text.slice(open, at));
  }
  return parts.join("");
}

/** The place after a string that begins at `open`. */
function endOfString(text: string, open: number): number {
  for (let at = open + 1; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === 0x5c) at++; // A backslash, and what it escapes.
    else if (code === 0x22) return at + 1;
  }
  return text.length;
}

function endOr(index: number, text: string): number {
  return index < 0 ? text.length : index;
}
