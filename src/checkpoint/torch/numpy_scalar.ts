import { isKind, type PickleValue } from "./values.ts";

type Reader = (view: DataView, littleEndian: boolean) => number | bigint | boolean;

const READERS: ReadonlyMap<string, Reader> = new Map<string, Reader>([
  ["b1", (view) => view.getUint8(0) !== 0],
  ["i1", (view) => view.getInt8(0)],
  ["u1", (view) => view.getUint8(0)],
  ["i2", (view, little) => view.getInt16(0, little)],
  ["u2", (view, little) => view.getUint16(0, little)],
  ["i4", (view, little) => view.getInt32(0, little)],
  ["u4", (view, little) => view.getUint32(0, little)],
  ["i8", (view, little) => integer(view.getBigInt64(0, little))],
  ["u8", (view, little) => integer(view.getBigUint64(0, little))],
  ["f2", (view, little) => view.getFloat16(0, little)],
  ["f4", (view, little) => view.getFloat32(0, little)],
  ["f8", (view, little) => view.getFloat64(0, little)],
]);

/**
 * The number that numpy pickles as a dtype and bytes.
 *
 * @returns undefined when it is none: text, a date, a structure
 */
export function numpyScalar([dtype, bytes]: PickleValue[]): PickleValue | undefined {
  if (!isKind(dtype, "record") || dtype.class !== "numpy.dtype") return undefined;
  const [code] = Array.isArray(dtype.args) ? dtype.args : [];
  // The state is (version, byte order, ...).
  const [, order] = Array.isArray(dtype.state) ? dtype.state : [];
  const read = typeof code === "string" ? READERS.get(code) : undefined;
  if (read === undefined || !(bytes instanceof Uint8Array)) return undefined;
  if (bytes.length !== Number(String(code).slice(1))) return undefined;
  return read(new DataView(bytes.buffer, bytes.byteOffset, bytes.length), order !== ">");
}

function integer(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}
