import { eachStep, type Sampler } from "./sampler.ts";

/**
 * Ancestral sampling: draws x_s from the posterior q(x_s | x_t, x0), whose variance is beta tilde
 * (DDPM, arXiv 2006.11239, equations 6 and 7).
 */
export const ddpm: Sampler = (level, timesteps) =>
  eachStep(level, timesteps, (gammaT, gammaS) => {
    const alpha = gammaT / gammaS;
    const beta = 1 - alpha;
    return {
      latent: Math.sqrt(alpha) * (1 - gammaS) / (1 - gammaT),
      x0: Math.sqrt(gammaS) * beta / (1 - gammaT),
      previousX0: 0,
      noise: Math.sqrt(beta * (1 - gammaS) / (1 - gammaT)),
    };
  });
