import { isJsonObject } from "../json/json_object.ts";
import { MdmError } from "../errors.ts";
import { bytesPerElement, type Dtype, isDtype } from "./dtype.ts";

/** Where one tensor lies in a safetensors file, and what it is. */
export interface TensorInfo {
  readonly name: string;
  /** A {@linkcode Dtype}, or what else the file says. */
  readonly dtype: string;
  readonly shape: readonly number[];
  /** Absolute byte in the file. */
  readonly offset: number;
  readonly byteLength: number;
}

/** What the header of a safetensors file says, checked. */
export interface Header {
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  readonly metadata: ReadonlyMap<string, string>;
}

/** Bytes before the header: its length as an unsigned 64-bit little-endian integer. */
export const LENGTH_BYTES = 8;

/** The longest header that the format allows. */
const MAX_HEADER_BYTES = 100_000_000;

/** Beyond this many values JSON costs gigabytes once parsed: room for 100,000 tensors. */
const MAX_VALUES = 2_000_000;
/** Headers up to this are parsed without counting: they cannot have much more. */
const SMALL_HEADER_BYTES = 4 << 20;

const MAX_DIMENSIONS = 16;

/** Why a file cannot be loaded. */
export function loadError(path: string, reason: string): MdmError {
  return new MdmError(`Cannot load "${path}": ${reason}. Download or export it again.`);
}

/** A name out of a file, made fit for a terminal: control characters escaped, long ones cut. */
export function quote(name: string): string {
  return JSON.stringify(name.length > 120 ? `${name.slice(0, 120)}...` : name);
}

/** Reads the header's length from the file's first 8 bytes; `size` is the file's, in bytes. */
export function headerLength(path: string, start: Uint8Array<ArrayBuffer>, size: number): number {
  const length = new DataView(start.buffer).getBigUint64(start.byteOffset, true);
  if (length > BigInt(size - LENGTH_BYTES)) {
    throw loadError(
      path,
      `the header says it is ${length} bytes long but the file has ${size}, ` +
        "so the file is cut short or is not safetensors",
    );
  }
  if (length > BigInt(MAX_HEADER_BYTES)) {
    throw loadError(path, `its header is ${length} bytes long, over ${MAX_HEADER_BYTES}`);
  }
  return Number(length);
}

/**
 * Parses a safetensors header and checks all of it, so that later reads need no more checks:
 * dtypes, shapes, and that the tensors cover the data area without overlap or gap.
 * Source of the rules: the format's description in huggingface/safetensors.
 *
 * @param bytes the JSON text
 * @param dataStart absolute byte where the data area begins
 * @param size the file's size in bytes
 * @throws {MdmError} naming the file, the tensor and what is wrong with it
 */
export function parseHeader(
  path: string,
  bytes: Uint8Array,
  dataStart: number,
  size: number,
): Header {
  const tensors = new Map<string, TensorInfo>();
  let metadata: ReadonlyMap<string, string> = new Map();
  // Object.entries, because a tensor may bear any name, "__proto__" among them.
  for (const [name, entry] of Object.entries(parseObject(path, bytes))) {
    if (name === "__metadata__") metadata = parseMetadata(path, entry);
    else tensors.set(name, parseTensor(path, name, entry, dataStart));
  }
  checkCoverage(path, tensors, dataStart, size);
  return { tensors, metadata };
}

/**
 * The beginning of a safetensors file: all that comes before the tensors, which then follow in the
 * order given.
 */
export function encodeHeader(
  tensors: readonly (Pick<TensorInfo, "name" | "shape"> & { readonly dtype: Dtype })[],
): { header: Uint8Array<ArrayBuffer>; dataBytes: number } {
  let end = 0;
  const entries = tensors.map(({ name, dtype, shape }) => {
    const begin = end;
    end += tensorBytes(shape, dtype);
    // Joined by hand: in an object "__proto__" would be lost and numeric names would move.
    return `${JSON.stringify(name)}:${
      JSON.stringify({ dtype, shape, data_offsets: [begin, end] })
    }`;
  });
  const json = new TextEncoder().encode(`{${entries.join(",")}}`);
  const header = new Uint8Array(Math.ceil((LENGTH_BYTES + json.length) / 8) * 8).fill(0x20);
  new DataView(header.buffer).setBigUint64(0, BigInt(header.length - LENGTH_BYTES), true);
  header.set(json, LENGTH_BYTES);
  return { header, dataBytes: end };
}

