/**
 * The format of torch.save before version 1.6 (`_legacy_save` in torch/serialization.py): pickles
 * one after the other (a magic number, a version, facts of the machine, what was saved, the keys of
 * the storages), then each storage as its number of elements, 8 bytes, and the elements.
 */

import { loadError, quote } from "../header.ts";
import type { RangedFile } from "../ranged_file.ts";
import { type Checkpoint, MAX_PICKLE_BYTES } from "./checkpoint.ts";
import { unpickle, type Unpickled } from "./pickle.ts";
import { storageElementBytes } from "./storage_types.ts";
import type { PickleStorage, PickleValue } from "./values.ts";

const PROTOCOL = 1001;
const COUNT_BYTES = 8;
const MAX_STORAGES = 1 << 16;

interface Place {
  readonly offset: number;
  readonly byteLength: number;
}

/** @throws {MdmError} when the file is not a whole, valid checkpoint */
export async function readLegacyCheckpoint(file: RangedFile): Promise<Checkpoint> {
  const bytes = await file.read(0, Math.min(file.size, MAX_PICKLE_BYTES));
  let end = 0;
  const next = (): Unpickled => {
    const pickle = unpickle(file.path, bytes, end);
    end = pickle.end;
    return pickle;
  };
  next(); // The magic number, by which the format was told.
  checkVersion(file.path, next().value, next().value);
  const { value, records, storages } = next();
  const places = await readPlaces(file, next().value, storages, end);
  return {
    format: "legacy",
    value,
    records,
    byteLength: (key) => places.get(key)?.byteLength,
    locate: (key) =>
      Promise.resolve({ source: file, offset: places.get(key)!.offset, crc32: undefined }),
  };
}

function checkVersion(path: string, protocol: PickleValue, machine: PickleValue): void {
  if (protocol !== PROTOCOL) throw loadError(path, `its version is not ${PROTOCOL}`);
  if (!(machine instanceof Map) || machine.get("little_endian") !== true) {
    throw loadError(path, "its byte order is not little-endian");
  }
}

async function readPlaces(
  file: RangedFile,
  keys: PickleValue,
  storages: ReadonlyMap<string, PickleStorage>,
  start: number,
): Promise<Map<string, Place>> {
  if (!Array.isArray(keys) || keys.length > MAX_STORAGES) {
    throw loadError(file.path, `it has no list of at most ${MAX_STORAGES} storages`);
  }
  const places = new Map<string, Place>();
  let at = start;
  for (const key of keys) {
    const storage = typeof key === "string" ? storages.get(key) : undefined;
    if (storage === undefined) throw loadError(file.path, "it has a storage of no tensor");
    const place = await readPlace(file, storage, at);
    places.set(storage.key, place);
    at = place.offset + place.byteLength;
  }
  return places;
}

async function readPlace(file: RangedFile, storage: PickleStorage, at: number): Promise<Place> {
  const { key, type, count } = storage;
  const elementBytes = storageElementBytes(type);
  const fail = (reason: string) => loadError(file.path, `its storage ${quote(key)} ${reason}`);
  if (elementBytes === undefined) throw fail("has elements of an unknown type");
  const place = { offset: at + COUNT_BYTES, byteLength: count * elementBytes };
  if (place.offset + place.byteLength > file.size) throw fail("is cut short");
  const header = await file.read(at, COUNT_BYTES);
  const found = new DataView(header.buffer).getBigUint64(0, true);
  if (found !== BigInt(count)) throw fail(`has ${found} elements instead of ${count}`);
  return place;
}
