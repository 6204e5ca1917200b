/** Which queue an address means. */
import assert from "node:assert/strict";
import { openQueue } from "../../../src/jobs/queue/open_queue.ts";
import { RedisQueue } from "../../../src/jobs/queue/redis_queue.ts";
import { SqliteQueue } from "../../../src/jobs/queue/sqlite_queue.ts";
import { OPTIONS } from "./queue_conformance.ts";
import { withRedis } from "./redis_server.ts";

Deno.test("an address of Redis opens a queue there, any other is the path of a file", async () => {
  const folder = await Deno.makeTempDir();
  {
    await using queue = await openQueue(`${folder}/redis`, OPTIONS);
    assert.ok(queue instanceof SqliteQueue);
  }
  await Deno.remove(folder, { recursive: true });
  await withRedis(async ({ url }) => {
    await using queue = await openQueue(url.replace("redis", "REDIS"), OPTIONS);
    assert.ok(queue instanceof RedisQueue);
  });
});
