/** The options of generation as models on Replicate and RunPod call them. */
import { z } from "@hono/zod-openapi";
import type { SamplerName } from "../diffusion/samplers/mod.ts";
import type { JobRequest } from "../jobs/job.ts";
import type { Jobs } from "../jobs/jobs.ts";
import { jobRequest, optionFields } from "./input.ts";

/** Samplers by the names that they have there. */
const SCHEDULERS = {
  DDPM: "ddpm",
  DDIM: "ddim",
  DPMSolverMultistep: "dpm++",
} as const satisfies Record<string, SamplerName>;

/** What a request's `input` may hold. */
export function serverlessInput(jobs: Pick<Jobs, "model" | "limits">) {
  const fields = optionFields(jobs);
  const side = fields.size.optional().describe(
    "In pixels; width and height are equal. Without both: the model's own.",
  );
  const schedulers = Object.keys(SCHEDULERS) as (keyof typeof SCHEDULERS)[];
  return z.strictObject({
    prompt: fields.prompt,
    negative_prompt: fields.negative.optional(),
    num_outputs: fields.count.optional(),
    seed: fields.seed.optional(),
    width: side,
    height: side,
    num_inference_steps: fields.steps.optional(),
    guidance_scale: fields.guidance.optional(),
    guidance_interval: fields.guidanceInterval.optional(),
    scheduler: z.enum(schedulers).optional().describe(
      "How the steps are taken. Without it: DPMSolverMultistep.",
    ),
    eta: fields.eta.optional().describe("With scheduler DDIM: the share of DDPM's noise."),
    threshold: fields.threshold.optional(),
    cache: fields.cache.optional(),
    levels: fields.levels.optional(),
    preview: fields.preview.optional(),
    output_format: z.enum([...fields.format.options, "jpg"]).optional().describe(
      fields.format.description!,
    ),
    fps: fields.fps.optional(),
  }).refine(({ width, height }) => (width ?? height) === (height ?? width), {
    path: ["height"],
    error: "Give the same height as width: pictures are square.",
  });
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
