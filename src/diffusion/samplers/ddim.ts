import { eachStep, type Sampler } from "./sampler.ts";

/**
 * DDIM (arXiv 2010.02502, equation 12): keeps the direction eps = (x_t - sqrt(gammaT) x0) /
 * sqrt(1 - gammaT) and replaces the share eta^2 of DDPM's variance by fresh noise. eta = 0 is
 * deterministic, eta = 1 has the marginals of DDPM.
 */
export const ddim: Sampler = (level, timesteps, { eta }) =>
  eachStep(level, timesteps, (gammaT, gammaS) => {
    const freshShare = eta ** 2 * (1 - gammaT / gammaS) / (1 - gammaT);
    // A product, not 1 - gammaS - variance: rounding must not make it negative.
    const direction = Math.sqrt((1 - gammaS) * (1 - freshShare));
    return {
      latent: direction / Math.sqrt(1 - gammaT),
      x0: Math.sqrt(gammaS) - direction * Math.sqrt(gammaT / (1 - gammaT)),
      previousX0: 0,
      noise: Math.sqrt((1 - gammaS) * freshShare),
    };
  });
