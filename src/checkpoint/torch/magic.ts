import type { Checkpoint } from "./checkpoint.ts";

/** A zip file's first local header. */
const ZIP_MAGIC = Uint8Array.fromHex("504b0304");
/** A pickle of protocol 2 whose value is torch's magic number, 0x1950a86a20f9469cfc6c. */
const LEGACY_MAGIC = Uint8Array.fromHex("80028a0a6cfc9c46f9206aa85019");

/** The first bytes of a file by which torch's formats are told. */
export const MAGIC_BYTES = LEGACY_MAGIC.length;

/** Which of torch.save's formats a file has that begins with these bytes; null: it is none. */
export function torchFormat(start: Uint8Array): Checkpoint["format"] | null {
  if (startsWith(start, ZIP_MAGIC)) return "zip";
  return startsWith(start, LEGACY_MAGIC) ? "legacy" : null;
}

function startsWith(bytes: Uint8Array, magic: Uint8Array): boolean {
  return magic.every((byte, i) => bytes[i] === byte);
}
