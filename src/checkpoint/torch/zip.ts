/**
 * The zip files that torch.save writes: entries stored as they are, always with a zip64 directory;
 * or deflated, as by programs that packed one again. Only the directory is read; the entries stay on
 * disk. Source of the format: PKWARE's APPNOTE.TXT.
 */

import { promisify } from "node:util";
import { crc32, inflateRaw as inflateRawWithCallback } from "node:zlib";
import { MAX_DEFLATE_RATIO } from "../../deflate.ts";
import { loadError, quote } from "../header.ts";
import type { RangedFile } from "../ranged_file.ts";

const inflateRaw = promisify<Uint8Array, { maxOutputLength: number }, Uint8Array>(
  inflateRawWithCallback,
);

/** One entry of the directory, checked to lie inside the file and to overlap no other. */
export interface ZipEntry {
  readonly name: string;
  readonly byteLength: number;
  /** Bytes in the file: fewer where it is deflated. */
  readonly packedLength: number;
  readonly method: typeof STORED | typeof DEFLATED;
  readonly crc32: number;
  /** Absolute byte of the entry's local header. */
  readonly headerOffset: number;
  /** Absolute byte where the next entry, or the directory, begins. */
  readonly limit: number;
}

const END = 0x06054b50;
const END_BYTES = 22;
const MAX_COMMENT_BYTES = 0xffff;
const END64_LOCATOR = 0x07064b50;
const END64_LOCATOR_BYTES = 20;
const END64 = 0x06064b50;
const END64_BYTES = 56;
const DIRECTORY_ENTRY = 0x02014b50;
const DIRECTORY_ENTRY_BYTES = 46;
const LOCAL_HEADER = 0x04034b50;
const LOCAL_HEADER_BYTES = 30;
const ZIP64_FIELD = 1;
/** In a field of 32 bits: the value is in the zip64 field. */
const IN_ZIP64 = 0xffffffff;
const ENCRYPTED = 1;
export const STORED = 0;
export const DEFLATED = 8;

/** Deflated entries are in memory as a whole. The largest tensor of the largest T5 has 502 MiB. */
const MAX_DEFLATED_BYTES = 512 << 20;

/** Room for more than 100,000 tensors. */
const MAX_DIRECTORY_BYTES = 16 * 1024 * 1024;

interface Directory {
  readonly offset: number;
  readonly byteLength: number;
  readonly entries: number;
}

/**
 * Reads a zip file's directory and checks all of it.
 *
 * @returns the entries by name, in the directory's order
 * @throws {MdmError} when the file is not a whole zip, or has entries that are encrypted or
 * compressed in another way
 */
export async function readZipDirectory(file: RangedFile): Promise<Map<string, ZipEntry>> {
  const directory = await findDirectory(file);
  const bytes = await file.read(directory.offset, directory.byteLength);
  const entries = parseDirectory(file.path, bytes, directory.entries);
  return withLimits(file.path, entries, directory.offset);
}

/**
 * Reads an entry, which is in memory as a whole.
 *
 * @throws {MdmError} when it is longer than `limit`, or damaged
 */
export async function readEntry(
  file: RangedFile,
  entry: ZipEntry,
  limit = MAX_DEFLATED_BYTES,
): Promise<Uint8Array<ArrayBuffer>> {
  const { name, byteLength, packedLength, method } = entry;
  const fail = (reason: string) => loadError(file.path, `its entry ${quote(name)} ${reason}`);
  if (byteLength > limit) throw fail(`has ${byteLength} bytes, over ${limit}`);
  if (byteLength > packedLength * MAX_DEFLATE_RATIO) {
    throw fail(`says that it has ${byteLength} bytes, more than its ${packedLength} can become`);
  }
  const packed = await file.read(await locateEntry(file, entry), packedLength);
  const bytes = method === STORED ? packed : await inflate(packed, byteLength);
  if (bytes?.length !== byteLength || crc32(bytes) !== entry.crc32) {
    throw fail("is damaged: the checksum does not fit");
  }
  return bytes;
}

/** Null: it is not whole, or becomes longer than it says. */
async function inflate(
  packed: Uint8Array,
  byteLength: number,
): Promise<Uint8Array<ArrayBuffer> | null> {
  try {
    // The library takes no limit of 0.
    return new Uint8Array(await inflateRaw(packed, { maxOutputLength: Math.max(1, byteLength) }));
  } catch {
    return null;
  }
}

/**
 * Finds where an entry's bytes begin: its local header may be longer than the directory says.
 *
 * @returns the absolute byte
 * @throws {MdmError} when the header is not that entry's, or its bytes do not fit behind it
 */
export async function locateEntry(file: RangedFile, entry: ZipEntry): Promise<number> {
  const { name, headerOffset, packedLength, method, limit } = entry;
  const header = viewOf(await file.read(headerOffset, LOCAL_HEADER_BYTES));
  const start = headerOffset + LOCAL_HEADER_BYTES +
    header.getUint16(26, true) + header.getUint16(28, true);
  if (header.getUint32(0, true) !== LOCAL_HEADER || header.getUint16(8, true) !== method) {
    throw loadError(file.path, `its entry ${quote(name)} has no valid header`);
  }
  if (start + packedLength > limit) {
    throw loadError(file.path, `its entry ${quote(name)} overlaps what follows it`);
  }
  return start;
}

async function findDirectory(file: RangedFile): Promise<Directory> {
  const length = Math.min(file.size, END_BYTES + MAX_COMMENT_BYTES);
  const tail = viewOf(await file.read(file.size - length, length));
  for (let at = length - END_BYTES; at >= 0; at--) {
    const ends = tail.getUint32(at, true) === END &&
      at + END_BYTES + tail.getUint16(at + 20, true) === length;
    if (ends) return await readEnd(file, file.size - length + at, tail, at);
  }
  throw loadError(file.path, "it begins as a zip file but has no directory, so it is cut short");
}

