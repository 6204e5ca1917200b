import assert from "../assert.ts";
import { Worker } from "../../src/jobs/worker.ts";
import type { WorkerHealth } from "../../src/jobs/service.ts";
import { within } from "../within.ts";
import { JobPlace } from "./job_place.ts";

Deno.test("a worker says why it cannot make images, takes no jobs then, and ends when it is told to", async () => {
  await using place = await JobPlace.open();
  const { engine: _, ...options } = place.options();
  const failed = Promise.withResolvers<WorkerHealth>();
  const worker = new Worker({
    ...options,
    engine: { model: "weights/nothing", pipeline: {}, slots: 3 },
    onState: (health) => health.worker === "failed" && failed.resolve(health),
  });
  const starting = { worker: "starting", reason: null, slots: { all: 3, busy: 0 }, stepMs: null };
  assert.deepEqual(worker.health(), starting);
  await place.add();
  const { reason, ...health } = await within(10, "the worker to fail", failed.promise);
  assert.match(reason!, /weights\/nothing/);
  assert.deepEqual(health, { worker: "failed", slots: { all: 3, busy: 0 }, stepMs: null });
  const { state, attempts } = await place.job();
  assert.deepEqual({ state, attempts }, { state: "queued", attempts: 0 });
  const drained = worker.drain(0);
  assert.equal(worker.health().worker, "draining");
  await within(10, "the worker to end", drained);
});
