/** What a server takes where a request does not say, as clients of every protocol see it. */
import assert from "../assert.ts";
import type { RequestDefaults } from "../../src/jobs/job.ts";
import { cog } from "../../src/server/protocols/replicate/cog.ts";
import { openai } from "../../src/server/protocols/openai/openai.ts";
import { webPage } from "../../src/server/page/mod.ts";
import { native } from "../../src/server/protocols/native/native.ts";
import { runpod } from "../../src/server/protocols/runpod/runpod.ts";
import { FakeJobs } from "./fake_jobs.ts";
import { appOf, posted } from "./server.ts";

const DEFAULTS: RequestDefaults = {
  steps: 9,
  sampler: "ddim",
  guidance: 2.5,
  guidanceInterval: [0.2, 0.8],
  negative: "a ring",
  cache: { every: 2 },
};

function start(defaults?: RequestDefaults) {
  const jobs = new FakeJobs({ finishAtOnce: true, ...defaults && { defaults } });
  return { jobs, app: appOf(jobs, [native, cog, runpod, openai, webPage]) };
}

// deno-lint-ignore no-explicit-any
type Json = any;

Deno.test("a request that says nothing gets them in every protocol, one that says gets its own", async () => {
  const { jobs, app } = start(DEFAULTS);
  const made = async (path: string, body: unknown) => {
    const response = await app.request(path, posted(body));
    assert.ok(response.ok, await response.text());
    const [newest] = await jobs.list({ limit: 1 });
    return newest!.request;
  };
  const prompt = "a star";
  for (
    const [path, body] of [
      ["/jobs", { prompt }],
      ["/predictions", { input: { prompt } }],
      ["/v2/x/run", { input: { prompt } }],
      ["/v1/images/generations", { prompt }],
    ] as const
  ) {
    const { seed: _, ...request } = await made(path, body);
    const own = { prompts: [prompt], count: 1, levels: false, preview: false };
    assert.deepEqual(request, { ...own, ...DEFAULTS });
  }
  const options = { steps: 3, guidance: 1, sampler: "dpm++", negative: "", cache: { every: 1 } };
  const asked = await made("/jobs", { prompt, guidanceInterval: [0, 1], ...options });
  assert.deepEqual({ ...asked, ...options, guidanceInterval: [0, 1] }, asked);
});

Deno.test("they stand in the description", async () => {
  const { app } = start(DEFAULTS);
  const { components: { schemas } }: Json = await (await app.request("/openapi.json")).json();
  const said = (schema: string, ...names: string[]) =>
    names.map((name) => schemas[schema].properties[name].default);
  assert.deepEqual(
    said("JobRequest", "steps", "sampler", "guidance", "guidanceInterval", "negative", "cache"),
    [9, "ddim", 2.5, [0.2, 0.8], "a ring", { every: 2 }],
  );
  assert.deepEqual(
    said("Input", "num_inference_steps", "scheduler", "guidance_scale", "negative_prompt"),
    [9, "DDIM", 2.5, "a ring"],
  );
  assert.deepEqual(said("OpenAIImageRequest", "steps", "sampler", "guidance"), [9, "ddim", 2.5]);
  const { defaults }: Json = await (await app.request("/model")).json();
  assert.deepEqual(defaults, { steps: 9, sampler: "ddim", guidance: 2.5, negative: "a ring" });
});

Deno.test("without any the description says what the model does by itself", async () => {
  const { app } = start();
  const { components: { schemas } }: Json = await (await app.request("/openapi.json")).json();
  const { steps, sampler, guidance, negative } = schemas.JobRequest.properties;
  assert.deepEqual([sampler.default, guidance.default], ["dpm++", 4]);
  assert.equal("default" in steps || "default" in negative, false);
  assert.match(steps.description, /20 for "dpm\+\+"/);
  assert.equal(schemas.Input.properties.scheduler.default, "DPMSolverMultistep");
});
