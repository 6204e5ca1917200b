import assert from "../assert.ts";
import { MdmError } from "../../src/errors.ts";

/** Runs `use` on a file with these bytes. */
export async function withFile<T>(
  bytes: Uint8Array,
  use: (path: string) => Promise<T>,
): Promise<T> {
  const path = await Deno.makeTempFile({ prefix: "mdm-test-" });
  try {
    await Deno.writeFile(path, bytes);
    return await use(path);
  } finally {
    await Deno.remove(path);
  }
}

/** Checks that a file is refused for this reason, in words for a user. */
export async function assertRefused(
  bytes: Uint8Array,
  open: (path: string) => Promise<unknown>,
  reason: RegExp,
): Promise<void> {
  await withFile(bytes, async (path) => {
    await assert.rejects(open(path), (error) => {
      assert.ok(error instanceof MdmError, String(error));
      assert.ok(error.message.startsWith(`Cannot load "${path}": `), error.message);
      assert.match(error.message, reason);
      return true;
    });
  });
}
