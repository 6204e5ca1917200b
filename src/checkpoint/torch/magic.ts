import { Buffer } from "node:buffer";
import type { Checkpoint } from "./checkpoint.ts";

/** A zip file's first local header. */
const ZIP_MAGIC = "PK\x03\x04";
/** Torch's magic number, 0x1950a86a20f9469cfc6c, as a pickle of protocol 2, 4 or 5 has it. */
const LEGACY_MAGIC =
  // deno-lint-ignore no-control-regex -- they are bytes
  /^\x80(?:[\x02\x03]|[\x04\x05](?:\x95.{8})?)\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19/s;

/** The first bytes of a file by which torch's formats are told. */
export const MAGIC_BYTES = 32;

/** Which of torch.save's formats a file has that begins with these bytes; null: it is none. */
export function torchFormat(start: Uint8Array): Checkpoint["format"] | null {
  const latin = Buffer.from(start.subarray(0, MAGIC_BYTES)).toString("latin1");
  if (latin.startsWith(ZIP_MAGIC)) return "zip";
  return LEGACY_MAGIC.test(latin) ? "legacy" : null;
}
