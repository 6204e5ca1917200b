/** The options of generation as models on Replicate and RunPod call them. */
import { z } from "../../deps/zod_openapi.ts";
import type { SamplerName } from "../../diffusion/samplers/mod.ts";
import type { JobRequest } from "../../jobs/job.ts";
import { DEFAULT_SAMPLER } from "../../pipeline/request.ts";
import { fields } from "./fields.ts";
import { hasToBe } from "./sentences.ts";
import { jobRequest, type Offer, optionFields } from "./options.ts";

/** Samplers by the names that they have there. */
const SCHEDULERS = {
  DDPM: "ddpm",
  DDIM: "ddim",
  DPMSolverMultistep: "dpm++",
} as const satisfies Record<string, SamplerName>;

/** What a request's `input` may hold. */
export function serverlessInput(offer: Offer) {
  const options = optionFields(offer);
  const side = options.size.optional().describe(
    "In pixels; width and height are equal. Without both: the model's own.",
  );
  const schedulers = Object.keys(SCHEDULERS) as (keyof typeof SCHEDULERS)[];
  const sampler = offer.defaults.sampler ?? DEFAULT_SAMPLER;
  return fields({
    prompt: options.prompt,
    negative_prompt: options.negative.optional(),
    num_outputs: options.count.optional(),
    seed: options.seed.optional(),
    width: side,
    height: side,
    num_inference_steps: options.steps.optional(),
    guidance_scale: options.guidance.optional(),
    guidance_interval: options.guidanceInterval.optional(),
    scheduler: z.enum(schedulers).optional().describe("How the steps are taken.").meta({
      default: schedulers.find((name) => SCHEDULERS[name] === sampler),
    }),
    eta: options.eta.optional().describe("With scheduler DDIM: the share of DDPM's noise."),
    threshold: options.threshold.optional(),
    cache: options.cache.optional(),
    levels: options.levels.optional(),
    preview: options.preview.optional(),
    output_format: z.enum([...options.format.options, "jpg"]).optional().describe(
      options.format.description!,
    ),
    fps: options.fps.optional(),
  }, hasToBe(`an object such as {"prompt": "a red circle"}`)).refine(
    ({ width, height }) => (width ?? height) === (height ?? width),
    {
      path: ["height"],
      error: "Give the same height as width: pictures are square.",
    },
  );
}

export type ServerlessInput = z.infer<ReturnType<typeof serverlessInput>>;

/** @param key As of `jobRequest`. */
export function serverlessRequest(input: ServerlessInput, key?: string): JobRequest {
  const { output_format: format, scheduler } = input;
  return jobRequest([input.prompt], {
    negative: input.negative_prompt,
    count: input.num_outputs,
    seed: input.seed,
    size: input.width ?? input.height,
    steps: input.num_inference_steps,
    guidance: input.guidance_scale,
    guidanceInterval: input.guidance_interval,
    sampler: scheduler && SCHEDULERS[scheduler],
    eta: input.eta,
    threshold: input.threshold,
    cache: input.cache,
    levels: input.levels,
    preview: input.preview,
    format: format === "jpg" ? "jpeg" : format,
    fps: input.fps,
  }, key);
}
