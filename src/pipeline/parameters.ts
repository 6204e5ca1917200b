/**
 * The generation parameters, each declared once: its values, what stands for it where a request leaves it out, its names, and a
 * description. Derived from this are
 *
 * - what the library takes and checks (`request.ts`, `check_request.ts`) and what a PNG holds (`png_parameters.ts`);
 * - the command's options and their help (`src/cli/options/parameter_options.ts`);
 * - the fields of every protocol and what a job holds (`src/server/input`, `src/jobs/job.ts`), and the page's form.
 *
 * A new one is an entry here and the code that acts on it.
 */
import { oneOf } from "../check_arguments.ts";
import type { GuidanceInterval } from "../diffusion/guidance.ts";
import type { FeatureCache } from "../diffusion/feature_cache.ts";
import { type SamplerEntry, type SamplerName, SAMPLERS } from "../diffusion/samplers/mod.ts";
import { THRESHOLD_NAMES } from "../diffusion/thresholds.ts";
import { DEFAULT_FPS, FASTEST } from "../media/animation.ts";
import type { OutputFormat } from "../media/output_format.ts";

/** Which values a parameter takes. */
export type ParameterType =
  /** Letters, at least so many. */
  | { readonly kind: "text"; readonly min: 0 | 1 }
  /** A whole number; `limit` names the limit of a server that lowers the maximum. */
  | {
    readonly kind: "integer";
    readonly min: number;
    readonly max: number;
    readonly limit?: "pictures" | "steps";
  }
  | { readonly kind: "number"; readonly min: number; readonly max: number }
  | { readonly kind: "boolean" }
  /** One of the values of `choices`, which people choose by its key. */
  | {
    readonly kind: "choice";
    readonly choices: Readonly<Record<string, string>>;
    /** What each key stands for. */
    readonly meanings?: Readonly<Record<string, string>>;
    /** Keys by the names that they have in models on Replicate and RunPod, where these differ. */
    readonly serverless?: Readonly<Record<string, string>>;
    /** What other programs call a key. */
    readonly aliases?: Readonly<Record<string, readonly string[]>>;
  }
  /** A whole number of 64 bits. */
  | { readonly kind: "seed" }
  /** Pixels that the model can make. */
  | { readonly kind: "size" }
  /** Two shares of the diffusion time. */
  | { readonly kind: "interval" }
  /** When inner UNets are run. */
  | { readonly kind: "cache" }
  /** What the model's results can be written as. */
  | { readonly kind: "format" };

/** An option of the command. */
export interface Flag {
  /** Without dashes. */
  readonly long: string;
  readonly short?: string;
  /** What stands for the value in help; absent: it takes none. */
  readonly value?: string;
  /** Where the command says more, or something else, than the parameter's description. */
  readonly description?: string;
}

/** Whose names a parameter has: `/jobs`; models on Replicate (and Cog) and RunPod; the additions to OpenAI's API. */
export type Naming = "native" | "serverless" | "openai";

/** A generation parameter. */
export interface Parameter {
  readonly type: ParameterType;
  /** For people, without a full stop. */
  readonly description: string;
  /** What stands for it where it is left out, */
  readonly default?: string | number | boolean;
  /** or that in words, where it depends on something else. */
  readonly otherwise?: string;
  /** Where it can be given, and by which name. */
  readonly names: { readonly [N in Naming]?: string };
  /** Its names in other programs. */
  readonly aliases?: readonly string[];
  /** Two of "cache": at every how many steps, and at which error. */
  readonly flags?: readonly Flag[];
  /** Whether the operator of a server may choose another default (`mdm serve --steps 30`). */
  readonly serverDefault?: true;
  /** Its field on the page, and which models have it. */
  readonly field?: {
    readonly label: string | { readonly pictures: string; readonly videos: string };
    readonly of?: "pictures" | "videos" | "nested";
    /** Whether its default stands in it from the beginning. */
    readonly required?: true;
  };
  /** Whether it changes anything beside others; absent: always. */
  readonly applies?: (others: { readonly sampler: SamplerName }) => boolean;
}

const samplers = Object.entries(SAMPLERS) as [SamplerName, SamplerEntry][];

type Names = Readonly<Record<string, string>>;
type SamplerChoices = { readonly [Name in SamplerName]: Name };

