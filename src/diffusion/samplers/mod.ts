/** The samplers by name. */
import type { SamplerConfig } from "../config.ts";
import { dpmTimesteps, timesteps } from "../timesteps.ts";
import { ddim } from "./ddim.ts";
import { ddpm } from "./ddpm.ts";
import { dpmSolverPlusPlus } from "./dpm_solver_pp.ts";
import type { Sampler } from "./sampler.ts";

export type { Sampler, SamplerOptions, UpdateCoefficients } from "./sampler.ts";

/** A sampler and what a person needs to choose it. */
export interface SamplerEntry {
  /** One line for help texts. */
  description: string;
  defaultSteps: number;
  /** What diffusers calls its class, and so models on Replicate and RunPod. */
  diffusersName: string;
  /** What other programs call it. */
  aliases: readonly string[];
  /** Whether fresh noise is drawn at each step; "eta": if eta is above 0. */
  drawsNoise: "always" | "eta" | "never";
  timesteps: (config: SamplerConfig, steps: number) => number[];
  sampler: Sampler;
}

/**
 * Every sampler, by the name people give.
 *
 * @example
 * ```ts
 * for (const [name, { description, defaultSteps }] of Object.entries(SAMPLERS)) {
 *   console.log(name, defaultSteps, description);
 * }
 * ```
 */
export const SAMPLERS = {
  "ddpm": {
    description: "DDPM ancestral sampling: fresh noise at each step, wants many steps",
    defaultSteps: 250,
    diffusersName: "DDPM",
    aliases: [],
    drawsNoise: "always",
    timesteps,
    sampler: ddpm,
  },
  "ddim": {
    description: "DDIM: deterministic, or with a share eta of DDPM's noise",
    defaultSteps: 50,
    diffusersName: "DDIM",
    aliases: [],
    drawsNoise: "eta",
    timesteps,
    sampler: ddim,
  },
  "dpm++": {
    description: "DPM-Solver++(2M): deterministic and of second order, wants the fewest steps",
    defaultSteps: 20,
    diffusersName: "DPMSolverMultistep",
    aliases: ["DPMSolver++", "dpmpp_2m", "DPM++ 2M"],
    drawsNoise: "never",
    timesteps: dpmTimesteps,
    sampler: dpmSolverPlusPlus,
  },
} as const satisfies Record<string, SamplerEntry>;

/**
 * "ddpm", "ddim" or "dpm++".
 *
 * @example
 * ```ts
 * const sampler: SamplerName = "dpm++";
 * ```
 */
export type SamplerName = keyof typeof SAMPLERS;

/**
 * Whether a string from outside names a sampler.
 *
 * @example
 * ```ts
 * const typed: string = "ddim";
 * const sampler = isSamplerName(typed) ? typed : "dpm++";
 * ```
 */
export function isSamplerName(name: string): name is SamplerName {
  return Object.hasOwn(SAMPLERS, name);
}
