import { UsageError } from "../errors.ts";
import { openFolderStore } from "./folder_store.ts";
import type { ResultStore } from "./store.ts";

/**
 * Opens a store of results by its address.
 *
 * @param address "s3://bucket/prefix?endpoint=https://host&region=auto", or a folder.
 * @throws {UsageError} When the address is none of these.
 */
export async function openStore(address: string): Promise<ResultStore> {
  if (address.startsWith("s3://")) {
    const { credentialsFrom, openS3Store } = await import("./s3_store.ts");
    return openS3Store(address, credentialsFrom(Deno.env));
  }
  if (!/^[a-z][a-z0-9+.-]+:\/\//i.test(address)) return await openFolderStore(address);
  throw new UsageError(
    `Cannot keep results at "${address}": give a folder, or an address such as "s3://bucket/prefix".`,
  );
}
