import assert from "../assert.ts";
import { UsageError } from "../../src/errors.ts";
import { parseSamplerConfig } from "../../src/diffusion/config.ts";
import { levelSchedules } from "../../src/diffusion/levels.ts";
import { samplingPlan, type SamplingRequest } from "../../src/diffusion/plan.ts";
import type { SamplerName } from "../../src/diffusion/samplers/mod.ts";
import {
  ddimStep,
  ddpmStep,
  dpmSolverStep,
  estimatedX0,
  type KnownStep,
} from "./reference_sampler.ts";

type Case = { sampler: SamplerName; eta?: number; step: (known: KnownStep) => number };

const CASES: Case[] = [
  { sampler: "ddpm", step: ddpmStep },
  ...[0, 0.3, 1].map((eta): Case => ({
    sampler: "ddim",
    eta,
    step: (known) => ddimStep(known, eta),
  })),
  { sampler: "dpm++", step: dpmSolverStep },
];

const CONFIGS = ["DDPM", "DEEPFLOYD", "COSINE"].flatMap((schedule_type) =>
  ["DDPM", "V_PREDICTION"].flatMap((prediction_type) =>
    [false, true].map((schedule_shifted) =>
      parseSamplerConfig({
        num_diffusion_steps: 1000,
        schedule_type,
        prediction_type,
        schedule_shifted,
        schedule_shifted_power: 2,
      })
    )
  )
);

for (const { sampler, eta, step } of CASES) {
  const name = eta === undefined ? sampler : `${sampler} with eta ${eta}`;
  Deno.test(`${name} takes the steps of the reference`, () => {
    const random = generator(7);
    for (const config of CONFIGS) {
      for (const steps of [1, 2, 20, 250, 1000]) {
        const request = { config, nestRatio: [16, 4], sampler, steps };
        const plan = samplingPlan(eta === undefined ? request : { ...request, eta });
        levelSchedules(config, request.nestRatio).forEach(({ gammas }, l) => {
          let previousX0 = 0, previousGammaT: number | null = null;
          plan.levels[l]!.coefficients.forEach((c, i) => {
            const gammaT = gammas[plan.timesteps[i]!]!;
            const gammaS = gammas[plan.timesteps[i + 1]!]!;
            const [latent, prediction, noise] = [random(), random(), random()];
            const raw = c.x0FromLatent * latent + c.x0FromPrediction * prediction;
            assertClose(raw, estimatedX0(config.predictionType, gammaT, latent, prediction));

            const x0 = Math.max(-1, Math.min(1, raw));
            const got = c.latent * latent + c.x0 * x0 + c.previousX0 * previousX0 + c.noise * noise;
            assertClose(
              got,
              step({ gammaT, gammaS, previousGammaT, latent, x0, previousX0, noise }),
            );
            [previousX0, previousGammaT] = [x0, gammaT];
          });
        });
      }
    }
  });

  Deno.test(`${name} ends in x0 exactly, without noise`, () => {
    for (const config of CONFIGS) {
      for (const steps of [1, 2, 20, 1000]) {
        const request = { config, nestRatio: [4], sampler, steps };
        const plan = samplingPlan(eta === undefined ? request : { ...request, eta });
        for (const { coefficients } of plan.levels) {
          const { latent, x0, previousX0, noise } = coefficients.at(-1)!;
          assert.deepEqual({ latent, x0, previousX0, noise }, {
            latent: 0,
            x0: 1,
            previousX0: 0,
            noise: 0,
          });
        }
      }
    }
  });
}

const published = parseSamplerConfig({
  num_diffusion_steps: 1000,
  schedule_type: "DEEPFLOYD",
  prediction_type: "V_PREDICTION",
  schedule_shifted: true,
});

const planOf = (request: Partial<SamplingRequest>) =>
  samplingPlan({ config: published, nestRatio: [4], sampler: "ddim", steps: 8, ...request });

Deno.test("the model is told t - 1, once per step", () => {
  const { timesteps, times, levels } = planOf({});
  assert.deepEqual(timesteps, [890, 779, 667, 556, 445, 334, 222, 111, 0]);
  assert.deepEqual(times, [889, 778, 666, 555, 444, 333, 221, 110]);
  assert.deepEqual(levels.map(({ coefficients }) => coefficients.length), [8, 8]);
});

Deno.test("scales and threshold come from the configuration", () => {
  const config = parseSamplerConfig({ threshold_function: "DYNAMIC", num_diffusion_steps: 10 });
  const { threshold, levels } = planOf({ config, nestRatio: [8, 2] });
  assert.deepEqual(threshold, { kind: "dynamic", quantile: 0.995, max: 100 });
  assert.deepEqual(levels.map((l) => [l.imageScale, l.outputScale]), [[8, 8], [2, 2], [1, 1]]);
});

Deno.test("usesNoise says whether any noise is drawn", () => {
  assert.equal(planOf({ sampler: "ddpm" }).usesNoise, true);
  assert.equal(planOf({ sampler: "ddpm", steps: 1 }).usesNoise, false);
  assert.equal(planOf({ eta: 0.1 }).usesNoise, true);
  assert.equal(planOf({ eta: 0 }).usesNoise, false);
  assert.equal(planOf({}).usesNoise, false);
  assert.equal(planOf({ sampler: "dpm++" }).usesNoise, false);
});

Deno.test("a bad eta is a usage error", () => {
  for (const eta of [-0.1, 1.1, NaN]) {
    assert.throws(
      () => planOf({ eta }),
      new UsageError(`Cannot sample with eta ${eta}: give a number from 0 to 1.`),
    );
  }
  assert.throws(
    () => planOf({ sampler: "dpm++", eta: 0 }),
    new UsageError(`Sampler "dpm++" has no eta: leave eta out or use sampler "ddim".`),
  );
});

/** Both sides are float64 from the same float32 gammas: only cancellation lies between them. */
function assertClose(got: number, expected: number): void {
  const error = Math.abs(got - expected) / Math.max(1, Math.abs(expected));
  assert.ok(error < 1e-11, `${got} is not ${expected}`);
}

/** Numbers of about unit size, the same at every run (a linear congruential generator). */
function generator(seed: number): () => number {
  return () => (seed = (seed * 1664525 + 1013904223) % 2 ** 32) / 2 ** 31 * 2 - 2;
}
