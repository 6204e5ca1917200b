import { MdmError } from "../errors.ts";
import { KIND_BYTES, kindOf, wrongKind } from "./file_kind.ts";
import { RangedFile } from "./ranged_file.ts";

/** What a text file is to be. */
export interface TextFileOptions {
  /** Bytes. */
  readonly largest: number;
  /** For messages: "a configuration". */
  readonly what: string;
}

/**
 * Reads a text file in UTF-8; a byte order mark at its start is left out.
 *
 * @throws {MdmError} when it is not there, is too large, or is something else
 */
export async function readTextFile(
  path: string,
  { largest, what }: TextFileOptions,
): Promise<string> {
  using file = await RangedFile.open(path);
  const { size } = file;
  if (size > largest) {
    throw new MdmError(`Cannot load "${path}": it has ${size} bytes, too many for ${what}.`);
  }
  const bytes = await file.read(0, size);
  const kind = kindOf(bytes.subarray(0, KIND_BYTES));
  if (kind !== undefined && !kind.isText) throw wrongKind(path, kind, what);
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
