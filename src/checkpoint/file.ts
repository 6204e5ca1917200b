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
  try {
    // Opening a pipe waits for a writer, so what the path is must be known first.
    const { isFile, size } = await Deno.stat(path);
    if (!isFile) throw new MdmError(`Cannot load "${path}": it is not a file. Give a file's path.`);
    return { file: await Deno.open(path), size };
  } catch (error) {
    throw asReadError(path, error);
  }
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
    return new MdmError(`Cannot load "${path}": there is no such file. Check the path.`);
  }
  if (error instanceof Deno.errors.PermissionDenied || error instanceof Deno.errors.NotCapable) {
    return new MdmError(`Cannot load "${path}": reading it is not permitted. Check its mode.`);
  }
  return error;
}
