import { MdmError } from "../errors.ts";
import { KIND_BYTES, kindOf, wrongKind } from "./file_kind.ts";
import { readFile, type ReadLimit } from "../files/read_file.ts";

/**
 * Reads a text file in UTF-8; a byte order mark at its start is left out.
 *
 * @throws {MdmError} when it is not there, is too large, or is something else
 */
export async function readTextFile(
  path: string,
  limit: ReadLimit,
): Promise<string> {
  const bytes = await readFile(path, limit);
  const kind = kindOf(bytes.subarray(0, KIND_BYTES));
  if (kind !== undefined && !kind.isText) throw wrongKind(path, kind, limit.what);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    const isUtf16 = bytes[0] === 0xff && bytes[1] === 0xfe ||
      bytes[0] === 0xfe && bytes[1] === 0xff;
    throw new MdmError(
      `Cannot load "${path}": its text is ${
        isUtf16 ? "in UTF-16" : "not in UTF-8"
      }. Save it as UTF-8.`,
    );
  }
}
