import { dirname, join } from "node:path";
import { openFile } from "../../checkpoint/file.ts";
import { MdmError } from "../../errors.ts";
import { asWriteError, writeAtomically } from "../../media/write.ts";
import { storedPath } from "./names.ts";
import type { ResultStore } from "./store.ts";

/**
 * Keeps files of jobs in a folder, which is made where it is missing. Links in it are not followed.
 *
 * @throws {MdmError} When the folder cannot be made.
 */
export async function openFolderStore(folder: string): Promise<ResultStore> {
  await makeFolder(folder);
  const root = await Deno.realPath(folder);
  return {
    async put(job, name, content) {
      const path = join(root, storedPath(job, name));
      await makeFolder(dirname(path));
      for (const place of [dirname(path), path]) {
        if (await isElsewhere(place)) {
          throw new MdmError(`Cannot write "${path}": "${place}" is a link. Remove it.`);
        }
      }
      await writeAtomically(path, content);
    },

    async get(job, name, range) {
      const path = join(root, storedPath(job, name));
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
    },

    link: (job, name) => {
      storedPath(job, name);
      return Promise.resolve(null);
    },

    async remove(job) {
      const path = join(root, storedPath(job));
      try {
        await Deno.remove(path, { recursive: true });
      } catch (error) {
        if (!(error instanceof Deno.errors.NotFound)) throw asWriteError(path, error);
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

async function makeFolder(path: string): Promise<void> {
  try {
    await Deno.mkdir(path, { recursive: true });
  } catch (error) {
    throw asWriteError(path, error);
  }
}

/** Whether what is there is really somewhere else. */
async function isElsewhere(path: string): Promise<boolean> {
  const real = await realPath(path);
  return real !== null && real !== path;
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
