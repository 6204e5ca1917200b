import assert from "node:assert/strict";
import { withRedis } from "../jobs/queue/redis_server.ts";
import { survive } from "./kills.ts";

/** Far fewer than by hand (see kills.ts), for they take seconds each. */
const KILLS = 2;

Deno.test("jobs survive a server that is killed", async () => {
  const { kills, jobs, deliveries } = await survive(KILLS);
  assert.equal(kills, KILLS);
  assert.ok(jobs > 0 && deliveries >= jobs);
});

Deno.test("jobs survive workers of a queue on Redis that are killed", () =>
  withRedis(async ({ url }) => {
    const { jobs, deliveries } = await survive(KILLS, { queue: url });
    assert.ok(jobs > 0 && deliveries >= jobs);
  }));
