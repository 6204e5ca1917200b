/** The options of generation as front ends take them from JSON. Descriptions are the API's documentation. */
import { createHash, randomBytes } from "node:crypto";
import { z } from "@hono/zod-openapi";
import { SAMPLERS } from "../diffusion/samplers/mod.ts";
import { THRESHOLD_NAMES } from "../diffusion/thresholds.ts";
import { type JobRequest, PICTURE_FORMATS, VIDEO_FORMATS } from "../jobs/job.ts";
import type { Jobs } from "../jobs/jobs.ts";
import { DEFAULT_FPS, FASTEST } from "../media/animation.ts";
import { DEFAULT_GUIDANCE, SEEDS } from "../pipeline/request.ts";

/** What one front end calls an option is its own affair; what may be said in it is the same in all of them. */
export function optionFields({ model, limits }: Pick<Jobs, "model" | "limits">) {
  const samplers = Object.entries(SAMPLERS);
  const videos = model.makes === "videos";
  return {
    prompt: z.string().min(1).max(limits.promptLength).describe("What the picture should show."),
    negative: z.string().max(limits.promptLength).describe(
      "What the picture should not show; it needs guidance.",
    ),
    count: z.int().min(1).max(limits.pictures).describe(
      "Pictures of each prompt; the first one has the seed, the others the numbers that follow.",
    ),
    seed: seed(),
    sampler: z.enum(Object.keys(SAMPLERS) as (keyof typeof SAMPLERS)[]).describe(
      `${samplers.map(([name, { description }]) => `"${name}": ${description}`).join("; ")}. ` +
        `Without it: "dpm++".`,
    ),
    steps: z.int().min(1).max(limits.steps).describe(
      `Denoising steps: more take longer. Without it: ${
        samplers.map(([name, { defaultSteps }]) => `${defaultSteps} for "${name}"`).join(", ")
      }.`,
    ),
    eta: z.number().min(0).max(1).describe(`With sampler "ddim": the share of DDPM's noise.`),
    guidance: z.number().min(0).max(1000).describe(
      `How much more the text counts than no text; 1: no guidance, twice as fast. Without it: ${DEFAULT_GUIDANCE}.`,
    ),
    guidanceInterval: z.array(z.number().min(0).max(1)).length(2).describe(
      "Two numbers, the smaller one first: guide only at steps whose time lies between, from 0 (the picture) to 1 (noise); " +
        "the others take half the time. Without it: at every step.",
    ),
    threshold: z.enum(Object.keys(THRESHOLD_NAMES) as (keyof typeof THRESHOLD_NAMES)[]).describe(
      "How each step's estimate is kept in the range of colours. Without it: the model's own.",
    ),
    size: z.int().min(1).max(Math.floor(Math.sqrt(limits.pixels))).describe(
      "Width and height in pixels, of a video those of the square that its frames make together. Without it: the model's own.",
    ),
    cache: z.union(
      [
        z.strictObject({ every: z.int().min(1).max(limits.steps) }),
        z.strictObject({ error: z.number().min(0) }),
      ],
      { error: `Give {"every": steps} or {"error": share}.` },
    ).describe(
      "Of a model with inner resolutions: run their UNets at every Nth step only, or as seldom as the change that is missed " +
        "stays below a share such as 0.1. Quicker, and the picture changes a little.",
    ),
    levels: z.boolean().describe("Whether the inner resolutions are results as well."),
    preview: z.boolean().describe(
      "Whether the inner resolutions are shown on the way: small pictures that sharpen as the steps go by.",
    ),
    format: z.enum(videos ? VIDEO_FORMATS : PICTURE_FORMATS).describe(
      videos
        ? "How videos are written. Without it: MP4."
        : "How pictures are written. Without it: PNG, " +
          "which keeps every pixel and holds prompt, seed and settings.",
    ),
    fps: z.int().min(1).max(FASTEST).describe(
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

function seed() {
  const numbers = z.int().min(0);
  const digits = z.string().regex(/^\d{1,20}$/, { abort: true }).refine((value) =>
    BigInt(value) < SEEDS
  );
  return z.union([numbers, digits], {
    error: "Give a whole number from 0 to 2^64 - 1; one above 2^53 - 1 as a string of digits.",
  }).describe(
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
