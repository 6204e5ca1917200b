import assert from "../assert.ts";
import { type FeatureCache, FeatureCacheSchedule } from "../../src/diffusion/feature_cache.ts";

/** Measurements are there two steps later, as in the pipeline. */
const DELAY = 2;

/** The steps at which inner UNets are run if their features change by `change` in each step. */
function runs(
  cache: FeatureCache,
  guidances: readonly number[],
  change: (step: number) => number = () => 0,
): number[] {
  const schedule = new FeatureCacheSchedule(cache, guidances);
  const steps: number[] = [];
  const changes = new Map<number, number>();
  for (const step of guidances.keys()) {
    const due = step - DELAY;
    if (changes.has(due)) schedule.measured(due, changes.get(due)!);
    if (!schedule.next()) continue;
    let sum = 0;
    for (let s = (steps.at(-1) ?? -1) + 1; s <= step; s++) sum += change(s);
    changes.set(step, sum);
    steps.push(step);
  }
  return steps;
}

const guided = (steps: number) => Array.from({ length: steps }, () => 4);

Deno.test("every so many steps, from the first on", () => {
  assert.deepEqual(runs({ every: 1 }, guided(4)), [0, 1, 2, 3]);
  assert.deepEqual(runs({ every: 3 }, guided(8)), [0, 3, 6]);
  assert.deepEqual(runs({ every: 9 }, guided(8)), [0]);
});

Deno.test("where guidance begins they are run, for the rows without text gave nothing yet", () => {
  const interval = [1, 1, 1, 4, 4, 4, 4, 1, 1, 1];
  assert.deepEqual(runs({ every: 4 }, interval), [0, 3, 7]);
  assert.deepEqual(runs({ every: 6 }, interval), [0, 3, 9]);
  assert.deepEqual(
    runs({ every: 9 }, [4, 1, 1, 4, 1]),
    [0],
    "the rows of the first step are there",
  );
  assert.deepEqual(runs({ error: 1 }, [1, 1, 1, 1, 1, 4], () => 0.1), [0, 1, 2, 4, 5]);
});

Deno.test("a budget of nothing allows nothing", () => {
  assert.deepEqual(runs({ error: 0 }, guided(9)), [0, 1, 2, 3, 4, 5, 6, 7, 8]);
});

Deno.test("as many steps are left out as miss less than the budget together", () => {
  // Of a change of 0.1 a step, steps 1, 2 and 3 after a run miss 0.1, 0.3 and 0.6 in sum.
  const skipping = (error: number) => runs({ error }, guided(16), () => 0.1);
  const all = Array.from({ length: 16 }, (_, step) => step);
  assert.deepEqual(skipping(0.09), all);
  assert.deepEqual(skipping(0.11), [0, 1, 2, 4, 6, 8, 10, 12, 14]);
  assert.deepEqual(skipping(0.29), [0, 1, 2, 4, 6, 8, 10, 12, 14]);
  assert.deepEqual(skipping(0.31), [0, 1, 2, 4, 7, 10, 13]);
  assert.deepEqual(skipping(0.61), [0, 1, 2, 4, 7, 11, 15]);
});

Deno.test("gaps grow by a step at a time, and shrink at once", () => {
  const ran = runs({ error: 0.5 }, guided(30), (step) => step < 18 ? 1e-6 : 1);
  assert.deepEqual(ran.slice(0, 7), [0, 1, 2, 4, 7, 11, 16]);
  // The change from 18 on is seen when they are run at 22, and known at 24.
  assert.deepEqual(ran.slice(7), [22, 24, 25, 26, 27, 28, 29]);
});

Deno.test("nothing is left out before a change was measured", () => {
  const schedule = new FeatureCacheSchedule({ error: 1 }, guided(9));
  const next = () => schedule.next();
  assert.deepEqual([next(), next(), next(), next()], [true, true, true, true]);
  schedule.measured(0, 0.1); // What they gave for another image: it says nothing.
  assert.equal(next(), true);
  schedule.measured(1, 0.1);
  assert.deepEqual([next(), next()], [false, true]);
});
