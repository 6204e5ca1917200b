import assert from "../assert.ts";
import {
  type GeneratedImage,
  type GenerateEvent,
  Pipeline,
  type Stage,
} from "../../src/pipeline/pipeline.ts";
import { ModelSource } from "../../src/pipeline/models/model_source.ts";
import { type GenerateRequest, resolveRequest } from "../../src/pipeline/request.ts";

const MODEL = "weights/shapes32";
const PROMPT = "a red circle on a blue background";

/** Small images of three steps, but for what is given. */
async function images(pipeline: Pipeline, request: GenerateRequest): Promise<GeneratedImage[]> {
  const made: GeneratedImage[] = [];
  for await (const event of pipeline.generate({ steps: 3, size: 16, ...request })) {
    if (event.kind === "image") made.push(event.image);
  }
  return made;
}

Deno.test("requests that cannot be are refused before anything runs", async (t) => {
  await using pipeline = await Pipeline.load(MODEL);
  const cases: [Partial<GenerateRequest>, RegExp][] = [
    [{ prompt: [] }, /^No prompt was given/],
    [{ count: 0 }, /^Cannot use count 0: give a whole number from 1/],
    [{ steps: 0 }, /^Cannot use steps 0/],
    [{ steps: 1001 }, /^Cannot sample in 1001 steps/],
    [{ seed: -1 }, /^Cannot use seed -1/],
    [{ guidance: NaN }, /^Cannot use guidance NaN/],
    [
      { guidanceInterval: [0.8, 0.2] },
      /^Cannot use guidanceInterval \[0\.8, 0\.2\]: give two numbers/,
    ],
    [{ size: 33 }, /^The model cannot make pictures of size 33: give a multiple of 8/],
    [{ eta: 0.5 }, /^Sampler "dpm\+\+" has no eta/],
    [{ sampler: "ddim", eta: 2 }, /^Cannot use eta 2: give a number from 0 to 1\.$/],
    [{ cache: { every: 0 } }, /^Cannot use cache 0: give a whole number from 1/],
    [{ cache: { error: -1 } }, /^Cannot use cache error -1: give a number of at least 0\.$/],
    [{ cache: { error: NaN } }, /^Cannot use cache error NaN/],
    [{ batch: 0 }, /^Cannot use batch 0/],
  ];
  for (const [request, message] of cases) {
    await t.step(String(message), () => {
      assert.throws(() => pipeline.resolve({ prompt: PROMPT, ...request }), {
        name: "UsageError",
        message,
      });
    });
  }
  await t.step("a cache of a model that is a single UNet", async () => {
    const { diffusion } = pipeline.folder;
    using single = await ModelSource.open("tests/fixtures/golden/unet_class");
    const request = { prompt: PROMPT, size: 16, cache: { every: 2 } };
    assert.throws(() => resolveRequest(request, single.config, diffusion), {
      name: "UsageError",
      message: "The model is a single UNet with none inside to cache: leave out the cache.",
    });
    assert.equal(resolveRequest({ prompt: PROMPT, size: 16 }, single.config, diffusion).size, 16);
  });
});

Deno.test("one run at a time: another is refused until it is over", async () => {
  await using pipeline = await Pipeline.load(MODEL);
  const request = { prompt: PROMPT, steps: 2, seed: 1, size: 16 };
  for await (const _ of pipeline.generate(request)) {
    await assert.rejects(pipeline.generate(request).next(), {
      name: "UsageError",
      message:
        "The pipeline is making other images: wait until they are done, or load another pipeline.",
    });
    break;
  }
  const [made] = await images(pipeline, request);
  // What was resolved is made as what was asked for.
  for await (const event of pipeline.run(pipeline.resolve(request))) {
    if (event.kind === "image") assert.deepEqual(event.image, made);
  }
});

Deno.test("events come in order: cut prompts, every step, then images", async () => {
  await using pipeline = await Pipeline.load(MODEL);
  const long = "a red circle ".repeat(20);
  const events: GenerateEvent[] = [];
  for await (
    const event of pipeline.generate({ prompt: long, count: 2, steps: 2, batch: 1, seed: 0 })
  ) {
    events.push(event);
  }
  assert.deepEqual(
    events.map((e) => e.kind === "progress" ? `${e.step}/${e.steps}` : e.kind),
    ["truncated", "1/4", "2/4", "image", "3/4", "4/4", "image"],
  );
  const [cut] = events;
  assert.ok(cut?.kind === "truncated");
  assert.deepEqual(cut.truncation, { prompt: long, tokens: 61, limit: 32 });
  // The next request has to hear of it as well, though the prompt is known by now; so of a negative one.
  const again: GenerateEvent[] = [];
  for await (const event of pipeline.generate({ prompt: "a ring", negative: long, steps: 1 })) {
    again.push(event);
  }
  assert.deepEqual(again[0], { ...cut, truncation: { ...cut.truncation, negative: true } });
});

Deno.test("where memory is low prompts are encoded once and all together", async () => {
  const stages: Stage[] = [];
  await using pipeline = await Pipeline.load(MODEL, {
    lowMemory: true,
    onStage: (stage) => stages.push(stage),
  });
  stages.length = 0;
  const prompt = ["a ring", "a star"];
  const made = await images(pipeline, { prompt, steps: 1, seed: 1, batch: 1 });
  assert.deepEqual(made.map((image) => image.prompt), prompt);
  assert.deepEqual(stages, [
    "text",
    ...["weights", "sampling", "reading"],
    ...["weights", "sampling", "reading"],
  ]);
});

