import assert from "../assert.ts";
import { withRedis } from "../jobs/queue/redis/redis_server.ts";
import { DURABLE, redisOutages, survive } from "./kills.ts";

/** Far fewer than by hand (see kills.ts), for they take seconds each. */
const KILLS = 2;

Deno.test("jobs survive a server that is killed and a data folder that is moved away", async () => {
  const { kills, outages, jobs, deliveries } = await survive(KILLS);
  assert.deepEqual([kills, outages], [KILLS, 1]);
  assert.ok(jobs > 0 && deliveries >= jobs);
});

Deno.test("jobs survive workers that are killed and a Redis that is silent", () =>
  withRedis(async (server) => {
    const options = { queue: server.url, outages: redisOutages(server) };
    const { outages, jobs, deliveries } = await survive(KILLS, options);
    assert.equal(outages, 1);
    assert.ok(jobs > 0 && deliveries >= jobs);
  }, ...DURABLE));
