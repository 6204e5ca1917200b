import { dirname, join } from "node:path";
import { MdmError } from "../errors.ts";

/**
 * Writes a file so that nobody ever sees a part of it: to a temporary name beside it, then renamed.
 *
 * @param durable whether it is to be on the disk by then, which some systems find to be full only when they write there
 * @throws {MdmError} when the folder is missing or may not be written, or the path is no file
 */
export async function writeAtomically(
  path: string,
  bytes: Uint8Array,
  { durable = false }: { readonly durable?: boolean } = {},
): Promise<void> {
  const target = await resolveTarget(path);
  const temporary = join(dirname(target), `.mdm-${crypto.randomUUID()}.tmp`);
  try {
    await Deno.writeFile(temporary, bytes, { createNew: true });
    if (durable) {
      using file = await Deno.open(temporary, { write: true });
      await file.sync();
    }
    await Deno.rename(temporary, target);
  } catch (error) {
    await Deno.remove(temporary).catch(() => {}); // It may not be there; the first error counts.
    throw asWriteError(path, error);
  }
}

/**
 * Writes a folder of files so that nobody ever sees a part of it: under a temporary name beside it, then renamed.
 *
 * @param files what is in each, by its name
 * @throws {MdmError} when the folder around it is missing or may not be written, or something is there
 */
export async function writeFolderAtomically(
  path: string,
  files: ReadonlyMap<string, Uint8Array>,
): Promise<void> {
  const temporary = join(dirname(path), `.mdm-${crypto.randomUUID()}.tmp`);
  try {
    await Deno.mkdir(temporary);
    for (const [name, bytes] of files) {
      await Deno.writeFile(join(temporary, name), bytes, { createNew: true });
    }
    await Deno.rename(temporary, path);
  } catch (error) {
    await Deno.remove(temporary, { recursive: true }).catch(() => {}); // As above.
    throw asWriteError(path, error);
  }
}

/**
 * Checks that a file can be written, before work is spent on what it will hold. Leaves nothing behind.
 *
 * @throws {MdmError} as {@linkcode writeAtomically}
 */
export async function checkWritable(path: string): Promise<void> {
  const target = await resolveTarget(path);
  const temporary = join(dirname(target), `.mdm-${crypto.randomUUID()}.tmp`);
  try {
    await Deno.writeFile(temporary, new Uint8Array(), { createNew: true });
    await Deno.remove(temporary);
  } catch (error) {
    throw asWriteError(path, error);
  }
}

/** The file behind a link. Never a device, which renaming onto its name would destroy. */
async function resolveTarget(path: string): Promise<string> {
  const info = await Deno.stat(path).catch(() => undefined);
  if (!info) return path;
  if (!info.isFile) {
    throw new MdmError(`Cannot write "${path}": it is not a file. Give a file's path.`);
  }
  return await Deno.realPath(path);
}

/** Turns what the system says about writing `path` into a sentence for the user; what it says itself is the cause. */
export function asWriteError(path: string, error: unknown): MdmError {
  return new MdmError(`Cannot write "${path}": ${reasonOf(error, path)}`, { cause: error });
}

function reasonOf(error: unknown, path: string): string {
  if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) {
    return `there is no folder "${dirname(path)}". Create it first.`;
  }
  if (error instanceof Deno.errors.PermissionDenied || error instanceof Deno.errors.NotCapable) {
    return `writing in "${dirname(path)}" is not permitted. Choose another folder.`;
  }
  return `${error instanceof Error ? error.message : error}. Choose another path.`;
}