/** Which images are made. */
export const SUBJECT = {
  prompt: {
    type: { kind: "text", min: 1 },
    description: "What the image should show",
    names: { native: "prompt", serverless: "prompt", openai: "prompt" },
    aliases: ["text", "caption", "description", "positive_prompt"],
  },
  count: {
    type: { kind: "integer", min: 1, max: 10_000, limit: "pictures" },
    description: "Images of each prompt; the first has the seed, the others the numbers after it",
    default: 1,
    names: { native: "n", serverless: "num_outputs" },
    aliases: ["num_images", "num_images_per_prompt", "num_samples", "batch_size"],
    flags: [{ long: "count", short: "n", value: "N" }],
    field: { label: { pictures: "Pictures", videos: "Videos" }, required: true },
  },
  seed: {
    type: { kind: "seed" },
    description: "The same seed gives the same image",
    otherwise: "by chance",
    names: { native: "seed", serverless: "seed", openai: "seed" },
    aliases: ["random_seed", "noise_seed", "manual_seed"],
    flags: [{ long: "seed", short: "s", value: "N" }],
    field: { label: "Seed" },
  },
  batch: {
    type: { kind: "integer", min: 1, max: 1024 },
    description: "Images that are denoised together, as memory allows",
    default: 4,
    names: {},
    flags: [{ long: "batch", value: "N" }],
  },
} as const satisfies Record<string, Parameter>;

/**
 * How an image is made: with the prompt and the seed, all that it depends on. It is part of the library's types, for which JSR wants the
 * types of computed values written out.
 */
export const SAMPLING = {
  negative: {
    type: { kind: "text", min: 0 },
    description: "What the image should not show; it needs guidance",
    names: { native: "negative", serverless: "negative_prompt", openai: "negative_prompt" },
    aliases: ["uncond_prompt"],
    flags: [{ long: "negative", value: "TEXT" }],
    serverDefault: true,
    field: { label: "Leave out" },
  },
  sampler: {
    type: {
      kind: "choice",
      choices: record(samplers.map(([name]) => [name, name])) as SamplerChoices,
      meanings: record(samplers.map(([name, { description }]) => [name, description])) as Names,
      serverless: record(
        samplers.map(([name, { diffusersName }]) => [diffusersName, name]),
      ) as Names,
      aliases: record(
        samplers.map(([name, { diffusersName, aliases }]) => [name, [diffusersName, ...aliases]]),
      ) as Readonly<Record<string, readonly string[]>>,
    },
    description: "How the steps are taken",
    default: "dpm++",
    names: { native: "sampler", serverless: "scheduler", openai: "sampler" },
    aliases: ["sampler_name", "sampling_method", "sampler_index"],
    flags: [{ long: "sampler", value: "NAME" }],
    serverDefault: true,
    field: { label: "Sampler" },
  },
  steps: {
    type: { kind: "integer", min: 1, max: 100_000, limit: "steps" },
    description: "Denoising steps: more take longer",
    otherwise: samplers.map(([name, { defaultSteps }]) => `${defaultSteps} for "${name}"`)
      .join(", ") as string,
    names: { native: "steps", serverless: "num_inference_steps", openai: "steps" },
    aliases: [
      "inference_steps",
      "num_steps",
      "sampling_steps",
      "sample_steps",
      "n_steps",
      "step_count",
    ],
    flags: [{ long: "steps", value: "N" }],
    serverDefault: true,
    field: { label: "Steps" },
  },
  eta: {
    type: { kind: "number", min: 0, max: 1 },
    description: "Of DDIM: the share of DDPM's noise",
    otherwise: "0",
    names: { native: "eta", serverless: "eta" },
    flags: [{ long: "eta", value: "X" }],
    applies: ({ sampler }: { readonly sampler: SamplerName }): boolean =>
      SAMPLERS[sampler].drawsNoise === "eta",
  },
  guidance: {
    type: { kind: "number", min: 0, max: 1000 },
    description: "How much more the text counts than no text; 1: no guidance, twice as fast",
    default: 4,
    names: { native: "guidance", serverless: "guidance_scale", openai: "guidance" },
    aliases: ["cfg_scale", "cfg", "cfg_strength", "prompt_strength"],
    flags: [{ long: "guidance", short: "g", value: "X" }],
    serverDefault: true,
    field: { label: "Guidance" },
  },
  guidanceInterval: {
    type: { kind: "interval" },
    description: "Two numbers, the smaller one first: guide only at steps whose time lies between" +
      ", from 0 (the image) to 1 (noise); the others take half the time",
    otherwise: "at every step",
    names: { native: "guidanceInterval", serverless: "guidance_interval" },
    flags: [{ long: "guidance-interval", value: "LO,HI" }],
    serverDefault: true,
  },
  cache: {
    type: { kind: "cache" },
    description: "Of a model with inner resolutions: run their UNets at every Nth step only, or " +
      "as seldom as the change that is missed stays below a share such as 0.1. " +
      "Quicker, and the image changes a little",
    names: { native: "cache", serverless: "cache" },
    flags: [
      {
        long: "cache",
        value: "N",
        description: "Of a model with inner resolutions: run their UNets at every Nth step only. " +
          "Quicker, and the image changes a little",
      },
      {
        long: "cache-error",
        value: "X",
        description: "The same, as seldom as the change that is missed stays below a share " +
          "such as 0.1; images are made one at a time",
      },
    ],
    serverDefault: true,
  },
  threshold: {
    type: { kind: "choice", choices: THRESHOLD_NAMES as typeof THRESHOLD_NAMES },
    description: "How each step's estimate is kept in the range of colours",
    otherwise: "the model's own",
    names: { native: "threshold", serverless: "threshold" },
    flags: [{ long: "threshold", value: "NAME" }],
  },
  size: {
    type: { kind: "size" },
    description: "Width and height in pixels, of a video those of the square that its frames make",
    otherwise: "the model's own",
    // Of height `serverless_input.ts` knows.
    names: { native: "size", serverless: "width" },
    aliases: ["height", "image_size", "resolution", "dimensions", "aspect_ratio"],
    flags: [{ long: "size", value: "N" }],
    // A video's size is that of all its frames side by side, which nobody has in mind.
    field: { label: "Size in pixels", of: "pictures" },
  },
} as const satisfies Record<string, Parameter>;

