/** What a sampler is: a rule for one step, linear in what is known, given as coefficients. */
import type { LevelSchedule } from "../levels.ts";

/**
 * One step from timestep t to the smaller s:
 * x_s = latent x_t + x0 x0(t) + previousX0 x0(t of the step before) + noise eps,
 * with x0 after the threshold and eps standard normal.
 */
export interface UpdateCoefficients {
  latent: number;
  x0: number;
  previousX0: number;
  noise: number;
}

/** What a sampler may be told. */
export interface SamplerOptions {
  /** DDIM's share of DDPM's noise, from 0 (none) to 1 (all of it). */
  eta: number;
}

/**
 * Gives the coefficients of every step, from timesteps[i] to timesteps[i + 1], at one level.
 * Computed in float64 from the level's float32 gammas.
 */
export type Sampler = (
  level: Pick<LevelSchedule, "gammas">,
  timesteps: readonly number[],
  options: SamplerOptions,
) => UpdateCoefficients[];

/** Calls `rule` with gamma before and after every step. */
export function eachStep(
  { gammas }: Pick<LevelSchedule, "gammas">,
  timesteps: readonly number[],
  rule: (gammaT: number, gammaS: number) => UpdateCoefficients,
): UpdateCoefficients[] {
  return timesteps.slice(1).map((s, i) => rule(gammas[timesteps[i]!]!, gammas[s]!));
}
