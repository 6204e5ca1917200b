/** Reading files: what stands in the way is said in a sentence, and how large they are is looked at before memory is taken. */

import { MdmError } from "../errors.ts";

/** A regular file open for reading, and its size in bytes. */
export interface OpenFile {
  readonly file: Deno.FsFile;
  readonly size: number;
}

/**
 * Opens a regular file for reading.
 *
 * @throws {MdmError} when the path is missing, not a file, or may not be read.
 */
export async function openFile(path: string): Promise<OpenFile> {
  if (path === "") throw new MdmError(`Cannot load "": it is no name. Give a file's path.`);
  try {
    // Opening a pipe waits for a writer, so what the path is must be known first.
    const { isFile, size } = await Deno.stat(path);
    if (!isFile) throw new MdmError(`Cannot load "${path}": it is not a file. Give a file's path.`);
    return { file: await Deno.open(path), size };
  } catch (error) {
    throw asReadError(path, error);
  }
}

/** How large a file may be. */
export interface ReadLimit {
  /** Bytes. */
  readonly largest: number;
  /** For messages: "a configuration". */
  readonly what: string;
}

/**
 * Reads a regular file whole, if it is not too large.
 *
 * @throws {MdmError} when it is not there, is too large, or may not be read.
 */
export async function readFile(
  path: string,
  { largest, what }: ReadLimit,
): Promise<Uint8Array<ArrayBuffer>> {
  const { file, size } = await openFile(path);
  using _open = file;
  if (size > largest) {
    throw new MdmError(`Cannot load "${path}": it has ${size} bytes, too many for ${what}.`);
  }
  const bytes = new Uint8Array(size);
  try {
    for (let done = 0; done < size;) {
      const got = await file.read(bytes.subarray(done));
      if (got === null) {
        throw new MdmError(
          `Cannot load "${path}": it became shorter while it was read. Try again.`,
        );
      }
      done += got;
    }
  } catch (error) {
    throw asReadError(path, error);
  }
  return bytes;
}

/** Whether there is a file or folder. */
export async function isThere(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}

/** Whether there is a file. */
export async function isFile(path: string): Promise<boolean> {
  return await Deno.stat(path).then((info) => info.isFile, () => false);
}

/** Turns what the system says about reading `path` into a sentence for the user. */
export function asReadError(path: string, error: unknown): unknown {
  if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) {
    const message = `Cannot load "${path}": there is no such file. Check the path.`;
    return new MdmError(message, { cause: error });
  }
  if (error instanceof Deno.errors.PermissionDenied || error instanceof Deno.errors.NotCapable) {
    const message = `Cannot load "${path}": reading it is not permitted. Check its mode.`;
    return new MdmError(message, { cause: error });
  }
  return error;
}
