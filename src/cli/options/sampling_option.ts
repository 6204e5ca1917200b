/** Options of how pictures are sampled, of commands that make them and of those that serve. */
import type { GuidanceInterval } from "../../diffusion/guidance.ts";
import { type SamplerName, SAMPLERS } from "../../diffusion/samplers/mod.ts";
import { UsageError } from "../../errors.ts";
import type { RequestDefaults } from "../../jobs/job.ts";
import { type GenerateRequest, MOST_GUIDANCE } from "../../pipeline/request.ts";
import { type Command, integer, number, oneOf, type Option, type Values } from "./options.ts";
import { quoted } from "../terminal/output.ts";

export const SAMPLER_NAMES = Object.keys(SAMPLERS) as SamplerName[];

/** What a server takes where a request does not say. */
export const REQUEST_DEFAULT_OPTIONS = [
  {
    long: "steps",
    value: "N",
    description: "Steps of requests that do not say. Without it: those of the sampler",
  },
  {
    long: "sampler",
    value: "NAME",
    description: `Sampler of requests that do not say: ${
      SAMPLER_NAMES.join(", ")
    }. Without it: dpm++`,
  },
  {
    long: "guidance",
    short: "g",
    value: "X",
    description: "Guidance of requests that do not say. Without it: 4",
  },
  {
    long: "guidance-interval",
    value: "LO,HI",
    description:
      "Between which times requests that do not say are guided, as of mdm generate. Without it: at every step",
  },
  {
    long: "negative",
    value: "TEXT",
    description: "What pictures should not show, of requests that do not say",
  },
  {
    long: "cache",
    value: "N",
    description:
      "At every how many steps inner UNets are run for requests that do not say, as of mdm generate. Without it: at each",
  },
  {
    long: "cache-error",
    value: "X",
    description: "The same, as seldom as the change that is missed stays below a share",
  },
] as const satisfies readonly Option[];

type DefaultValues = Values<
  Omit<Command, "options"> & { readonly options: typeof REQUEST_DEFAULT_OPTIONS }
>;

/**
 * What a server takes where a request does not say.
 *
 * @throws {UsageError} When a request that says nothing would be over the limits.
 */
export function requestDefaults(
  values: DefaultValues,
  limits: { readonly steps: number; readonly promptLength: number },
): RequestDefaults {
  const { steps, sampler, guidance, negative } = values;
  const interval = values["guidance-interval"];
  const defaults: RequestDefaults = {
    ...steps !== undefined && { steps: integer(steps, { name: "--steps", min: 1 }) },
    ...sampler !== undefined &&
      { sampler: oneOf(sampler, { name: "--sampler", names: SAMPLER_NAMES }) },
    ...guidance !== undefined &&
      { guidance: number(guidance, { name: "--guidance", min: 0, max: MOST_GUIDANCE }) },
    ...interval !== undefined && { guidanceInterval: intervalOf(interval) },
    ...negative !== undefined && { negative },
    ...cacheOf(values),
  };
  checkLimits(defaults, limits);
  return defaults;
}

function checkLimits(
  { steps, sampler, negative = "" }: RequestDefaults,
  limits: { readonly steps: number; readonly promptLength: number },
): void {
  if (steps !== undefined && steps > limits.steps) {
    throw new UsageError(
      `Option "--steps" gives ${steps}, but ${limits.steps} are the most that may be asked for: give fewer, or a larger --max-steps.`,
    );
  }
  const own = sampler && SAMPLERS[sampler].defaultSteps;
  if (steps === undefined && own !== undefined && own > limits.steps) {
    throw new UsageError(
      `Option "--sampler ${sampler}" takes ${own} steps, but ${limits.steps} are the most that may be asked for: give --steps as well, or a larger --max-steps.`,
    );
  }
  if (negative.length > limits.promptLength) {
    throw new UsageError(
      `Option "--negative" has ${negative.length} letters, but ${limits.promptLength} are the most that may be asked for: say it in fewer words, or give a larger --max-prompt.`,
    );
  }
}

/** Two numbers with a comma between. */
export function intervalOf(value: string): GuidanceInterval {
  const ends = value.split(",").map((end) => /^[\d.]+$/.test(end) ? Number(end) : NaN);
  const [low = NaN, high = NaN] = ends;
  if (ends.length === 2 && low >= 0 && low <= high && high <= 1) return [low, high];
  throw new UsageError(
    `Option "--guidance-interval" needs two numbers from 0 to 1, the smaller one first, as in "0.2,0.8", not ${
      quoted(value)
    }.`,
  );
}

/** When inner UNets are run. */
export function cacheOf(
  { cache, "cache-error": error }: {
    readonly cache: string | undefined;
    readonly "cache-error": string | undefined;
  },
): Pick<GenerateRequest, "cache"> {
  if (cache !== undefined && error !== undefined) {
    throw new UsageError("Give --cache or --cache-error, not both.");
  }
  if (cache !== undefined) return { cache: { every: integer(cache, { name: "--cache", min: 1 }) } };
  if (error === undefined) return {};
  return { cache: { error: number(error, { name: "--cache-error", min: 0 }) } };
}
