import assert from "../../assert.ts";
import { retryAfter } from "../../../src/jobs/queue/retry_after.ts";

const NOW = 10_000_000;

/** A job that has run for so long, and takes so much more by its own steps. */
function running(forMs: number, etaMs: number | null = null) {
  return { startedAt: NOW - forMs, progress: { step: 0, steps: 1, etaMs, previews: [] } };
}

/** A job that took so long, and ended so long ago. */
function ended(ms: number, ago = 1000) {
  return { startedAt: NOW - ago - ms, finishedAt: NOW - ago };
}

Deno.test("there is room when the first of those that run has ended", () => {
  const of = (...jobs: ReturnType<typeof running>[]) =>
    retryAfter({ running: jobs, ended: [ended(15_000)] }, NOW);
  assert.equal(of(running(1000, 9001), running(1000, 12_000)), 10);
  assert.equal(of(running(5000), running(7500)), 8);
  assert.equal(of(running(5000), running(1000, 2000)), 2);
  assert.equal(of(running(60_000)), 1);
  assert.equal(of(running(0, 1e9)), 3600);
});

Deno.test("where none runs it is as long as others took within an hour, whenever they ended", () => {
  const of = (...jobs: ReturnType<typeof ended>[]) => retryAfter({ running: [], ended: jobs }, NOW);
  assert.equal(of(ended(15_000)), 15);
  assert.equal(of(ended(15_000, 3_000_000)), 15);
  assert.equal(of(ended(15_000, 3_600_000)), null);
  assert.equal(of(ended(1000), ended(20_000), ended(3000)), 3);
  assert.equal(of(ended(10)), 1);
});

Deno.test("nothing is said where nothing was measured", () => {
  assert.equal(retryAfter({ running: [running(1000)], ended: [] }, NOW), null);
  assert.equal(retryAfter({ running: [], ended: [] }, NOW), null);
});
