import assert from "../assert.ts";
import { etaMs, type JobPace } from "../../src/jobs/eta.ts";

const NOW = 100_000;

/** One image that got its slot ten seconds ago, with none of its 20 steps made, but for what is given. */
function etaOf(different: Partial<JobPace>): number | null {
  const pace = {
    ...{ beganAt: NOW - 10_000, done: 0, left: 20, first: null, together: 1, stepMs: null },
    ...different,
  };
  return etaMs(pace, NOW);
}

Deno.test("before the first step it is what steps took of late, if any were made", () => {
  assert.equal(etaOf({}), null);
  assert.equal(etaOf({ stepMs: 50 }), 1000);
  assert.equal(etaOf({ stepMs: 50, left: 40, together: 2 }), 1000);
  assert.equal(etaOf({ stepMs: 50, beganAt: null }), null);
});

Deno.test("the first step of a job does not count, for kernels are compiled in it", () => {
  const first = { at: NOW - 200, done: 1 };
  assert.equal(etaOf({ done: 3, left: 17, first, stepMs: 70 }), 1700);
  assert.equal(etaOf({ done: 1, left: 19, first, stepMs: 70 }), 1330);
});

Deno.test("the first step of all is all that is known after it", () => {
  assert.equal(etaOf({ done: 1, left: 19, first: { at: NOW, done: 1 } }), 190_000);
});

Deno.test("nothing is left of what is done", () => {
  assert.equal(etaOf({ done: 20, left: 0, first: { at: NOW - 190, done: 1 } }), 0);
});