function parseObject(path: string, bytes: Uint8Array): Record<string, unknown> {
  if (bytes.length > SMALL_HEADER_BYTES && countValues(bytes) > MAX_VALUES) {
    throw loadError(path, `its header has more than ${MAX_VALUES} values`);
  }
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch {
    throw loadError(path, "its header is not JSON in UTF-8");
  }
  if (!isJsonObject(value)) throw loadError(path, "its header is not a JSON object");
  return value;
}

/** Counts the values of a JSON text, each of which begins after one of these marks. */
function countValues(bytes: Uint8Array): number {
  let count = 0;
  let inText = false;
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i]!;
    if (byte === 0x22) inText = !inText;
    else if (inText) i += Number(byte === 0x5c); // A backslash, and what it escapes.
    else if (byte === 0x2c || byte === 0x3a || byte === 0x5b || byte === 0x7b) count++;
  }
  return count;
}

function parseMetadata(path: string, value: unknown): ReadonlyMap<string, string> {
  const metadata = new Map<string, string>();
  for (const [key, text] of Object.entries(isJsonObject(value) ? value : { value })) {
    if (typeof text !== "string") throw loadError(path, "its metadata are not all text");
    metadata.set(key, text);
  }
  return metadata;
}

function parseTensor(path: string, name: string, entry: unknown, dataStart: number): TensorInfo {
  const fail = (reason: string) => loadError(path, `tensor ${quote(name)} ${reason}`);
  if (!isJsonObject(entry)) throw fail("is not described by an object");
  const { dtype, shape, data_offsets: range } = entry;
  if (typeof dtype !== "string" || !/^\w{1,32}$/.test(dtype)) {
    throw fail(`has the unknown dtype ${quote(String(dtype))}`);
  }
  if (!isSizes(shape) || shape.length > MAX_DIMENSIONS) throw fail("has no valid shape");
  if (!isSizes(range) || range.length !== 2) throw fail("has no valid data offsets");
  const [begin, end] = range as [number, number];
  const byteLength = end - begin;
  // How many bytes an unknown type takes nobody knows, and that of a tensor does not matter.
  if (byteLength < 0 || isDtype(dtype) && byteLength !== tensorBytes(shape, dtype)) {
    throw fail(
      `of shape [${shape.join(", ")}] and dtype ${dtype} does not fit bytes ${begin} to ${end}`,
    );
  }
  return { name, dtype, shape, offset: dataStart + begin, byteLength };
}

/** Past 2^53 the product is no longer exact, but then no two safe offsets are so far apart. */
function tensorBytes(shape: readonly number[], dtype: Dtype): number {
  return shape.reduce((bytes, side) => bytes * side, bytesPerElement(dtype));
}

/** The format demands that every byte of the data area belongs to exactly one tensor. */
function checkCoverage(
  path: string,
  tensors: ReadonlyMap<string, TensorInfo>,
  dataStart: number,
  size: number,
): void {
  const ordered = [...tensors.values()]
    .sort((a, b) => a.offset - b.offset || a.byteLength - b.byteLength);
  let covered = dataStart;
  for (const { name, offset, byteLength } of ordered) {
    if (offset < covered) throw loadError(path, `tensor ${quote(name)} overlaps another one`);
    if (offset > covered) {
      throw loadError(
        path,
        `${offset - covered} bytes before tensor ${quote(name)} belong to none`,
      );
    }
    covered += byteLength;
  }
  if (covered > size) {
    throw loadError(path, `the header says ${covered} bytes but the file has ${size}`);
  }
  if (covered < size) throw loadError(path, `its last ${size - covered} bytes belong to no tensor`);
}

function isSizes(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((x) => Number.isSafeInteger(x) && x >= 0);
}
