import assert from "../assert.ts";
import { guidances } from "../../src/diffusion/guidance.ts";
import { UsageError } from "../../src/errors.ts";

const TIMESTEPS = [1000, 800, 500, 200, 0];

Deno.test("guidance is applied within the interval, its ends included", () => {
  const cases: [[number, number], number[]][] = [
    [[0, 1], [5, 5, 5, 5]],
    [[0.2, 0.8], [1, 5, 5, 5]],
    [[0.21, 0.79], [1, 1, 5, 1]],
    [[0.8, 1], [5, 5, 1, 1]],
    [[0.5, 0.5], [1, 1, 5, 1]],
    [[0.6, 0.7], [1, 1, 1, 1]],
    [[0, 0], [1, 1, 1, 1]],
  ];
  for (const [interval, expected] of cases) {
    assert.deepEqual(guidances(5, interval, TIMESTEPS, 1000), expected, `${interval}`);
  }
});

Deno.test("an interval that is none is a usage error", () => {
  for (const [low, high] of [[-0.1, 1], [0, 1.1], [0.6, 0.5], [NaN, 1], [0, NaN]] as const) {
    const message =
      `Cannot guide from ${low} to ${high}: give two numbers from 0 to 1, the smaller one first.`;
    assert.throws(() => guidances(5, [low, high], TIMESTEPS, 1000), new UsageError(message));
  }
});
