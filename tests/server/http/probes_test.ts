/** What those ask who start and stop servers. */
import assert from "../../assert.ts";
import type { Health } from "../../../src/jobs/jobs.ts";
import { probes } from "../../../src/server/http/probes.ts";
import { FakeJobs } from "../fake_jobs.ts";
import { appOf } from "../server.ts";

Deno.test("a server is ready, is not yet, or is not any more, and says why", async () => {
  const jobs = new FakeJobs();
  const app = appOf(jobs, [probes], { token: "secret" });
  const cases: [Health["worker"], number, number][] = [
    ["starting", 503, 204],
    ["ready", 200, 200],
    ["none", 200, 200],
    ["draining", 503, 503],
    ["failed", 503, 503],
  ];
  for (const [worker, readyz, ping] of cases) {
    jobs.worker = worker;
    jobs.reason = `it is ${worker}`;
    const ready = await app.request("/readyz");
    assert.equal(ready.status, readyz, worker);
    assert.deepEqual(await ready.json(), { worker, reason: `it is ${worker}` });
    assert.equal((await app.request("/ping")).status, ping, worker);
    assert.equal((await app.request("/livez")).status, 200, worker);
  }
});

Deno.test("a server whose queue or store is away is not ready, and says why", async () => {
  const jobs = new FakeJobs();
  const app = appOf(jobs, [probes]);
  jobs.away = "The queue is away.";
  const ready = await app.request("/readyz");
  assert.equal(ready.status, 503);
  assert.deepEqual(await ready.json(), { worker: "ready", reason: "The queue is away." });
  assert.equal((await app.request("/ping")).status, 503);
  assert.equal((await app.request("/livez")).status, 200);
});
