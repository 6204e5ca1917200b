import assert from "../assert.ts";
import { UsageError } from "../../src/errors.ts";
import { parseSamplerConfig } from "../../src/diffusion/config.ts";
import { gammas } from "../../src/diffusion/schedule.ts";
import { dpmTimesteps, timesteps } from "../../src/diffusion/timesteps.ts";
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
        const config = parseSamplerConfig({ num_diffusion_steps: numDiffusionSteps });
        const visited = spacing(config, steps);
        assert.equal(visited.length, steps + 1);
        assert.ok(visited[0]! <= numDiffusionSteps);
        assert.equal(visited.at(-1), 0);
        assert.ok(visited.every((t, i) => i === 0 || t < visited[i - 1]!), `${visited}`);
      }
    }
  }
});

Deno.test("dpmTimesteps begin with pure noise and lie between uniform t and uniform log-SNR", () => {
  const config = parseSamplerConfig({ num_diffusion_steps: 1000, schedule_type: "DEEPFLOYD" });
  const logSnr = [...gammas(config)].map((gamma) => Math.log(gamma / (1 - gamma)));
  const distance = (t: number, wanted: number) => Math.abs(logSnr[t]! - wanted);
  const middle = [1, 2, 3, 4, 5, 6, 7].map((i) => {
    const wanted = logSnr[1000]! + (logSnr[1]! - logSnr[1000]!) * i / 7;
    const ts = logSnr.keys().drop(1);
    const t = ts.reduce((a, b) => distance(b, wanted) < distance(a, wanted) ? b : a);
    return Math.round((1000 - 125 * i + t) / 2);
  });
  assert.deepEqual(dpmTimesteps(config, 8), [1000, ...middle, 0]);
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
