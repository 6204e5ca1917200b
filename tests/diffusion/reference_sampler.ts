/**
 * The samplers once more, for one number and in float64, in the form in which the sources state them:
 * DDPM and DDIM through x0, eps and beta tilde (ml_mdm/samplers.py), DPM-Solver++(2M) in the
 * variance-exploding coordinates of k-diffusion's sample_dpmpp_2m.
 */
import type { PredictionType } from "../../src/diffusion/config.ts";

/** Everything known when a step is taken. */
export interface KnownStep {
  /** gamma at the step's timesteps t and s, and at the t of the step before (null: none). */
  gammaT: number;
  gammaS: number;
  previousGammaT: number | null;
  latent: number;
  /** The estimate of x0 after the threshold, at this step and at the one before. */
  x0: number;
  previousX0: number;
  noise: number;
}

export function estimatedX0(type: PredictionType, gamma: number, latent: number, p: number) {
  const signal = Math.sqrt(gamma), sigma = Math.sqrt(1 - gamma);
  return type === "EPSILON" ? (latent - p * sigma) / signal : latent * signal - p * sigma;
}

function betaTilde({ gammaT, gammaS }: KnownStep): number {
  const beta = 1 - gammaT / gammaS;
  return beta * (1 - gammaS) / (1 - gammaT);
}

export function ddpmStep(step: KnownStep): number {
  const { gammaT, gammaS, x0, latent } = step;
  const alpha = gammaT / gammaS;
  const mean = x0 * (1 - alpha) * Math.sqrt(gammaS) / (1 - gammaT) +
    latent * Math.sqrt(alpha) * (1 - gammaS) / (1 - gammaT);
  return mean + Math.sqrt(betaTilde(step)) * step.noise;
}

export function ddimStep(step: KnownStep, eta: number): number {
  const { gammaT, gammaS, x0, latent } = step;
  const eps = (latent - x0 * Math.sqrt(gammaT)) / Math.sqrt(1 - gammaT);
  const variance = eta ** 2 * betaTilde(step);
  const kept = Math.sqrt(Math.max(0, 1 - gammaS - variance)); // below 0 only by rounding
  return x0 * Math.sqrt(gammaS) + eps * kept + Math.sqrt(variance) * step.noise;
}

export function dpmSolverStep(step: KnownStep): number {
  const { gammaT, gammaS, previousGammaT, x0, previousX0, latent } = step;
  const sigma = (gamma: number) => Math.sqrt(1 / gamma - 1);
  const time = (gamma: number) => -Math.log(sigma(gamma));
  const h = time(gammaS) - time(gammaT);
  let denoised = x0;
  if (previousGammaT !== null && gammaS < 1) {
    const r = (time(gammaT) - time(previousGammaT)) / h;
    denoised = (1 + 1 / (2 * r)) * x0 - 1 / (2 * r) * previousX0;
  }
  const exploding = sigma(gammaS) / sigma(gammaT) * (latent / Math.sqrt(gammaT)) +
    (1 - Math.exp(-h)) * denoised;
  return exploding * Math.sqrt(gammaS);
}
