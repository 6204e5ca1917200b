/** What a program may give the library as a request. */
import assert from "../assert.ts";
import { checkRequest } from "../../src/pipeline/check_request.ts";

const STEPS = "give a whole number from 1 to 100000.";

Deno.test("a request that can be is let through", () => {
  checkRequest({ prompt: "a" });
  checkRequest({
    prompt: ["a", ""],
    negative: "b",
    count: 10_000,
    seed: 2n ** 64n - 1n,
    sampler: "ddim",
    steps: 1,
    eta: 1,
    guidance: 0,
    guidanceInterval: [0.5, 0.5],
    cache: { error: 0.1 },
    threshold: "DYNAMIC_IF",
    size: 64,
    batch: 1024,
    textFeatures: "features.safetensors",
    signal: new AbortController().signal,
  });
  checkRequest({ prompt: "a", steps: undefined, signal: undefined });
});

Deno.test("what cannot be is refused with a sentence", () => {
  for (
    const [request, message] of [
      [undefined, `Cannot make undefined: give { prompt: "a red circle" }.`],
      ["a star", `Cannot make "a star": give { prompt: "a red circle" }.`],
      [[{ prompt: "a" }], `Cannot make a list of 1: give { prompt: "a red circle" }.`],
      [{}, "No prompt was given: give at least one."],
      [{ prompt: null }, "Cannot use prompt null: give text, or a list of texts."],
      [{ prompt: ["a", 7] }, "Cannot use prompt a list of 2: give text, or a list of texts."],
      [{ promt: "a" }, `There is no option "promt": did you mean "prompt"?`],
      [{ stepz: 4 }, `There is no option "stepz": did you mean "steps"?`],
      [
        { num_inference_steps: 4 },
        `There is no option "num_inference_steps": did you mean "steps"?`,
      ],
      [{ cfgScale: 4 }, `There is no option "cfgScale": did you mean "guidance"?`],
      [{ constructor: 1 }, /^There is no option "constructor": give prompt, count, seed, /],
      [{ steps: "4" }, `Cannot use steps "4": ${STEPS}`],
      [{ steps: 1.5 }, `Cannot use steps 1.5: ${STEPS}`],
      [{ steps: null }, `Cannot use steps null: ${STEPS}`],
      [{ seed: 1.5 }, "Cannot use seed 1.5: give a whole number from 0 to 2^64 - 1."],
      [{ seed: "7" }, `Cannot use seed "7": give a whole number from 0 to 2^64 - 1.`],
      [{ seed: -1n }, "Cannot use seed -1: give a whole number from 0 to 2^64 - 1."],
      [{ seed: 2n ** 64n }, /^Cannot use seed 18446744073709551616: give a whole number from 0 /],
      [
        { sampler: "dpm" },
        `Cannot use sampler "dpm": give one of "ddpm", "ddim", "dpm++". Did you mean "dpm++"?`,
      ],
      [
        { sampler: "DPMSolverMultistep" },
        /^Cannot use sampler "DPMSolverMultistep": .* Did you mean "dpm\+\+"\?$/,
      ],
      [{ sampler: "toString" }, /^Cannot use sampler "toString": give one of /],
      [
        { threshold: "clip" },
        /^Cannot use threshold "clip": give one of "NONE", .* Did you mean "CLIP"\?$/,
      ],
      [{ eta: 2 }, "Cannot use eta 2: give a number from 0 to 1."],
      [{ guidance: "4" }, `Cannot use guidance "4": give a number from 0 to 1000.`],
      [{ guidance: NaN }, "Cannot use guidance NaN: give a number from 0 to 1000."],
      [{ negative: ["b"] }, "Cannot use negative a list of 1: give text."],
      [{ size: "64" }, `Cannot use size "64": give a whole number.`],
      [
        { guidanceInterval: [0.8, 0.2] },
        "Cannot use guidanceInterval [0.8, 0.2]: give two numbers from 0 to 1, the smaller one first.",
      ],
      [{ guidanceInterval: 0.5 }, /^Cannot use guidanceInterval 0\.5: give two numbers /],
      [{ cache: 2 }, "Cannot use cache 2: give { every: steps } or { error: share }."],
      [
        { cache: { every: 2, error: 1 } },
        /^Cannot use cache an object: give \{ every: steps \} or /,
      ],
      [{ count: 0 }, "Cannot use count 0: give a whole number from 1 to 10000."],
      [{ batch: Infinity }, /^Cannot use batch a number without bounds: give a whole number /],
      [{ textFeatures: 7 }, "Cannot use textFeatures 7: give the path of a safetensors file."],
      [{ signal: {} }, "Cannot use signal an object: give an AbortSignal."],
    ] as [unknown, string | RegExp][]
  ) {
    const isPart = typeof request === "object" && request !== null &&
      Object.keys(request).length > 0;
    const whole = isPart && !Array.isArray(request) ? { prompt: "a", ...request } : request;
    assert.throws(() => checkRequest(whole), { name: "UsageError", message });
  }
});
