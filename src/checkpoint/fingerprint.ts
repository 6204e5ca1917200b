import { createHash } from "node:crypto";
import { asReadError, openFile } from "./file.ts";

/**
 * Names the weights a picture was made with.
 *
 * @param paths the files, hashed in this order as if they were one
 * @returns SHA-256 in lower-case hexadecimal
 * @throws {MdmError} when a file cannot be read
 */
export async function fingerprint(paths: string[]): Promise<string> {
  const hash = createHash("sha256");
  for (const path of paths) {
    const { file } = await openFile(path);
    try {
      for await (const bytes of file.readable) hash.update(bytes);
    } catch (error) {
      throw asReadError(path, error);
    }
  }
  return hash.digest("hex");
}
