/** What a name was meant for. */
import assert from "../assert.ts";
import { meantName } from "../../src/pipeline/parameter_names.ts";

const PLAIN = ["prompt", "prompts", "negative", "n", "seed", "sampler", "steps", "guidance"];
const SERVERLESS = ["prompt", "negative_prompt", "num_outputs", "scheduler", "guidance_scale"];

Deno.test("a name that other programs have for an option stands for ours", () => {
  for (
    const [typed, plain, serverless] of [
      ["num_inference_steps", "steps", undefined],
      ["cfg_scale", "guidance", "guidance_scale"],
      ["guidanceScale", "guidance", "guidance_scale"],
      ["guidance", "guidance", "guidance_scale"],
      ["negativePrompt", "negative", "negative_prompt"],
      ["num_images_per_prompt", "n", "num_outputs"],
      ["scheduler", "sampler", "scheduler"],
      ["Seed", "seed", undefined],
    ] as const
  ) {
    assert.equal(meantName(typed, PLAIN), plain, typed);
    assert.equal(meantName(typed, SERVERLESS), serverless, typed);
  }
});

Deno.test("a name that is a few letters off stands for the nearest, also where that is another program's", () => {
  for (
    const [typed, meant] of [
      ["promt", "prompt"],
      ["stesp", "steps"],
      ["num_inferense_steps", "steps"],
      ["gudance_scale", "guidance"],
    ] as const
  ) assert.equal(meantName(typed, PLAIN), meant, typed);
});

Deno.test("a name that is far from all stands for none", () => {
  for (const typed of ["", "x", "colour", "__proto__", "constructor", "ü", "q".repeat(1 << 20)]) {
    assert.equal(meantName(typed, PLAIN), undefined, typed.slice(0, 20));
  }
  assert.equal(meantName("steps", []), undefined);
});

Deno.test("what is chosen by name is known by its other names as well", () => {
  assert.equal(meantName("DPMSolverMultistep", ["ddpm", "ddim", "dpm++"]), "dpm++");
  assert.equal(meantName("dpm++", ["DDPM", "DDIM", "DPMSolverMultistep"]), "DPMSolverMultistep");
  assert.equal(meantName("ddim", ["DDPM", "DDIM", "DPMSolverMultistep"]), "DDIM");
  assert.equal(meantName("JPG", ["png", "jpeg", "webp"]), "jpeg");
});
