/** Writing files and folders so that nobody ever sees a part of them, and the sentences that say why that cannot be. */

import { dirname, join, resolve } from "node:path";
import { MdmError } from "../errors.ts";

/** Links that lead to links at most: as many as Linux follows. */
const MOST_LINKS = 40;

/**
 * Makes a file or folder under a temporary name next to its own, which it gets when it is whole. Where that fails nothing is left.
 *
 * @param make Writes it at the path that it is given.
 * @param settle Gives it its name. Unless given, a file takes the place of another one.
 */
export async function makeAtomically(
  path: string,
  make: (temporary: string) => Promise<void>,
  settle: (temporary: string, path: string) => Promise<void> = Deno.rename,
): Promise<void> {
  const temporary = temporaryPath(dirname(path));
  try {
    await make(temporary);
    await settle(temporary, path);
  } catch (error) {
    // It may not be there; the first error counts.
    await Deno.remove(temporary, { recursive: true }).catch(() => {});
    throw error;
  }
}

/** How a file is written. */
export interface WriteOptions {
  /** Whether it is to be on the disk by then, which some systems find to be full only when they write there. */
  readonly durable?: boolean;
  /** False: a link's place is taken, wherever it leads. */
  readonly followLinks?: boolean;
}

/**
 * Writes a file so that nobody ever sees a part of it. A link is followed unless told otherwise.
 *
 * @throws {MdmError} when the folder is missing or may not be written, or the path is no file
 */
export async function writeAtomically(
  path: string,
  bytes: Uint8Array,
  { durable = false, followLinks = true }: WriteOptions = {},
): Promise<void> {
  const target = followLinks ? await resolveTarget(path) : path;
  try {
    await makeAtomically(target, async (temporary) => {
      await Deno.writeFile(temporary, bytes, { createNew: true });
      if (!durable) return;
      using file = await Deno.open(temporary, { write: true });
      await file.sync();
    });
  } catch (error) {
    throw asWriteError(path, error);
  }
}

/**
 * Writes a folder of files so that nobody ever sees a part of it.
 *
 * @param files what is in each, by its name
 * @throws {MdmError} when the folder around it is missing or may not be written, or something is there
 */
export async function writeFolderAtomically(
  path: string,
  files: ReadonlyMap<string, Uint8Array>,
): Promise<void> {
  try {
    await makeAtomically(path, async (temporary) => {
      await Deno.mkdir(temporary);
      for (const [name, bytes] of files) {
        await Deno.writeFile(join(temporary, name), bytes, { createNew: true });
      }
    });
  } catch (error) {
    throw asWriteError(path, error);
  }
}

/**
 * Checks that a file can be written, before work is spent on what it will hold. Leaves nothing behind.
 *
 * @param parents whether folders that are not there yet will be made
 * @throws {MdmError} as {@linkcode writeAtomically}
 */
export async function checkWritable(
  path: string,
  { parents = false }: { readonly parents?: boolean } = {},
): Promise<void> {
  const folder = dirname(await resolveTarget(path));
  const error = await tryToWrite(parents ? await nearestFolder(folder) : folder);
  if (error !== null) throw asWriteError(path, error);
}

/** Makes the folder that a file is to be in, and those around it, where they are missing. */
export async function makeParents(path: string): Promise<void> {
  try {
    await Deno.mkdir(dirname(path), { recursive: true });
  } catch (error) {
    throw asWriteError(path, error);
  }
}

/** Writes a file of so many bytes into a folder and removes it; gives what went wrong, or null. */
export async function tryToWrite(folder: string, bytes = 0): Promise<unknown> {
  const path = temporaryPath(folder);
  try {
    await Deno.writeFile(path, new Uint8Array(bytes), { createNew: true });
    return null;
  } catch (error) {
    return error;
  } finally {
    await Deno.remove(path).catch(() => {}); // It may not be there.
  }
}

/** Short, whatever the name is that will be taken. */
function temporaryPath(folder: string): string {
  return join(folder, `.mdm-${crypto.randomUUID()}.tmp`);
}

/** A folder, or the first around it that is there; whether it is a folder is left to whoever writes in it. */
async function nearestFolder(folder: string): Promise<string> {
  for (let at = folder;; at = dirname(at)) {
    const isMissing = await Deno.stat(at).then(() => false, isNotFound);
    if (!isMissing || dirname(at) === at) return at;
  }
}

/** The file behind links, which need not be there. Never a device, which renaming onto its name would destroy. */
async function resolveTarget(path: string): Promise<string> {
  if (path === "") throw new MdmError(`Cannot write "": it is no name. Give a file's path.`);
  const info = await Deno.stat(path).catch(() => null);
  if (info?.isFile) return await Deno.realPath(path);
  if (info !== null) {
    throw new MdmError(`Cannot write "${path}": it is not a file. Give a file's path.`);
  }
  let target = path;
  for (let links = 0; links < MOST_LINKS; links++) {
    const link = await Deno.readLink(target).catch(() => null);
    if (link === null) return target;
    target = resolve(dirname(target), link);
  }
  return target;
}

/** Turns what the system says about writing `path` into a sentence for the user; what it says itself is the cause. */
export function asWriteError(path: string, error: unknown): MdmError {
  return new MdmError(`Cannot write "${path}": ${reasonOf(error, path)}`, { cause: error });
}

function reasonOf(error: unknown, path: string): string {
  if (isNotFound(error) || error instanceof Deno.errors.NotADirectory) {
    return `there is no folder "${dirname(path)}". Create it first.`;
  }
  if (error instanceof Deno.errors.PermissionDenied || error instanceof Deno.errors.NotCapable) {
    return `writing in "${dirname(path)}" is not permitted. Choose another folder.`;
  }
  return `${error instanceof Error ? error.message : error}. Choose another path.`;
}

function isNotFound(error: unknown): boolean {
  return error instanceof Deno.errors.NotFound;
}
