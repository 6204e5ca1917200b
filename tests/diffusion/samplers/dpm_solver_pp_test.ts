import assert from "../../assert.ts";
import { parseSamplerConfig } from "../../../src/diffusion/config.ts";
import { levelSchedules } from "../../../src/diffusion/levels.ts";
import { ddim } from "../../../src/diffusion/samplers/ddim.ts";
import { dpmSolverPlusPlus } from "../../../src/diffusion/samplers/dpm_solver_pp.ts";
import type { Sampler } from "../../../src/diffusion/samplers/mod.ts";
import { dpmTimesteps } from "../../../src/diffusion/timesteps.ts";

/** Standard deviation of the pixels in the analytic case. */
const S = 0.5;

const uniform = (u: number) => u;
const warped = (u: number) => u * (0.5 + 0.5 * u);

Deno.test("the error falls with the square of the step on a Gaussian, evenly spaced or not", () => {
  for (const spacing of [uniform, warped]) {
    const [coarse, middle, fine] = [32, 64, 128].map((n) =>
      gaussianError(dpmSolverPlusPlus, n, spacing)
    );
    assertBetween(coarse! / middle!, 3.6, 4.4);
    assertBetween(middle! / fine!, 3.8, 4.2);
  }
});

Deno.test("the measure tells first order from second: DDIM's error only halves", () => {
  const [coarse, fine] = [64, 128].map((n) => gaussianError(ddim, n, uniform));
  assertBetween(coarse! / fine!, 1.9, 2.1);
});

Deno.test("all levels take the same steps in lambda", () => {
  const config = parseSamplerConfig({
    num_diffusion_steps: 1000,
    schedule_type: "DEEPFLOYD",
    schedule_shifted: true,
    schedule_shifted_power: 2,
  });
  const timesteps = dpmTimesteps(config, 20).slice(0, -1);
  const all = levelSchedules(config, [16, 4]).map(({ gammas }) => ({
    gammas,
    steps: dpmSolverPlusPlus({ gammas }, timesteps, { eta: 0 }),
  }));
  const inner = all.at(-1)!;
  for (const outer of all) {
    outer.steps.forEach((step, i) => {
      const [t, s] = [timesteps[i]!, timesteps[i + 1]!];
      // What float32 leaves of lambda: d lambda = d gamma / (2 gamma (1 - gamma)).
      const rounding = [outer, inner].flatMap(({ gammas }) => [gammas[t]!, gammas[s]!])
        .reduce((sum, gamma) => sum + 2 ** -23 / (1 - gamma), 0);
      const h = stepSize(step, outer.gammas[s]!);
      const innerH = stepSize(inner.steps[i]!, inner.gammas[s]!);
      assert.ok(Math.abs(h - innerH) < rounding, `step ${i}: ${h} and ${innerH}`);
    });
  }
});

/**
 * Pixels drawn from N(0, S^2) have the denoiser x0(x, t) = alpha S^2 / v(t) x with
 * v = alpha^2 S^2 + sigma^2, and the flow keeps x / sqrt(v).
 */
function gaussianError(sampler: Sampler, steps: number, spacing: (u: number) => number): number {
  // Index t = steps is noise (lambda = -3), t = 0 nearly clean (lambda = 3).
  const gammas = Float32Array.from(
    { length: steps + 1 },
    (_, t) => 1 / (1 + Math.exp(-2 * (-3 + 6 * spacing(1 - t / steps)))),
  );
  const timesteps = Array.from(gammas, (_, i) => steps - i);
  const variance = (t: number) => gammas[t]! * S ** 2 + 1 - gammas[t]!;
  let x = 1, previousX0 = 0;
  sampler({ gammas }, timesteps, { eta: 0 }).forEach((c, i) => {
    const t = timesteps[i]!;
    const x0 = Math.sqrt(gammas[t]!) * S ** 2 / variance(t) * x;
    x = c.latent * x + c.x0 * x0 + c.previousX0 * previousX0;
    previousX0 = x0;
  });
  return Math.abs(x - Math.sqrt(variance(0) / variance(steps)));
}

/** h from x_s = (sigma_s / sigma_t) x_t + alpha_s (1 - exp(-h)) D. */
function stepSize({ x0, previousX0 }: { x0: number; previousX0: number }, gammaS: number): number {
  return -Math.log1p(-(x0 + previousX0) / Math.sqrt(gammaS));
}

function assertBetween(value: number, low: number, high: number): void {
  assert.ok(value > low && value < high, `${value} is not between ${low} and ${high}`);
}
