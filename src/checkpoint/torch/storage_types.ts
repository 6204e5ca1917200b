import { bytesPerElement, type Dtype } from "../dtype.ts";

const STORAGES: ReadonlyMap<string, Dtype> = new Map([
  ["torch.FloatStorage", "F32"],
  ["torch.HalfStorage", "F16"],
  ["torch.BFloat16Storage", "BF16"],
  ["torch.DoubleStorage", "F64"],
  ["torch.BoolStorage", "BOOL"],
  ["torch.ByteStorage", "U8"],
  ["torch.CharStorage", "I8"],
  ["torch.ShortStorage", "I16"],
  ["torch.IntStorage", "I32"],
  ["torch.LongStorage", "I64"],
  // Of bytes, whatever they are to the tensors in it.
  ["torch.UntypedStorage", "U8"],
  ["torch.storage.UntypedStorage", "U8"],
]);

/** Bytes an element takes, of storages whose numbers are not read. */
const UNREAD: ReadonlyMap<string, number> = new Map([
  ["torch.ComplexFloatStorage", 8],
  ["torch.ComplexDoubleStorage", 16],
  ["torch.QInt8Storage", 1],
  ["torch.QUInt8Storage", 1],
  ["torch.QInt32Storage", 4],
  ["torch.QUInt4x2Storage", 1],
  ["torch.QUInt2x4Storage", 1],
]);

const DTYPES: ReadonlyMap<string, Dtype> = new Map([
  ["torch.float8_e4m3fn", "F8_E4M3"],
  ["torch.float8_e4m3fnuz", "F8_E4M3FNUZ"],
  ["torch.float8_e5m2", "F8_E5M2"],
  ["torch.float8_e5m2fnuz", "F8_E5M2FNUZ"],
  ["torch.float8_e8m0fnu", "F8_E8M0"],
  ["torch.uint16", "U16"],
  ["torch.uint32", "U32"],
  ["torch.uint64", "U64"],
]);

/** The element type of one of torch's storage classes; undefined for complex and quantised ones. */
export function storageDtype(name: string): Dtype | undefined {
  return STORAGES.get(name);
}

/** Bytes an element of one of torch's storage classes takes; undefined for a class that is not known. */
export function storageElementBytes(name: string): number | undefined {
  const dtype = storageDtype(name);
  return dtype === undefined ? UNREAD.get(name) : bytesPerElement(dtype);
}

/** The element type that a tensor in a storage of bytes has; undefined for those not known. */
export function tensorDtype(name: string): Dtype | undefined {
  return DTYPES.get(name);
}
