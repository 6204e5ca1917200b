/** The queue on Redis: what is special to it. */
import { RedisQueue } from "../../src/jobs/redis_queue.ts";
import { OPTIONS, testQueue } from "./queue_conformance.ts";
import { withRedis } from "./redis_server.ts";

testQueue("Redis", (use) =>
  withRedis(({ port, url }) => {
    let time = Date.now();
    const now = () => time;
    return use({
      open: (options) => RedisQueue.open(url, { ...OPTIONS, now, ...options }),
      address: url,
      // The client looks at all variables of the environment, and needs none.
      permissions: [`--allow-net=127.0.0.1:${port}`, "--ignore-env"],
      now,
      pass: (ms) => void (time += ms),
    });
  }));