/** @param end absolute byte of the end record, which is at byte `at` of `tail` */
async function readEnd(
  file: RangedFile,
  end: number,
  tail: DataView,
  at: number,
): Promise<Directory> {
  const locator = end - END64_LOCATOR_BYTES;
  const end64 = locator < 0 ? undefined : await readEnd64(file, locator);
  const directory = end64 ?? {
    entries: tail.getUint16(at + 10, true),
    byteLength: tail.getUint32(at + 12, true),
    offset: tail.getUint32(at + 16, true),
  };
  if (directory.offset + directory.byteLength > end) {
    throw loadError(file.path, "its zip directory does not lie inside the file");
  }
  if (directory.byteLength > MAX_DIRECTORY_BYTES) {
    throw loadError(
      file.path,
      `its zip directory has ${directory.byteLength} bytes, over ${MAX_DIRECTORY_BYTES}`,
    );
  }
  return directory;
}

async function readEnd64(file: RangedFile, locator: number): Promise<Directory | undefined> {
  const pointer = viewOf(await file.read(locator, END64_LOCATOR_BYTES));
  if (pointer.getUint32(0, true) !== END64_LOCATOR) return undefined;
  const offset = safeNumber(pointer, 8);
  if (offset + END64_BYTES > locator) {
    throw loadError(file.path, "its zip64 directory does not lie inside the file");
  }
  const record = viewOf(await file.read(offset, END64_BYTES));
  if (record.getUint32(0, true) !== END64) {
    throw loadError(file.path, "its zip64 directory has no valid end");
  }
  return {
    entries: safeNumber(record, 32),
    byteLength: safeNumber(record, 40),
    offset: safeNumber(record, 48),
  };
}

type Unlimited = Omit<ZipEntry, "limit">;

function parseDirectory(path: string, bytes: Uint8Array, count: number): Unlimited[] {
  const entries: Unlimited[] = [];
  let at = 0;
  while (at < bytes.length) {
    const { entry, end } = parseEntry(path, bytes, at);
    entries.push(entry);
    at = end;
  }
  if (entries.length !== count) {
    throw loadError(path, `its zip directory has ${entries.length} entries instead of ${count}`);
  }
  return entries;
}

function parseEntry(
  path: string,
  bytes: Uint8Array,
  at: number,
): { entry: Unlimited; end: number } {
  const invalid = () => loadError(path, `its zip directory is not valid at byte ${at}`);
  if (at + DIRECTORY_ENTRY_BYTES > bytes.length) throw invalid();
  const view = viewOf(bytes.subarray(at));
  if (view.getUint32(0, true) !== DIRECTORY_ENTRY) throw invalid();
  const extra = DIRECTORY_ENTRY_BYTES + view.getUint16(28, true);
  const comment = extra + view.getUint16(30, true);
  const end = comment + view.getUint16(32, true);
  if (at + end > bytes.length) throw invalid();
  // Names are only compared, so one that is not UTF-8 does no harm.
  const name = new TextDecoder().decode(bytes.subarray(at + DIRECTORY_ENTRY_BYTES, at + extra));
  const long = zip64Values(view, extra, comment);
  const value = (offset: number) => {
    const short = view.getUint32(offset, true);
    const found = short === IN_ZIP64 ? long.shift() : short;
    if (found === undefined) throw invalid();
    return found;
  };
  const [unpacked, packed, headerOffset] = [value(24), value(20), value(42)];
  const method = view.getUint16(10, true);
  const isKnown = method === STORED && packed === unpacked || method === DEFLATED;
  if (!isKnown || (view.getUint16(8, true) & ENCRYPTED) !== 0) {
    throw loadError(
      path,
      `its entry ${quote(name)} is encrypted, or compressed in a way that torch does not read`,
    );
  }
  const checksum = view.getUint32(16, true);
  const sizes = { byteLength: unpacked, packedLength: packed };
  const entry: Unlimited = { name, ...sizes, method, crc32: checksum, headerOffset };
  return { entry, end: at + end };
}

/** The numbers of the zip64 field among an entry's extra fields, in their order. */
function zip64Values(view: DataView, begin: number, end: number): number[] {
  const values: number[] = [];
  for (let at = begin; at + 4 <= end;) {
    const next = at + 4 + view.getUint16(at + 2, true);
    if (view.getUint16(at, true) === ZIP64_FIELD) {
      for (let value = at + 4; value + 8 <= Math.min(next, end); value += 8) {
        values.push(safeNumber(view, value));
      }
    }
    at = next;
  }
  return values;
}

function withLimits(path: string, entries: Unlimited[], end: number): Map<string, ZipEntry> {
  const limits = new Map<Unlimited, number>();
  let limit = end;
  for (const entry of entries.toSorted((a, b) => b.headerOffset - a.headerOffset)) {
    const { name, headerOffset, packedLength } = entry;
    if (headerOffset + LOCAL_HEADER_BYTES + packedLength > limit) {
      throw loadError(path, `its entry ${quote(name)} overlaps what follows it`);
    }
    limits.set(entry, limit);
    limit = headerOffset;
  }
  const byName = new Map<string, ZipEntry>();
  for (const entry of entries) {
    if (byName.has(entry.name)) {
      throw loadError(path, `it has two entries ${quote(entry.name)}`);
    }
    byName.set(entry.name, { ...entry, limit: limits.get(entry)! });
  }
  return byName;
}

/** An unsigned 64-bit integer; past 2^53 it is not exact, but then it lies outside any file. */
function safeNumber(view: DataView, offset: number): number {
  return Number(view.getBigUint64(offset, true));
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
