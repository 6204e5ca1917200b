import { Buffer } from "node:buffer";
import { MdmError } from "../errors.ts";
import { quote } from "./header.ts";

/** What a file is that was given as something else, in words for a user. */
export interface FileKind {
  /** "a JPEG picture" */
  readonly name: string;
  /** What to do, as a sentence; undefined: give the right file. */
  readonly advice?: string;
  /** Whether it is a text that may be what a text file should be. */
  readonly isText?: true;
}

/** Bytes of a file's start by which kinds are told: a tar archive has its mark at 257. */
export const KIND_BYTES = 512;

type Mark = readonly [offset: number, start: string, name: string, advice?: string];

const UNPACK = "Unpack it first.";
const DOWNLOAD = "Download the file itself.";
const EXPORT = "Export the weights as safetensors.";

const PICKLE = "a Python pickle that torch.save did not write";

/** Bytes, as Latin-1, that files of a kind begin with. */
const MARKS: readonly Mark[] = [
  [0, "\xff\xd8\xff", "a JPEG picture"],
  [0, "\x89PNG\r\n\x1a\n", "a PNG picture"],
  [0, "GIF8", "a GIF picture"],
  [8, "WEBP", "a WebP picture"],
  [4, "ftypavif", "an AVIF picture"],
  [4, "ftyphei", "an HEIC picture"],
  [4, "ftyp", "an MP4 video"],
  [0, "\x1a\x45\xdf\xa3", "a WebM or Matroska video"],
  [8, "AVI ", "an AVI video"],
  [0, "II*\0", "a TIFF picture"],
  [0, "MM\0*", "a TIFF picture"],
  [0, "%PDF-", "a PDF document"],
  [0, "PK\x03\x04", "a zip archive", UNPACK],
  [0, "PK\x05\x06", "an empty zip archive", "Get the file again."],
  [0, "\x1f\x8b", "compressed with gzip", UNPACK],
  [0, "BZh", "compressed with bzip2", UNPACK],
  [0, "\xfd7zXZ\0", "compressed with xz", UNPACK],
  [0, "\x28\xb5\x2f\xfd", "compressed with zstd", UNPACK],
  [0, "7z\xbc\xaf\x27\x1c", "a 7z archive", UNPACK],
  [0, "Rar!", "a RAR archive", UNPACK],
  [257, "ustar", "a tar archive", UNPACK],
  [0, "\x80\x02", PICKLE, EXPORT],
  [0, "\x80\x03", PICKLE, EXPORT],
  [0, "\x80\x04", PICKLE, EXPORT],
  [0, "\x80\x05", PICKLE, EXPORT],
  [0, "GGUF", "a GGUF file", EXPORT],
  [0, "\x89HDF", "an HDF5 file, as Keras and TensorFlow write it", EXPORT],
  [0, "\x93NUMPY", "a NumPy array", EXPORT],
  [0, "SQLite format 3\0", "a SQLite database"],
  [0, "\x7fELF", "a program"],
];

const LFS = "version https://git-lfs.github.com/spec/";

/**
 * Tells what a file is by its first bytes.
 *
 * @param start its first {@linkcode KIND_BYTES}, or all of it
 * @returns undefined where that is not known
 */
export function kindOf(start: Uint8Array): FileKind | undefined {
  if (start.length === 0) return { name: "empty", advice: "Get the file again." };
  const latin = Buffer.from(start).toString("latin1");
  for (const [offset, mark, name, advice] of MARKS) {
    if (latin.startsWith(mark, offset)) return { name, ...advice !== undefined && { advice } };
  }
  if (start.length >= 16 && start.every((byte) => byte === 0)) {
    return { name: "full of zeros, as after a download that did not end", advice: DOWNLOAD };
  }
  return textKind(start);
}

function textKind(start: Uint8Array): FileKind | undefined {
  const text = plainText(start);
  if (text === undefined) return undefined;
  if (text.startsWith(LFS)) {
    return {
      name: "a pointer of Git LFS",
      advice: `Run "git lfs pull" in its folder, or download the file itself.`,
    };
  }
  if (/^<(?:!doctype html|html|head|body|!--)/i.test(text)) {
    return { name: "an HTML page", advice: DOWNLOAD };
  }
  const [first = ""] = text.split("\n", 1);
  const shown = quote(first.trim().slice(0, 60));
  if (text.startsWith("<?xml")) return { name: "an XML page", advice: DOWNLOAD };
  return { name: `a ${/^[{[]/.test(text) ? "JSON text" : "text"} (${shown})`, isText: true };
}

/** The start of a text without what may stand before it; undefined: it is no text. */
function plainText(start: Uint8Array): string | undefined {
  let text: string;
  try {
    // Streaming, because the end may be inside a character.
    text = new TextDecoder("utf-8", { fatal: true }).decode(start, { stream: true }).trimStart();
  } catch {
    return undefined;
  }
  // deno-lint-ignore no-control-regex -- they are what no text has
  return text === "" || /[\0-\x08\x0e-\x1a\x1c-\x1f]/.test(text) ? undefined : text;
}

/**
 * Says that a file is not what it was given as.
 *
 * @param needed what it should be: "a file of weights"
 */
export function wrongKind(path: string, { name, advice }: FileKind, needed: string): MdmError {
  return new MdmError(
    `Cannot load "${path}": it is ${name}, not ${needed}. ${advice ?? `Give ${needed}.`}`,
  );
}
