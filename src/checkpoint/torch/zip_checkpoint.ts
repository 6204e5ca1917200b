/** The format of torch.save since version 1.6: a zip of a pickle and an entry for each storage. */

import { crc32 } from "node:zlib";
import { loadError, quote } from "../header.ts";
import type { RangedFile } from "../ranged_file.ts";
import { type Checkpoint, MAX_PICKLE_BYTES } from "./checkpoint.ts";
import { unpickle } from "./pickle.ts";
import { locateEntry, readZipDirectory, type ZipEntry } from "./zip.ts";

/** @throws {MdmError} when the file is not a whole, valid checkpoint */
export async function readZipCheckpoint(file: RangedFile): Promise<Checkpoint> {
  const entries = await readZipDirectory(file);
  const root = findRoot(file.path, entries);
  await checkByteOrder(file, entries.get(`${root}/byteorder`));
  const pickle = await readEntry(file, entries.get(`${root}/data.pkl`)!, MAX_PICKLE_BYTES);
  const { value, records } = unpickle(file.path, pickle);
  const entryOf = (key: string) => entries.get(`${root}/data/${key}`);
  return {
    format: "zip",
    value,
    records,
    byteLength: (key) => entryOf(key)?.byteLength,
    locate: async (key) => {
      const entry = entryOf(key)!;
      return { offset: await locateEntry(file, entry), crc32: entry.crc32 };
    },
  };
}

/** All entries lie in one folder, which may have any name. */
function findRoot(path: string, entries: ReadonlyMap<string, ZipEntry>): string {
  const roots = [...entries.keys()]
    .map((name) => name.split("/"))
    .filter((parts) => parts.length === 2 && parts[1] === "data.pkl");
  if (roots.length !== 1) {
    throw loadError(path, `it is a zip file with ${roots.length} torch checkpoints instead of 1`);
  }
  return roots[0]![0]!;
}

/** Torch writes the order since version 2.1; before, it is that of the machine, nearly always little. */
async function checkByteOrder(file: RangedFile, entry: ZipEntry | undefined): Promise<void> {
  if (entry === undefined) return;
  const order = new TextDecoder().decode(await readEntry(file, entry, "little".length));
  if (order !== "little") {
    throw loadError(file.path, `its byte order is ${quote(order)} instead of "little"`);
  }
}

async function readEntry(file: RangedFile, entry: ZipEntry, limit: number): Promise<Uint8Array> {
  const { name, byteLength } = entry;
  if (byteLength > limit) {
    throw loadError(file.path, `its entry ${quote(name)} has ${byteLength} bytes, over ${limit}`);
  }
  const bytes = await file.read(await locateEntry(file, entry), byteLength);
  if (crc32(bytes) !== entry.crc32) {
    throw loadError(file.path, `its entry ${quote(name)} is damaged: the checksum does not fit`);
  }
  return bytes;
}
