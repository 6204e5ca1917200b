import type { Dtype } from "../dtype.ts";

const DTYPES: ReadonlyMap<string, Dtype> = new Map([
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
]);

/** The element type of one of torch's storage classes; undefined for complex and quantised ones. */
export function storageDtype(name: string): Dtype | undefined {
  return DTYPES.get(name);
}
