/** Where pictures go: `--output`, and the names that mdm chooses itself. */

import { dirname, extname, join } from "node:path";
import { asReadError } from "../checkpoint/file.ts";
import { MdmError, UsageError } from "../errors.ts";
import { encodeImage, formatOf, type ImageFormat } from "../media/image.ts";
import type { Picture } from "../media/picture.ts";
import { checkWritable, writeAtomically } from "../media/write.ts";

/** A file that is written over, or a folder in which names are chosen. */
export type Output =
  | { readonly kind: "file"; readonly path: string; readonly format: ImageFormat }
  | { readonly kind: "folder"; readonly path: string; readonly format: ImageFormat };

/** One resolution of a picture, to be written. */
export interface Level {
  readonly picture: Picture;
  /** The texts in its file: {@linkcode encodeImage}. */
  readonly text: Record<string, string>;
}

/** Letters of a prompt that a file's name takes over: four bytes each fit into every file system's 255. */
const SLUG_LETTERS = 48;

/**
 * Decides where so many pictures go, and checks that they can be written there.
 *
 * @param given The value of `--output`: a folder exists or ends with a slash; undefined: here.
 * @throws {UsageError} When several pictures would go into one file, or it has no known extension.
 * @throws {MdmError} When the place cannot be written.
 */
export async function chooseOutput(given: string | undefined, pictures: number): Promise<Output> {
  if (given === undefined || /[/\\]$/.test(given) || (await look(given))?.isDirectory) {
    const path = given ?? ".";
    await checkFolder(path);
    return { kind: "folder", path, format: "png" };
  }
  const format = formatOf(given);
  if (pictures > 1) {
    throw new UsageError(
      `Cannot write ${pictures} pictures into the file "${given}": give a folder, "${
        given.slice(0, -extname(given).length)
      }/".`,
    );
  }
  await checkWritable(given);
  return { kind: "file", path: given, format };
}

/**
 * Writes the levels of a picture, the outermost under the plain name and the others as `name-16x16.png`.
 *
 * A name in a folder never takes the place of another picture: "-2", "-3" and so on is added until no file is there, or
 * one with the same bytes.
 *
 * @param name Without extension; used in a folder only.
 * @returns The paths, in the order of the levels.
 */
export async function writeLevels(
  output: Output,
  name: string,
  levels: readonly Level[],
): Promise<string[]> {
  const encoded: { suffix: string; bytes: Uint8Array }[] = [];
  for (const [level, { picture, text }] of levels.entries()) {
    const suffix = level === 0 ? "" : `-${picture.width}x${picture.height}`;
    encoded.push({ suffix, bytes: await encodeImage(picture, output.format, text) });
  }
  const write = async (start: string, extension: string) => {
    const paths = encoded.map(({ suffix }) => start + suffix + extension);
    for (const [i, { bytes }] of encoded.entries()) await writeAtomically(paths[i]!, bytes);
    return paths;
  };
  if (output.kind === "file") {
    const extension = extname(output.path);
    return await write(output.path.slice(0, -extension.length), extension);
  }
  await Deno.mkdir(output.path, { recursive: true });
  const extension = `.${output.format}`;
  for (let copy = 1;; copy++) {
    const start = join(output.path, copy === 1 ? name : `${name}-${copy}`);
    const free = await Promise.all(
      encoded.map(({ suffix, bytes }) => isFree(start + suffix + extension, bytes)),
    );
    if (free.every(Boolean)) return await write(start, extension);
  }
}

/** A prompt as the beginning of a file's name: "a-red-circle". */
export function slug(prompt: string): string {
  const words = prompt.normalize("NFC").toLowerCase().match(/[\p{L}\p{M}\p{N}]+/gu) ?? [];
  const letters = [...words.join("-")].slice(0, SLUG_LETTERS).join("");
  return letters.replace(/-$/, "") || "picture";
}

/** A folder that is not there yet is made in the nearest one that is. */
async function checkFolder(path: string): Promise<void> {
  let existing = path.replace(/[/\\]+$/, "") || path;
  let info = await look(existing);
  while (info === null && dirname(existing) !== existing) {
    existing = dirname(existing);
    info = await look(existing);
  }
  if (!info?.isDirectory) {
    throw new MdmError(
      `Cannot write pictures into "${path}": "${existing}" is not a folder. Give another one.`,
    );
  }
  await checkWritable(join(existing, "picture.png"));
}

/** Whether nothing is there, or the same. */
async function isFree(path: string, bytes: Uint8Array): Promise<boolean> {
  const info = await look(path);
  if (info === null) return true;
  if (!info.isFile || info.size !== bytes.length) return false;
  const there = await Deno.readFile(path).catch(() => null);
  return there !== null && there.every((byte, i) => byte === bytes[i]);
}

/** What is at a path; null: nothing. */
async function look(path: string): Promise<Deno.FileInfo | null> {
  try {
    return await Deno.stat(path);
  } catch (error) {
    const isMissing = error instanceof Deno.errors.NotFound ||
      error instanceof Deno.errors.NotADirectory;
    if (isMissing) return null;
    throw asReadError(path, error);
  }
}
