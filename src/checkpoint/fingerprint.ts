import { createHash } from "node:crypto";
import { asReadError, openFile } from "../files/read_file.ts";

/**
 * Names the weights a picture was made with.
 *
 * @param paths the files, hashed in this order as if they were one
 * @param signal stops it, which throws what it was aborted with
 * @returns SHA-256 in lower-case hexadecimal
 * @throws {MdmError} when a file cannot be read
 */
export async function fingerprint(paths: string[], signal?: AbortSignal): Promise<string> {
  const hash = createHash("sha256");
  for (const path of paths) {
    const { file } = await openFile(path);
    try {
      for await (const bytes of file.readable) {
        signal?.throwIfAborted();
        hash.update(bytes);
      }
    } catch (error) {
      throw signal?.aborted ? error : asReadError(path, error);
    }
  }
  return hash.digest("hex");
}
