/** Which queue an address means. */
import assert from "../../assert.ts";
import { MdmError } from "../../../src/errors.ts";
import { openQueue } from "../../../src/jobs/queue/open_queue.ts";
import { RedisQueue } from "../../../src/jobs/queue/redis/redis_queue.ts";
import { SqliteQueue } from "../../../src/jobs/queue/sqlite/sqlite_queue.ts";
import { OPTIONS } from "./queue_conformance.ts";
import { withRedis } from "./redis/redis_server.ts";

Deno.test("an address of something else is refused, and what is secret in it not told", async () => {
  await assert.rejects(
    openQueue("redis+tls://:password@host", OPTIONS),
    new MdmError(
      `Cannot keep a queue at an address that begins with "redis+tls://": give redis://, rediss:// or the path of a file.`,
    ),
  );
});

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
