/** Where pictures and videos go: `--output`, and the names that mdm chooses itself. */

import { dirname, extname, join } from "node:path";
import { MdmError, UsageError } from "../errors.ts";
import { type AnimationFormat, animationFormatOf } from "../media/animation.ts";
import { formatOf, type ImageFormat } from "../media/image.ts";
import {
  asWriteError,
  checkWritable,
  makeParents,
  writeAtomically,
  writeFolderAtomically,
} from "../files/write_file.ts";
import { encodeLevel, type Files, type Level } from "../pipeline/level_files.ts";
import { printBytes } from "./terminal/output.ts";

/** A file that is written over, a folder in which names are chosen, or the standard output. */
interface Place {
  readonly kind: "file" | "folder" | "stdout";
  readonly path: string;
  /** Of the file, or of files in the folder: ".png"; "" if they are folders themselves. */
  readonly extension: string;
}

export interface PictureOutput extends Place {
  readonly medium: "image";
  readonly format: ImageFormat;
}

export interface VideoOutput extends Place {
  readonly medium: "video";
  readonly format: AnimationFormat;
  readonly fps: number;
}

/** A folder for the frames of each video. */
export interface FramesOutput extends Place {
  readonly medium: "frames";
}

export type Output = PictureOutput | VideoOutput | FramesOutput;

/** Names of the standard output, which takes one image or video. */
const STDOUT = ["-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"];

/** Letters of a prompt that a file's name takes over: four bytes each fit into every file system's 255. */
const SLUG_LETTERS = 48;

/**
 * Decides where so many pictures go, and checks that they can be written there.
 *
 * @param given The value of `--output`: a folder exists or ends with a slash; "-" is the standard output; undefined: here.
 * @throws {UsageError} When several would go into one file, or pictures are not written with its extension.
 * @throws {MdmError} When the place cannot be written.
 */
export async function choosePictureOutput(
  given: string | undefined,
  count: number,
): Promise<PictureOutput> {
  if (isStdout(given)) {
    const place = stdoutFor("picture", count, ".png");
    return { medium: "image", format: "png", ...place };
  }
  if (given === undefined || await isFolder(given)) {
    const place = await placeIn(given, "pictures", ".png");
    return { medium: "image", format: "png", ...place };
  }
  if (/\.(mp4|gif|apng)$/i.test(given)) {
    throw new UsageError(
      `Cannot write a picture as "${given}": end its name in .png, .jpg, .jpeg or .webp; the model makes no videos.`,
    );
  }
  const format = formatOf(given);
  if (count > 1) throw tooMany(`${count} pictures`, given, extname(given));
  await checkWritable(given, { parents: true });
  return { medium: "image", format, kind: "file", path: given, extension: extname(given) };
}

/**
 * Decides where so many videos go, as {@linkcode choosePictureOutput} does for pictures.
 *
 * @param standard The format where names are chosen.
 */
export async function chooseVideoOutput(
  given: string | undefined,
  count: number,
  { fps, standard }: { readonly fps: number; readonly standard: AnimationFormat },
): Promise<VideoOutput> {
  if (isStdout(given)) {
    const place = stdoutFor("video", count, `.${standard}`);
    return { medium: "video", format: standard, fps, ...place };
  }
  if (given === undefined || await isFolder(given)) {
    const place = await placeIn(given, "videos", `.${standard}`);
    return { medium: "video", format: standard, fps, ...place };
  }
  if (/\.jpe?g$/i.test(given)) {
    throw new UsageError(
      `Cannot write a video as "${given}": end its name in .mp4, .gif, .webp or .png.`,
    );
  }
  const format = animationFormatOf(given);
  if (count > 1) throw tooMany(`${count} videos`, given, extname(given));
  await checkWritable(given, { parents: true });
  return { medium: "video", format, fps, kind: "file", path: given, extension: extname(given) };
}

/** Decides where the frames of so many videos go, each in a folder of its own. */
export async function chooseFramesOutput(
  given: string | undefined,
  count: number,
): Promise<FramesOutput> {
  if (isStdout(given)) {
    throw new UsageError("Frames are several files: give a folder instead, or leave out --frames.");
  }
  if (given === undefined || await isFolder(given)) {
    return { medium: "frames", ...await placeIn(given, "videos", "") };
  }
  const [extension] = /\.(mp4|gif|webp|a?png|jpe?g)$/i.exec(given) ?? [];
  if (extension !== undefined) {
    throw new UsageError(
      `Cannot write a folder of frames as "${given}": leave out "${extension}" or --frames.`,
    );
  }
  if (count > 1) throw tooMany(`the frames of ${count} videos`, given, "");
  await checkWritable(given, { parents: true });
  return { medium: "frames", kind: "file", path: given, extension: "" };
}

/**
 * Writes the levels of a picture or video, the outermost under the plain name and the others as `name-16x16.png`, those with frames
 * as `name-16x16x4.mp4`.
 *
 * A name in a folder never takes the place of another picture: "-2", "-3" and so on is added until nothing is there, or
 * the same bytes. A folder of frames never takes the place of another one.
 *
 * @param name Without extension; used in a folder only.
 * @returns The paths, in the order of the levels; "-" is the standard output, which takes one level.
 */
