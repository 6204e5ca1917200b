/** The format of torch.save since version 1.6: a zip of a pickle and an entry for each storage. */

import { loadError, quote } from "../header.ts";
import type { ByteSource, RangedFile } from "../ranged_file.ts";
import { type Checkpoint, MAX_PICKLE_BYTES, type StoragePlace } from "./checkpoint.ts";
import { unpickle } from "./pickle.ts";
import { locateEntry, readEntry, readZipDirectory, STORED, type ZipEntry } from "./zip.ts";

/** @throws {MdmError} when the file is not a whole, valid checkpoint */
export async function readZipCheckpoint(file: RangedFile): Promise<Checkpoint> {
  const entries = await readZipDirectory(file);
  const root = findRoot(file.path, entries);
  if (entries.has(`${root}/constants.pkl`)) {
    throw loadError(
      file.path,
      "it is a TorchScript program (torch.jit.save) instead of a state dict " +
        "(torch.save(model.state_dict()))",
    );
  }
  await checkByteOrder(file, entries.get(`${root}/byteorder`));
  const pickle = await readEntry(file, entries.get(`${root}/data.pkl`)!, MAX_PICKLE_BYTES);
  const { value, records } = unpickle(file.path, pickle);
  const entryOf = (key: string) => entries.get(`${root}/data/${key}`);
  const unpacked = new LastUnpacked(file);
  return {
    format: "zip",
    value,
    records,
    byteLength: (key) => entryOf(key)?.byteLength,
    locate: async (key) => {
      const entry = entryOf(key)!;
      if (entry.method !== STORED) return await unpacked.place(entry);
      return { source: file, offset: await locateEntry(file, entry), crc32: entry.crc32 };
    },
  };
}

/** Unpacks entries and keeps the last one, since a tensor may be read in parts. */
class LastUnpacked {
  #entry: ZipEntry | undefined;
  #bytes: Promise<Uint8Array<ArrayBuffer>> | undefined;

  constructor(private readonly file: RangedFile) {}

  async place(entry: ZipEntry): Promise<StoragePlace> {
    if (entry !== this.#entry) {
      this.#entry = entry;
      this.#bytes = readEntry(this.file, entry);
    }
    const bytes = await this.#bytes!;
    const source: ByteSource = {
      read: (offset, length) => Promise.resolve(bytes.slice(offset, offset + length)),
    };
    return { source, offset: 0, crc32: undefined };
  }
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