Deno.test("an image does not depend on what is made together with it", async (t) => {
  await using pipeline = await Pipeline.load(MODEL);
  const prompts = [
    PROMPT,
    "a small blue star in the top left on a yellow background",
    "",
    "a ring",
  ];
  // Texts of several lengths, noise at each step, and a threshold over whole images.
  const runs: Omit<GenerateRequest, "prompt">[] = [
    { sampler: "dpm++" },
    { sampler: "ddpm" },
    { sampler: "ddim", eta: 0.5, threshold: "DYNAMIC", guidance: 7 },
    { sampler: "ddim", guidance: 1 },
    { sampler: "ddpm", guidanceInterval: [0.3, 0.7], cache: { every: 2 } },
  ];
  for (const run of runs) {
    await t.step(JSON.stringify(run), async () => {
      const together = await images(pipeline, { ...run, prompt: prompts, seed: 40, batch: 3 });
      for (const [i, prompt] of prompts.entries()) {
        const [alone] = await images(pipeline, { ...run, prompt, seed: 40 + i });
        assert.deepEqual(together[i], { ...alone!, index: i, promptIndex: i });
      }
    });
  }
});

Deno.test("a guidance interval of all steps is none, and one of no step is guidance 1", async () => {
  await using pipeline = await Pipeline.load(MODEL);
  const make = async (request: Partial<GenerateRequest>) => {
    const [made] = await images(pipeline, { prompt: PROMPT, seed: 3, ...request });
    return made!.levels;
  };
  const guided = await make({});
  const unguided = await make({ guidance: 1 });
  assert.deepEqual(await make({ guidanceInterval: [0, 1] }), guided);
  assert.deepEqual(await make({ guidanceInterval: [0.999, 0.9995] }), unguided);
  // The last of three steps is outside, ...
  const early = await make({ guidanceInterval: [0.5, 1] });
  assert.notDeepEqual(early, guided);
  assert.notDeepEqual(early, unguided);
  // ... which guidance 1 at that step alone does as well.
  const plan = pipeline.resolve({ prompt: PROMPT, steps: 3, guidanceInterval: [0.5, 1] }).plan;
  assert.deepEqual(plan.guidances, [4, 4, 1]);
});

Deno.test("a cache that leaves out no step changes nothing", async () => {
  await using pipeline = await Pipeline.load(MODEL);
  const make = async (cache: Partial<GenerateRequest>) => {
    const [made] = await images(pipeline, { prompt: PROMPT, seed: 3, ...cache });
    return made!.levels;
  };
  const ran = await make({});
  assert.deepEqual(await make({ cache: { every: 1 } }), ran);
  assert.deepEqual(await make({ cache: { error: 0 } }), ran);
  const cached = await make({ cache: { every: 2 } });
  cached.forEach((level, i) => assert.notDeepEqual(level, ran[i]));
});

Deno.test("what is measured is of the image's own, so that it is made the same every time", async () => {
  await using pipeline = await Pipeline.load(MODEL);
  const request = { seed: 3, steps: 6, cache: { error: 2 } };
  const prompts = [PROMPT, "a ring"];
  assert.equal(pipeline.resolve({ ...request, prompt: prompts }).batch, 1);
  const together = await images(pipeline, { ...request, prompt: prompts });
  for (const [i, prompt] of prompts.entries()) {
    const [alone] = await images(pipeline, { ...request, prompt, seed: 3 + i });
    assert.deepEqual(alone!.levels, together[i]!.levels);
    const [ran] = await images(pipeline, { prompt, seed: 3 + i, steps: 6 });
    assert.notDeepEqual(alone!.levels, ran!.levels);
  }
});

Deno.test("seeds count up, and each gives another image at every level", async () => {
  await using pipeline = await Pipeline.load(MODEL);
  const request = { prompt: PROMPT, count: 3, seed: 2n ** 64n - 2n, size: 32 };
  const made = await images(pipeline, request);
  assert.deepEqual(made.map(({ seed }) => seed), [2n ** 64n - 2n, 2n ** 64n - 1n, 0n]);
  assert.deepEqual(made[0]!.levels.map(({ width, height }) => [width, height]), [[32, 32], [
    16,
    16,
  ]]);
  for (const level of [0, 1]) {
    assert.notDeepEqual(made[0]!.levels[level], made[1]!.levels[level]);
    assert.notDeepEqual(made[1]!.levels[level], made[2]!.levels[level]);
  }
});

Deno.test("an aborted run stops between two steps, and the pipeline goes on", async () => {
  await using pipeline = await Pipeline.load(MODEL);
  const abort = new AbortController();
  let steps = 0;
  await assert.rejects(async () => {
    for await (
      const event of pipeline.generate({ prompt: PROMPT, steps: 50, signal: abort.signal })
    ) {
      if (event.kind === "progress" && ++steps === 2) abort.abort();
    }
  }, { name: "AbortError" });
  assert.equal(steps, 2);
  assert.equal((await images(pipeline, { prompt: PROMPT, seed: 1 })).length, 1);
});

Deno.test("another size is made where the model can", async () => {
  await using pipeline = await Pipeline.load(MODEL);
  const [image] = await images(pipeline, { prompt: PROMPT, size: 48, seed: 1 });
  assert.deepEqual(image!.levels.map(({ width }) => width), [48, 24]);
});
