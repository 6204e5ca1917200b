import assert from "node:assert/strict";
import { UsageError } from "../../src/errors.ts";
import { dpmTimesteps, fullTimesteps, timesteps } from "../../src/diffusion/timesteps.ts";
import golden from "../fixtures/golden/timesteps.json" with { type: "json" };

const thousand = { numDiffusionSteps: 1000 };

Deno.test("timesteps equal the reference's", () => {
  assert.equal(Object.keys(golden).length, 9);
  for (const [steps, expected] of Object.entries(golden)) {
    assert.deepEqual(timesteps(thousand, Number(steps)), expected, `${steps} steps`);
  }
});

Deno.test("halves round to even, as numpy rounds them", () => {
  assert.deepEqual(timesteps({ numDiffusionSteps: 4 }, 1), [2, 0]);
  assert.deepEqual(timesteps({ numDiffusionSteps: 14 }, 5), [12, 10, 8, 5, 2, 0]);
});

Deno.test("every spacing decreases strictly from the schedule's range to 0", () => {
  for (const spacing of [timesteps, dpmTimesteps]) {
    for (const numDiffusionSteps of [1, 2, 7, 10, 64]) {
      for (let steps = 1; steps <= numDiffusionSteps; steps++) {
        const visited = spacing({ numDiffusionSteps }, steps);
        assert.equal(visited.length, steps + 1);
        assert.ok(visited[0]! <= numDiffusionSteps);
        assert.equal(visited.at(-1), 0);
        assert.ok(visited.every((t, i) => i === 0 || t < visited[i - 1]!), `${visited}`);
      }
    }
  }
});

Deno.test("fullTimesteps visits every timestep", () => {
  assert.deepEqual(fullTimesteps({ numDiffusionSteps: 4 }), [4, 3, 2, 1, 0]);
});

Deno.test("steps that the schedule cannot give are a usage error", () => {
  for (const steps of [0, -1, 1.5, NaN, Infinity, 1001]) {
    assert.throws(
      () => timesteps(thousand, steps),
      new UsageError(
        `Cannot sample in ${steps} steps: the model's noise schedule needs a whole number from 1 ` +
          `to 1000.`,
      ),
    );
  }
});