export async function writeLevels(
  output: Output,
  name: string,
  levels: readonly Level[],
): Promise<string[]> {
  const encoded: { ending: string; content: Uint8Array | Files }[] = [];
  for (const [index, level] of levels.entries()) {
    const { extension, content } = await encodeLevel(level, output);
    encoded.push({ ending: (index === 0 ? "" : `-${sizeOf(level)}`) + extension, content });
  }
  const write = async (start: string) => {
    const paths = encoded.map(({ ending }) => start + ending);
    await makeParents(paths[0]!);
    for (const [i, { content }] of encoded.entries()) await writeContent(paths[i]!, content);
    return paths;
  };
  const { kind, path, extension } = output;
  if (kind === "stdout") {
    printBytes(encoded[0]!.content as Uint8Array);
    return [path];
  }
  const start = kind === "folder"
    ? join(path, name)
    : path.slice(0, path.length - extension.length);
  if (kind === "file" && output.medium !== "frames") return await write(start);
  for (let copy = 1;; copy++) {
    const numbered = copy === 1 ? start : `${start}-${copy}`;
    const free = await Promise.all(
      encoded.map(({ ending, content }) => isFree(numbered + ending, content)),
    );
    if (free.every(Boolean)) return await write(numbered);
  }
}

/** A prompt as the beginning of a file's name: "a-red-circle". */
export function slug(prompt: string): string {
  const words = prompt.normalize("NFC").toLowerCase().match(/[\p{L}\p{M}\p{N}]+/gu) ?? [];
  const letters = [...words.join("-")].slice(0, SLUG_LETTERS).join("");
  return letters.replace(/-$/, "") || "picture";
}

async function isFolder(given: string): Promise<boolean> {
  return /[/\\]$/.test(given) || ((await look(given))?.isDirectory ?? false);
}

function isStdout(given: string | undefined): boolean {
  return given !== undefined && STDOUT.includes(given);
}

/** @throws {UsageError} When there are several, or nothing that takes bytes. */
function stdoutFor(what: string, count: number, extension: string): Place {
  if (count > 1) {
    throw new UsageError(`Cannot write ${count} ${what}s to the standard output: give a folder.`);
  }
  if (Deno.stdout.isTerminal()) {
    throw new UsageError(
      `Cannot show a ${what} in a terminal: send it to a file or a program, as in "-o - > file${extension}".`,
    );
  }
  return { kind: "stdout", path: "-", extension };
}

async function placeIn(path = ".", what: string, extension: string): Promise<Place> {
  await checkFolder(path, what);
  return { kind: "folder", path, extension };
}

/** A folder that is not there yet is made in the nearest one that is. */
async function checkFolder(path: string, what: string): Promise<void> {
  let existing = path.replace(/[/\\]+$/, "") || path;
  let info = await look(existing);
  while (info === null && dirname(existing) !== existing) {
    existing = dirname(existing);
    info = await look(existing);
  }
  if (!info?.isDirectory) {
    throw new MdmError(
      `Cannot write ${what} into "${path}": "${existing}" is not a folder. Give another one.`,
    );
  }
  await checkWritable(join(existing, "picture.png"));
}

function tooMany(what: string, path: string, extension: string): UsageError {
  const place = extension === "" ? "the folder" : "the file";
  const folder = `${path.slice(0, path.length - extension.length)}/`;
  return new UsageError(
    `Cannot write ${what} into ${place} "${path}": give a folder, "${folder}".`,
  );
}

/** "16x16", or "16x16x4" for four frames. */
function sizeOf({ frames }: Level): string {
  const { width, height } = frames[0]!;
  return `${width}x${height}${frames.length === 1 ? "" : `x${frames.length}`}`;
}

async function writeContent(path: string, content: Uint8Array | Files): Promise<void> {
  if (content instanceof Uint8Array) await writeAtomically(path, content);
  // A folder that is there has the same in it.
  else if (await look(path) === null) await writeFolderAtomically(path, content);
}

/** Whether nothing is there, or the same. */
async function isFree(path: string, content: Uint8Array | Files): Promise<boolean> {
  const info = await look(path);
  if (info === null) return true;
  if (content instanceof Uint8Array) return await holds(path, content);
  if (!info.isDirectory) return false;
  const there = await Array.fromAsync(Deno.readDir(path), ({ name }) => name).catch(() => []);
  if (there.length !== content.size) return false;
  const same = await Promise.all(
    [...content].map(([name, bytes]) => holds(join(path, name), bytes)),
  );
  return same.every(Boolean);
}

/** Whether a file is there with just these bytes. */
async function holds(path: string, bytes: Uint8Array): Promise<boolean> {
  const info = await look(path);
  if (info === null || !info.isFile || info.size !== bytes.length) return false;
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
    throw asWriteError(path, error);
  }
}
