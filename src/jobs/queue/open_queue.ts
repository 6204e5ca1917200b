import { MdmError } from "../../errors.ts";
import type { JobQueue } from "./queue.ts";
import type { QueueOptions } from "./queue_options.ts";

/**
 * Opens a queue by its address: redis://... or rediss://..., for many machines, or else the path of a file.
 *
 * @throws {MdmError} When it cannot be reached or used.
 */
export async function openQueue(address: string, options: QueueOptions): Promise<JobQueue> {
  if (/^rediss?:\/\//i.test(address)) {
    const { RedisQueue } = await import("./redis/redis_queue.ts");
    return await RedisQueue.open(address, options);
  }
  const [, scheme] = /^([a-z][a-z0-9+.-]*):\/\//i.exec(address) ?? [];
  if (scheme !== undefined) {
    throw new MdmError(
      `Cannot keep a queue at an address that begins with "${scheme}://": give redis://, rediss:// or the path of a file.`,
    );
  }
  const { SqliteQueue } = await import("./sqlite/sqlite_queue.ts");
  return await SqliteQueue.open(address, options);
}