/** What is made of the images. */
export const OUTPUT = {
  levels: {
    type: { kind: "boolean" },
    description: "Whether the inner resolutions are results as well",
    default: false,
    names: { native: "levels", serverless: "levels" },
    aliases: ["resolutions"],
    flags: [{
      long: "levels",
      description: "Write the inner resolutions as well: name-16x16.png next to name.png; of a " +
        "video name-8x8x16.mp4 if it has 16 frames, name-8x8.png if it is one image",
    }],
    field: { label: "Keep the smaller resolutions as files", of: "nested" },
  },
  preview: {
    type: { kind: "boolean" },
    description: "Whether the inner resolutions are shown on the way: small images that sharpen " +
      "as the steps go by",
    default: false,
    names: { native: "preview", serverless: "preview" },
    aliases: ["previews", "partial_images"],
  },
  format: {
    type: { kind: "format" },
    description: "How results are written",
    otherwise: "MP4 of videos; PNG of images, which keeps every pixel and holds prompt, seed and " +
      "settings",
    names: { native: "format", serverless: "output_format" },
    aliases: ["output_type", "file_format", "image_format", "file_type"],
    field: { label: "Format" },
  },
  fps: {
    type: { kind: "integer", min: 1, max: FASTEST },
    description: "Of videos: frames a second",
    otherwise: String(DEFAULT_FPS),
    names: { native: "fps", serverless: "fps" },
    aliases: ["frame_rate", "frames_per_second"],
    flags: [{ long: "fps", value: "N" }],
    field: { label: "Frames a second", of: "videos" },
  },
} as const satisfies Record<string, Parameter>;

/** All of them. */
export const PARAMETERS = { ...SUBJECT, ...SAMPLING, ...OUTPUT };

export type ParameterName = keyof typeof PARAMETERS;

/** All of them, in order. */
export const PARAMETER_ENTRIES = Object.entries(PARAMETERS) as [ParameterName, Parameter][];

/** What values of each kind are in code. */
interface Kinds {
  readonly text: string;
  readonly integer: number;
  readonly number: number;
  readonly boolean: boolean;
  readonly seed: number | bigint;
  readonly size: number;
  readonly interval: GuidanceInterval;
  readonly cache: FeatureCache;
  readonly format: OutputFormat;
}

