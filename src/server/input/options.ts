/** The options of generation as protocols take them from JSON. Descriptions are the API's documentation. */
import { createHash, randomBytes } from "node:crypto";
import { z } from "@hono/zod-openapi";
import { SAMPLERS } from "../../diffusion/samplers/mod.ts";
import { THRESHOLD_NAMES } from "../../diffusion/thresholds.ts";
import type { JobRequest } from "../../jobs/job.ts";
import { IMAGE_FORMATS, VIDEO_FORMATS } from "../../media/output_format.ts";
import type { Jobs } from "../../jobs/jobs.ts";
import { DEFAULT_FPS, FASTEST } from "../../media/animation.ts";
import { DEFAULT_GUIDANCE, DEFAULT_SAMPLER, MOST_GUIDANCE, SEEDS } from "../../pipeline/request.ts";
import { fields, multipleOf, numberFrom, text, wholeNumber } from "./fields.ts";
import { hasToBe } from "./sentences.ts";

/** What decides which options there are. */
export type Offer = Pick<Jobs, "model" | "limits" | "defaults">;

/** What one protocol calls an option is its own affair; what may be said in it is the same in all of them. */
export function optionFields({ model, limits, defaults }: Offer) {
  const samplers = Object.entries(SAMPLERS);
  const videos = model.makes === "videos";
  return {
    prompt: text(1, limits.promptLength).describe("What the picture should show."),
    negative: byDefault(
      defaults.negative,
      text(0, limits.promptLength).describe(
        "What the picture should not show; it needs guidance.",
      ),
    ),
    count: wholeNumber(1, limits.pictures).describe(
      "Pictures of each prompt; the first one has the seed, the others the numbers that follow.",
    ),
    seed: seed(),
    sampler: byDefault(
      defaults.sampler ?? DEFAULT_SAMPLER,
      z.enum(Object.keys(SAMPLERS) as (keyof typeof SAMPLERS)[]).describe(
        `${samplers.map(([name, { description }]) => `"${name}": ${description}`).join("; ")}.`,
      ),
    ),
    steps: byDefault(
      defaults.steps,
      wholeNumber(1, limits.steps).describe(
        `Denoising steps: more take longer. Without it: ${
          defaults.steps ??
            samplers.map(([name, { defaultSteps }]) => `${defaultSteps} for "${name}"`).join(", ")
        }.`,
      ),
    ),
    eta: numberFrom(0, 1).describe(`With sampler "ddim": the share of DDPM's noise.`),
    guidance: byDefault(
      defaults.guidance ?? DEFAULT_GUIDANCE,
      numberFrom(0, MOST_GUIDANCE).describe(
        "How much more the text counts than no text; 1: no guidance, twice as fast.",
      ),
    ),
    guidanceInterval: byDefault(defaults.guidanceInterval, guidanceInterval()),
    threshold: z.enum(Object.keys(THRESHOLD_NAMES) as (keyof typeof THRESHOLD_NAMES)[]).describe(
      "How each step's estimate is kept in the range of colours. Without it: the model's own.",
    ),
    size: multipleOf(model.sizeStep, Math.floor(Math.sqrt(limits.pixels))).describe(
      "Width and height in pixels, of a video those of the square that its frames make together. Without it: the model's own.",
    ),
    cache: byDefault(defaults.cache, cache(limits.steps)),
    levels: z.boolean().describe("Whether the inner resolutions are results as well."),
    preview: z.boolean().describe(
      "Whether the inner resolutions are shown on the way: small pictures that sharpen as the steps go by.",
    ),
    format: z.enum(videos ? VIDEO_FORMATS : IMAGE_FORMATS).describe(
      videos
        ? "How videos are written. Without it: MP4."
        : "How pictures are written. Without it: PNG, " +
          "which keeps every pixel and holds prompt, seed and settings.",
    ),
    fps: wholeNumber(1, FASTEST).describe(
      `Of videos: frames a second. Without it: ${DEFAULT_FPS}.`,
    ),
  };
}

type Fields = ReturnType<typeof optionFields>;

/** The options, of which any may be left out. */
export type Options = {
  readonly [Name in Exclude<keyof Fields, "prompt">]?: z.infer<Fields[Name]> | undefined;
};

/**
 * What is asked for, as jobs have it.
 *
 * @param key The id or the idempotency key that the client gave: where it gives no seed, the same key has to give the same request.
 */
export function jobRequest(prompts: readonly string[], options: Options, key?: string): JobRequest {
  const { count = 1, seed, guidanceInterval, threshold, levels = false, preview = false, ...rest } =
    options;
  return {
    prompts,
    count,
    seed: seed === undefined ? drawSeed(key) : BigInt(seed).toString(),
    ...given(rest),
    ...guidanceInterval !== undefined &&
      { guidanceInterval: [guidanceInterval[0]!, guidanceInterval[1]!] as const },
    ...threshold !== undefined && { threshold: THRESHOLD_NAMES[threshold] },
    levels,
    preview,
  };
}

/** A schema whose description says what is taken where nothing is said; the core fills it in, in every protocol. */
function byDefault<S extends z.ZodType>(value: unknown, schema: S): S {
  return value === undefined ? schema : schema.meta({ ...schema.meta(), default: value });
}

function guidanceInterval() {
  const error = hasToBe("two numbers from 0 to 1, the smaller one first");
  return z.array(numberFrom(0, 1), { error }).min(2, { error, abort: true }).max(2, {
    error,
    abort: true,
  })
    .refine(([low, high]) => low! <= high!, { error })
    .describe(
      "Two numbers, the smaller one first: guide only at steps whose time lies between, from 0 (the picture) to 1 (noise); " +
        "the others take half the time. Without it: at every step.",
    );
}

function cache(steps: number) {
  const none = z.null().optional();
  return z.union([
    fields({ every: wholeNumber(1, steps), error: none }),
    fields({ every: none, error: z.number().min(0) }),
  ], { error: hasToBe(`{"every": steps}, with 1 to ${steps}, or {"error": share}`) })
    .transform(({ every, error }) => every == null ? { error: error! } : { every })
    .describe(
      "Of a model with inner resolutions: run their UNets at every Nth step only, or as seldom as the change that is missed " +
        "stays below a share such as 0.1. Quicker, and the picture changes a little.",
    );
}

function seed() {
  const error = hasToBe(
    "a whole number from 0 to 2^64 - 1, one above 2^53 - 1 as a string of digits",
  );
  const numbers = z.int({ error }).min(0, { error }).max(Number.MAX_SAFE_INTEGER, { error });
  const digits = z.string({ error }).regex(/^\d{1,20}$/, { error, abort: true })
    .refine((value) => BigInt(value) < SEEDS, { error });
  return z.union([numbers, digits], { error }).describe(
    "The same seed gives the same picture: a whole number from 0 to 2^64 - 1; one above 2^53 - 1, which JSON's numbers do not " +
      "hold, as a string of digits. Without it: by chance.",
  ).meta({ examples: [7] });
}

/** Of 32 bits, which people can type. */
function drawSeed(key: string | undefined): string {
  const bytes = key === undefined ? randomBytes(4) : createHash("sha256").update(key).digest();
  return String(bytes.readUInt32LE());
}

function given<T extends object>(options: T): { [Name in keyof T]?: Exclude<T[Name], undefined> } {
  const entries = Object.entries(options).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as ReturnType<typeof given<T>>;
}
