/** What a PNG says of how its image was made, and the request that comes back from it. */
import assert from "../assert.ts";
import { ModelSource } from "../../src/pipeline/models/model_source.ts";
import { parsePngParameters, pngParameters, requestOf } from "../../src/pipeline/png_parameters.ts";
import { type GenerateRequest, resolveRequest } from "../../src/pipeline/request.ts";

const MODEL = { model: "shapes32", weights: "ab".repeat(32) };

async function saved(request: Omit<GenerateRequest, "prompt" | "seed">): Promise<string> {
  using model = await ModelSource.open("weights/shapes32");
  const whole = { ...request, prompt: "a star", seed: 2n ** 64n - 1n };
  const resolved = resolveRequest(whole, model.config, model.diffusion);
  return JSON.stringify(pngParameters(resolved, resolved.jobs[0]!, MODEL, { level: 0 }));
}

Deno.test("the bytes of a request are always the same, whatever the order of its fields", async () => {
  const text = await saved({
    size: 48,
    cache: { every: 2 },
    guidanceInterval: [0.2, 0.8],
    eta: 0.5,
    steps: 3,
    sampler: "ddim",
    negative: "a ring",
  });
  assert.equal(
    text,
    `{"version":"0.1.0","model":"shapes32","weights":"${MODEL.weights}","prompt":"a star",` +
      `"negative":"a ring","seed":"18446744073709551615","sampler":"ddim","steps":3,"eta":0.5,` +
      `"guidance":4,"guidanceInterval":[0.2,0.8],"cache":{"every":2},"threshold":"CLIP",` +
      `"size":48,"level":0}`,
  );
  assert.deepEqual(Object.keys(JSON.parse(await saved({}))), [
    "version",
    "model",
    "weights",
    "prompt",
    "negative",
    "seed",
    "sampler",
    "steps",
    "guidance",
    "threshold",
    "size",
    "level",
  ]);
});

Deno.test("what comes back asks for the same, and for what is to be otherwise", async () => {
  const request = { sampler: "ddim", eta: 0.5, steps: 3, cache: { every: 2 } } as const;
  const made = parsePngParameters(await saved(request), "x.png");
  const same = { ...request, guidance: 4, negative: "", threshold: "CLIP", size: 32 };
  const seed = 2n ** 64n - 1n;
  assert.deepEqual(requestOf(made), { prompt: "a star", seed, ...same });
  assert.deepEqual(requestOf(made, { seed: 7n, steps: 9 }), {
    prompt: "a star",
    ...same,
    seed: 7n,
    steps: 9,
  });
  // The share of noise is DDIM's own.
  const { eta: _, ...others } = same;
  assert.deepEqual(requestOf(made, { sampler: "dpm++" }), {
    prompt: "a star",
    seed,
    ...others,
    sampler: "dpm++",
  });
});

Deno.test("parameters that a PNG may lack are those that came later, or need not be", async () => {
  const whole = JSON.parse(await saved({ cache: { every: 2 }, guidanceInterval: [0, 1] }));
  for (const name of Object.keys(whole)) {
    const { [name]: _, ...rest } = whole;
    const parse = () => parsePngParameters(JSON.stringify(rest), "x.png");
    if (["cache", "guidanceInterval"].includes(name)) parse();
    else {assert.throws(parse, {
        name: "MdmError",
        message: /^Cannot read how "x\.png" was made: /,
      });}
  }
  for (const text of ["", "null", "[]", "7", "{}"]) {
    assert.throws(() => parsePngParameters(text, "x.png"), { name: "MdmError" });
  }
});