/** A value of a parameter in code. */
export type ParameterValue<T extends ParameterType> = T extends { readonly choices: infer Choices }
  ? Choices[keyof Choices]
  : T extends { readonly kind: infer Kind extends keyof Kinds } ? Kinds[Kind]
  : never;

type ValuesOf<Table extends Record<string, Parameter>> = {
  readonly [Name in keyof Table]?: ParameterValue<Table[Name]["type"]>;
};

/**
 * How an image is to be made: see {@linkcode SAMPLING} for each.
 *
 * @example
 * ```ts
 * const quick: SamplingParameters = { steps: 10, guidanceInterval: [0.2, 0.8] };
 * ```
 */
export type SamplingParameters = ValuesOf<typeof SAMPLING>;

/** What is to be made of images: see {@linkcode OUTPUT} for each. */
export type OutputParameters = ValuesOf<typeof OUTPUT>;

/** Any of the parameters. */
export type GivenParameters = ValuesOf<typeof PARAMETERS>;

/** Those parameters of a table that have a default, with their values. */
type Defaults<Table extends Record<string, Parameter>> = {
  readonly [
    Name in keyof Table as Table[Name] extends { readonly default: unknown } ? Name : never
  ]: ParameterValue<Table[Name]["type"]>;
};

/**
 * How an image is made, with everything decided.
 *
 * @example
 * ```ts
 * function isGuided({ guidance }: ResolvedSampling): boolean {
 *   return guidance !== 1;
 * }
 * ```
 */
export type ResolvedSampling =
  & SamplingParameters
  & Defaults<typeof SAMPLING>
  & Required<Pick<SamplingParameters, "negative" | "steps" | "eta" | "threshold" | "size">>;

/** So many seeds there are, from 0 on. */
export const SEEDS = 1n << 64n;

/** A seed as people and JSON write it: more digits than a JSON number holds. */
export const SEED_PATTERN = "[0-9]{1,20}";

/** A seed in digits; null: it is none. Whether it has 64 bits is left to whoever uses it. */
export function parseSeed(digits: string): bigint | null {
  return new RegExp(`^${SEED_PATTERN}$`).test(digits) ? BigInt(digits) : null;
}

/** What a value has to be, in words that go on a sentence: "a whole number from 1 to 9". */
export function allowedValues(type: ParameterType): string {
  switch (type.kind) {
    case "text":
      return "text";
    case "integer":
      return `a whole number from ${type.min} to ${type.max}`;
    case "number":
      return `a number from ${type.min} to ${type.max}`;
    case "boolean":
      return "true or false";
    case "choice":
      return oneOf(Object.values(type.choices));
    case "seed":
      return "a whole number from 0 to 2^64 - 1";
    case "size":
      return "a whole number";
    case "interval":
      return "two numbers from 0 to 1, the smaller one first";
    case "cache":
      return "{ every: steps } or { error: share }";
    case "format":
      return "the name of a format";
  }
}

/** Without what is undefined. */
export type Given<T> = { [Name in keyof T]: Exclude<T[Name], undefined> };

/** The parameters of a table that an object has, in the table's order; what is undefined is left out. */
export function pick<Names extends string, T extends object>(
  table: Readonly<Record<Names, unknown>>,
  from: T,
): Given<Pick<T, keyof T & Names>> {
  const values = new Map<string, unknown>(Object.entries(from));
  const all = Object.keys(table).map((name) => [name, values.get(name)] as const);
  const given = Object.fromEntries(all.filter(([, value]) => value !== undefined));
  return given as Given<Pick<T, keyof T & Names>>;
}

/** What stands for the parameters of a table that are left out, as far as the table says. */
export function defaultsOf<Table extends Record<string, Parameter>>(table: Table): Defaults<Table> {
  const all = Object.entries(table).map(([name, parameter]) => [name, parameter.default]);
  return Object.fromEntries(all.filter(([, value]) => value !== undefined)) as Defaults<Table>;
}

function record<K extends string, V>(entries: readonly (readonly [K, V])[]): { [N in K]: V };
function record(entries: readonly (readonly [string, unknown])[]) {
  return Object.fromEntries(entries);
}
