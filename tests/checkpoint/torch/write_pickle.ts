/** Writes pickles by hand, operation by operation, for tests of what reads them. */

import { Buffer } from "node:buffer";

/** Characters are bytes; a nested list is written in its order. */
export type Part = string | Uint8Array | Part[];

/** One after the other. */
export function bytesOf(...parts: Part[]): Uint8Array<ArrayBuffer> {
  const flat = parts.flatMap((part) => flatten(part));
  const bytes = new Uint8Array(flat.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of flat) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** A pickle of protocol 2 with these operations. */
export function pickleOf(...operations: Part[]): Uint8Array<ArrayBuffer> {
  return bytesOf("\x80\x02", ...operations, ".");
}

export function uint32(value: number): Uint8Array {
  return new Uint8Array(Uint32Array.of(value).buffer);
}

export function uint64(value: bigint): Uint8Array {
  return new Uint8Array(BigUint64Array.of(value).buffer);
}

/** BINUNICODE */
export function text(value: string): Part {
  const utf8 = new TextEncoder().encode(value);
  return ["X", uint32(utf8.length), utf8];
}

/** LONG1 of 8 bytes, for negative and large numbers alike. */
export function integer(value: number): Part {
  return ["\x8a\x08", uint64(BigInt.asUintN(64, BigInt(value)))];
}

export function tuple(...parts: Part[]): Part {
  return ["(", parts, "t"];
}

/** GLOBAL of "module.name" */
export function named(name: string): Part {
  const dot = name.lastIndexOf(".");
  return `c${name.slice(0, dot)}\n${name.slice(dot + 1)}\n`;
}

export function storage(key: string, count: number, type = "torch.FloatStorage"): Part {
  return [tuple(text("storage"), named(type), text(key), text("cpu"), integer(count)), "Q"];
}

export interface View {
  readonly storage?: Part;
  readonly offset?: Part;
  readonly shape?: Part;
  readonly strides?: Part;
}

/** A tensor; by default two elements in storage "0". */
export function tensor(view: View = {}): Part {
  const {
    storage: data = storage("0", 2),
    offset = integer(0),
    shape = tuple(integer(2)),
    strides = tuple(integer(1)),
  } = view;
  const hooks = [named("collections.OrderedDict"), ")R"];
  return [
    named("torch._utils._rebuild_tensor_v2"),
    tuple(data, offset, shape, strides, "\x89", hooks),
    "R",
  ];
}

export function dict(...entries: [key: Part, value: Part][]): Part {
  return ["}(", entries.flat(), "u"];
}

function flatten(part: Part): Uint8Array[] {
  if (Array.isArray(part)) return part.flatMap(flatten);
  return [typeof part === "string" ? Buffer.from(part, "latin1") : part];
}
