import { UsageError } from "../../errors.ts";
import { openFolderStore } from "./folder_store.ts";
import type { ResultStore } from "./store.ts";

/**
 * Opens a store of results by its address.
 *
 * @param address "s3://bucket/prefix?endpoint=https://host&region=auto", or a folder.
 * @param environment Where keys of S3 are.
 * @throws {UsageError} When the address is none of these, or S3's keys are missing.
 */
export async function openStore(
  address: string,
  environment: { get(name: string): string | undefined } = Deno.env,
): Promise<ResultStore> {
  if (address.startsWith("s3://")) {
    const { credentialsFrom, openS3Store } = await import("./s3_store.ts");
    return openS3Store(address, credentialsFrom(environment));
  }
  if (!/^[a-z][a-z0-9+.-]+:\/\//i.test(address)) return await openFolderStore(address);
  throw new UsageError(
    `Cannot keep results at "${address}": give a folder, or an address such as "s3://bucket/prefix".`,
  );
}
