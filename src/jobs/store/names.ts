/** What ids of jobs and names of their files look like: nothing else becomes a part of a path or an address. */

import { UsageError } from "../../errors.ts";

const ID = /^[A-Za-z0-9_-]{1,128}$/;
const NAME = /^[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}$/;

/**
 * Where a store keeps a file of a job, "job/name"; without a name, where it keeps all of them.
 *
 * @throws {UsageError} When the id or the name is anything but what ours are.
 */
export function storedPath(job: string, name?: string): string {
  if (!ID.test(job)) {
    throw new UsageError(
      `The id of a job has 1 to 128 letters (a to z), digits, "-" and "_": check it.`,
    );
  }
  if (name === undefined) return job;
  if (NAME.test(name)) return `${job}/${name}`;
  throw new UsageError(
    `The name of a file has 1 to 128 letters (a to z), digits, "-", "_" and ".", and does not begin with ".": check it.`,
  );
}
