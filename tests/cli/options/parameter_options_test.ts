/** The generation parameters as options of commands. */
import assert from "../../assert.ts";
import {
  givenParameters,
  parameterOptions,
  type ParameterUse,
  requestDefaults,
} from "../../../src/cli/options/parameter_options.ts";

const names = (use: ParameterUse) => parameterOptions(use).map(({ long }) => long);

Deno.test("each command has the options that it can use", () => {
  const request = names("request");
  const known = ["count", "seed", "batch", "negative", "sampler", "steps", "eta", "guidance"];
  const inner = ["guidance-interval", "cache", "cache-error", "threshold", "size"];
  const all = new Set([...known, ...inner, "levels", "fps"]);
  assert.ok(all.isSubsetOf(new Set(request)), request.join());
  assert.equal(new Set(request).size, request.length);

  const defaults = new Set<string>(names("defaults"));
  for (const name of ["steps", "sampler", "negative", "cache-error"]) assert.ok(defaults.has(name));
  // Most requests could not have these.
  for (const name of ["eta", "size", "seed", "count"]) assert.ok(!defaults.has(name), name);

  const ofOneImage = (name: string) => !["count", "batch", "levels", "fps"].includes(name);
  assert.deepEqual(names("changes"), request.filter(ofOneImage));
});

Deno.test("a description says what is taken without the option", () => {
  const help = (use: ParameterUse, name: string) => {
    const { description, default: standard } = parameterOptions(use).find(({ long }) =>
      long === name
    )!;
    return [description, standard];
  };
  assert.deepEqual(help("request", "guidance"), [
    "How much more the text counts than no text; 1: no guidance, twice as fast",
    "4",
  ]);
  assert.deepEqual(help("request", "steps"), [
    `Denoising steps: more take longer. Without it: 250 for "ddpm", 50 for "ddim", 20 for "dpm++"`,
    undefined,
  ]);
  assert.deepEqual(help("defaults", "guidance"), [
    "For requests without one: how much more the text counts than no text; 1: no guidance, twice as fast. Without it: 4",
    undefined,
  ]);
  assert.deepEqual(help("changes", "seed"), [
    "Instead of the PNG's: the same seed gives the same image",
    undefined,
  ]);
  assert.match(help("request", "threshold")[0]!, /: none, clip, dynamic, dynamic-if\. Without /);
  assert.match(help("request", "sampler")[0]!, /\. ddpm: DDPM ancestral .*; dpm\+\+: DPM-Solver/);
});

Deno.test("what is typed becomes values, and what is not typed nothing", () => {
  assert.deepEqual(
    givenParameters({
      count: "4",
      seed: "18446744073709551615",
      sampler: "ddim",
      steps: "30",
      eta: ".5",
      guidance: "2.5",
      "guidance-interval": "0.2,0.8",
      negative: "",
      "cache-error": "0.1",
      threshold: "dynamic-if",
      size: "48",
      levels: true,
      fps: "12",
      model: "of another option",
    }),
    {
      count: 4,
      seed: 18446744073709551615n,
      sampler: "ddim",
      steps: 30,
      eta: 0.5,
      guidance: 2.5,
      guidanceInterval: [0.2, 0.8],
      negative: "",
      cache: { error: 0.1 },
      threshold: "DYNAMIC_IF",
      size: 48,
      levels: true,
      fps: 12,
    },
  );
  assert.deepEqual(givenParameters({ levels: false, steps: undefined, cache: "2" }), {
    cache: { every: 2 },
  });
});

Deno.test("a server's defaults keep to its limits", () => {
  const limits = { steps: 100, promptLength: 4 };
  assert.deepEqual(requestDefaults({ steps: "100", negative: "blue" }, limits), {
    steps: 100,
    negative: "blue",
  });
  for (
    const [typed, message] of [
      [{ steps: "101" }, /^Option "--steps" gives 101, but 100 are the most/],
      [{ sampler: "ddpm" }, /^Option "--sampler ddpm" takes 250 steps, but 100 are the most/],
      [{ negative: "green" }, /^Option "--negative" has 5 letters, but 4 are the most/],
    ] as const
  ) assert.throws(() => requestDefaults(typed, limits), { name: "UsageError", message });
});
