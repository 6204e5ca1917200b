import { eachStep, type Sampler } from "./sampler.ts";

/**
 * DPM-Solver++(2M) (arXiv 2211.01095, algorithm 2; `sample_dpmpp_2m` of k-diffusion): integrates the
 * probability flow exactly in x_t and extrapolates x0 linearly in lambda, half the log-SNR, from this
 * step and the one before.
 *
 * A resolution shift moves lambda by a constant, so every level takes the same steps h. The first step
 * has no step before it; the last goes to lambda = infinity, where x0 itself is the solution and an
 * extrapolation would run away: both are of first order.
 */
export const dpmSolverPlusPlus: Sampler = (level, timesteps) => {
  let previousH = 0;
  return eachStep(level, timesteps, (gammaT, gammaS) => {
    const h = lambda(gammaS) - lambda(gammaT);
    const weight = -Math.sqrt(gammaS) * Math.expm1(-h);
    const extrapolation = previousH === 0 || gammaS === 1 ? 0 : h / (2 * previousH);
    previousH = h;
    return {
      latent: Math.sqrt((1 - gammaS) / (1 - gammaT)),
      x0: weight * (1 + extrapolation),
      previousX0: extrapolation === 0 ? 0 : -weight * extrapolation,
      noise: 0,
    };
  });
};

/** log(sqrt(gamma) / sqrt(1 - gamma)), infinite for gamma = 1. */
function lambda(gamma: number): number {
  return Math.log(gamma / (1 - gamma)) / 2;
}
