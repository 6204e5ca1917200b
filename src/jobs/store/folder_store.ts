import { dirname, join } from "node:path";
import { openFile } from "../../files/read_file.ts";
import { MdmError } from "../../errors.ts";
import { asWriteError, tryToWrite, writeAtomically } from "../../files/write_file.ts";
import { REMOVED, Unavailable } from "../unavailable.ts";
import { storedPath } from "./names.ts";
import type { ResultStore } from "./store.ts";

/** A file that says that a folder is one of results: what is seen where a disk was unmounted has none. */
const MARK = ".mdm-results";

/** Bytes that have to find room for a folder to count as writable. */
const ROOM = 1 << 16;

/**
 * Keeps files of jobs in a folder, which is made where it is missing, also later, but never in the place of a disk that was unmounted.
 * Links in it are not followed.
 *
 * @throws {MdmError} When the folder cannot be made.
 */
export async function openFolderStore(folder: string): Promise<ResultStore> {
  await makeFolder(folder);
  const root = await Deno.realPath(folder);
  const { dev: disk } = await Deno.stat(root);
  const mark = () => Deno.writeTextFile(join(root, MARK), "").catch(() => {}); // It may be for reading only.
  await mark();
  const name = `the results in "${root}"`;
  /** Bytes of the largest file that found no room. */
  let missing = 0;

  /** @throws {Unavailable} When the folder is not there, or something else is in its place. */
  async function checkThere(): Promise<void> {
    const found = await infoOf(root);
    if (found?.isDirectory && found.dev === disk) return;
    // The same disk may be known by another number when it is back.
    if (await infoOf(join(root, MARK))) return;
    if (found === null && (await infoOf(dirname(root)))?.dev === disk) {
      // Somebody removed the folder alone.
      await Deno.mkdir(root).catch(() => {}); // Another process may have made it; else writing fails.
      return await mark();
    }
    throw new Unavailable(`Cannot use ${name}: ${REMOVED}`);
  }

  /** What the system says about the folder, as `Unavailable`; else the error as it is: that of one job alone. */
  async function asAway(error: unknown): Promise<unknown> {
    const cause = error instanceof MdmError ? error.cause : error;
    if (cause === undefined || error instanceof Unavailable) return error;
    const ofOneJob = cause instanceof Deno.errors.NotADirectory ||
      cause instanceof Deno.errors.AlreadyExists || cause instanceof Deno.errors.PermissionDenied;
    if (ofOneJob && await tryToWrite(root, ROOM) === null) return error;
    return new Unavailable(`Cannot use ${name}: ${reasonOf(cause)}`);
  }

  return {
    name,

    async check(writing) {
      await checkThere();
      if (!writing) return;
      const error = await tryToWrite(root, Math.max(ROOM, missing));
      if (error !== null) throw new Unavailable(`Cannot use ${name}: ${reasonOf(error)}`);
      missing = 0;
    },

    async put(job, name, content) {
      const path = join(root, storedPath(job, name));
      await checkThere();
      try {
        await makeFolder(dirname(path), false);
        for (const place of [dirname(path), path]) {
          if (await isElsewhere(place)) {
            throw new MdmError(`Cannot write "${path}": "${place}" is a link. Remove it.`);
          }
        }
        await writeAtomically(path, content, { durable: true, followLinks: false });
      } catch (error) {
        const away = await asAway(error);
        if (away instanceof Unavailable) missing = Math.max(missing, content.length);
        throw away;
      }
    },

    async get(job, name, range) {
      const path = join(root, storedPath(job, name));
      await checkThere();
      try {
        if (await realPath(path) !== path) return null;
        const { file, size } = await openFile(path);
        if (range === undefined) return { body: file.readable, bytes: size };
        if (range.last >= size) {
          file.close();
          return null;
        }
        await file.seek(range.first, Deno.SeekMode.Start);
        const count = range.last - range.first + 1;
        return { body: file.readable.pipeThrough(firstBytes(count)), bytes: size };
      } catch (error) {
        // It was there just before.
        if (!await isThere(path)) return null;
        throw await asAway(error);
      }
    },

    async has(job, name) {
      const path = join(root, storedPath(job, name));
      await checkThere();
      return await isThere(path);
    },

    link: (job, name) => {
      storedPath(job, name);
      return Promise.resolve(null);
    },

    async remove(job) {
      const path = join(root, storedPath(job));
      await checkThere();
      try {
        await Deno.remove(path, { recursive: true });
      } catch (error) {
        if (!(error instanceof Deno.errors.NotFound)) throw await asAway(asWriteError(path, error));
      }
    },

    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

/** Lets so many bytes through, and closes what they come from. */
function firstBytes(
  count: number,
): TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>> {
  let left = count;
  return new TransformStream({
    transform(chunk, controller) {
      controller.enqueue(chunk.subarray(0, left));
      left -= chunk.length;
      if (left <= 0) controller.terminate();
    },
  });
}

/** What the system says about a folder, for the user. */
function reasonOf(error: unknown): string {
  if (error instanceof Deno.errors.NotFound) return REMOVED;
  if (error instanceof Deno.errors.PermissionDenied || error instanceof Deno.errors.NotCapable) {
    return "writing in it is not permitted. Check its mode.";
  }
  const message = error instanceof Error ? error.message : String(error);
  // No space, and no more of it for this user.
  return /os error (28|122)\b/.test(message)
    ? "its disk is full. Make room."
    : `${message}. Check its disk.`;
}

async function makeFolder(path: string, recursive = true): Promise<void> {
  try {
    await Deno.mkdir(path, { recursive });
  } catch (error) {
    if (!recursive && error instanceof Deno.errors.AlreadyExists) return;
    throw asWriteError(path, error);
  }
}

async function infoOf(path: string): Promise<Deno.FileInfo | null> {
  return await Deno.stat(path).catch(() => null);
}

/** Whether what is there is really somewhere else. */
async function isElsewhere(path: string): Promise<boolean> {
  const real = await realPath(path);
  return real !== null && real !== path;
}

/** Whether there is something that is really there. */
async function isThere(path: string): Promise<boolean> {
  return await realPath(path) === path;
}

/** Where a path leads to; null: nothing is there. */
async function realPath(path: string): Promise<string | null> {
  try {
    return await Deno.realPath(path);
  } catch (error) {
    const isMissing = error instanceof Deno.errors.NotFound ||
      error instanceof Deno.errors.NotADirectory;
    if (isMissing) return null;
    throw error;
  }
}
