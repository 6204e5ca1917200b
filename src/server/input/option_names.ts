/** What each option is called where: in our protocols, and in programs that people know. */
import { nearest } from "../../nearest.ts";

/** Names of the same thing; each is also meant by other ways of writing it (`guidanceScale`, `guidance-scale`). */
const SAME: readonly (readonly string[])[] = [
  ["prompt", "text", "caption", "description", "positive_prompt"],
  ["prompts", "texts"],
  ["negative", "negative_prompt", "uncond_prompt"],
  ["n", "count", "num_outputs", "num_images", "num_images_per_prompt", "num_samples", "batch_size"],
  ["seed", "random_seed", "noise_seed", "manual_seed"],
  [
    "steps",
    "num_inference_steps",
    "inference_steps",
    "num_steps",
    "sampling_steps",
    "sample_steps",
    "n_steps",
    "step_count",
  ],
  ["guidance", "guidance_scale", "cfg_scale", "cfg", "cfg_strength", "prompt_strength"],
  ["guidanceInterval", "guidance_interval"],
  ["sampler", "scheduler", "sampler_name", "sampling_method", "sampler_index"],
  ["size", "width", "height", "image_size", "resolution", "dimensions", "aspect_ratio"],
  ["format", "output_format", "output_type", "file_format", "image_format", "file_type"],
  ["fps", "frame_rate", "frames_per_second"],
  ["preview", "previews", "partial_images"],
  ["levels", "resolutions"],
  ["webhook", "webhook_url", "callback", "callback_url"],
  ["webhook_events_filter", "events", "webhook_events"],
  // What is chosen by name.
  ["dpm++", "DPMSolverMultistep", "DPMSolver++", "dpmpp_2m", "DPM++ 2M"],
  ["jpeg", "jpg"],
];

/** The name among `names` that was most likely meant: another one for the same thing, or one with few letters off. */
export function meantName(typed: string, names: readonly string[]): string | undefined {
  const bare = bareName(typed);
  const others = new Map<string, string>();
  for (const same of SAME) {
    const known = names.find((name) => same.includes(name));
    if (known !== undefined) { for (const name of same) others.set(bareName(name), known); }
  }
  // A name that is there stands for itself before it does for others.
  for (const name of names) others.set(bareName(name), name);
  const near = others.has(bare) ? bare : nearest(bare, [...others.keys()]);
  return near === undefined ? undefined : others.get(near);
}

function bareName(name: string): string {
  // A name of one letter is one; a sign alone is none.
  return name.slice(0, 100).toLowerCase().replaceAll(/[^a-z0-9]/g, "") || name.slice(0, 100);
}
