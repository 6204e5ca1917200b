/** Writes zip files by hand, right or wrong, for tests of what reads them. */

import { crc32, deflateRawSync } from "node:zlib";
import { bytesOf, type Part, uint32 } from "./write_pickle.ts";

/** An entry; what is not given fits the bytes. */
export interface Entry {
  readonly name: Part;
  readonly bytes: Uint8Array;
  /** Whether the bytes are deflated. */
  readonly deflated?: boolean;
  /** In the directory: */
  readonly crc?: number;
  readonly method?: number;
  readonly flags?: number;
  readonly packed?: number;
  readonly unpacked?: number;
  readonly offset?: number;
  readonly extra?: Part;
  /** In the local header: */
  readonly localExtraLength?: number;
}

export interface End {
  readonly entries?: number;
  readonly directoryBytes?: number;
  readonly directoryOffset?: number;
}

export function zipOf(entries: Entry[], end: End = {}): Uint8Array<ArrayBuffer> {
  let at = 0;
  const records: Part[] = [];
  const directory: Part[] = [];
  for (const entry of entries) {
    const record = localRecord(entry);
    records.push(record);
    directory.push(directoryRecord(entry, at));
    at += record.length;
  }
  const central = bytesOf(...directory);
  const { entries: count = entries.length, directoryBytes = central.length, directoryOffset = at } =
    end;
  return bytesOf(records, central, [
    "PK\x05\x06\0\0\0\0",
    uint16(count),
    uint16(count),
    uint32(directoryBytes),
    uint32(directoryOffset),
    "\0\0",
  ]);
}

/** A checkpoint as torch.save lays it out. */
export function checkpointOf(
  pickle: Uint8Array,
  storages: Record<string, ArrayBufferView> = {},
): Uint8Array<ArrayBuffer> {
  return zipOf([
    { name: "archive/data.pkl", bytes: pickle },
    ...Object.entries(storages).map(([key, { buffer, byteOffset, byteLength }]) => ({
      name: `archive/data/${key}`,
      bytes: new Uint8Array(buffer, byteOffset, byteLength),
    })),
  ]);
}

export function uint16(value: number): Uint8Array {
  return new Uint8Array(Uint16Array.of(value).buffer);
}

function localRecord(entry: Entry): Uint8Array {
  const { name, bytes, deflated = false, localExtraLength = 0 } = entry;
  const stored = storedBytes(entry);
  return bytesOf(
    "PK\x03\x04",
    [uint16(20), uint16(0), uint16(deflated ? 8 : 0), uint32(0)],
    [uint32(crc32(bytes)), uint32(stored.length), uint32(bytes.length)],
    [uint16(bytesOf(name).length), uint16(localExtraLength), name, stored],
  );
}

function storedBytes({ bytes, deflated = false }: Entry): Uint8Array {
  return deflated ? deflateRawSync(bytes) : bytes;
}

function directoryRecord(entry: Entry, at: number): Part {
  const { name, bytes, deflated = false, flags = 0, extra = "" } = entry;
  const { method = deflated ? 8 : 0, packed = storedBytes(entry).length } = entry;
  const { crc = crc32(bytes), unpacked = bytes.length, offset = at } = entry;
  return [
    "PK\x01\x02",
    [uint16(20), uint16(20), uint16(flags), uint16(method), uint32(0), uint32(crc)],
    [uint32(packed), uint32(unpacked), uint16(bytesOf(name).length), uint16(bytesOf(extra).length)],
    [uint16(0), uint16(0), uint16(0), uint32(0), uint32(offset), name, extra],
  ];
}
