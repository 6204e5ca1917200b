import assert from "../../assert.ts";
import { estimate, gpuBytes, hostBytes } from "../../../src/pipeline/planning/estimate.ts";
import { Pipeline } from "../../../src/pipeline/pipeline.ts";
import { type GenerateRequest, sessionShape } from "../../../src/pipeline/request.ts";
import { openT5 } from "../../../src/text/t5_files.ts";

const SHAPES32 = "weights/shapes32";
/** Of 32 tokens, as many as the model reads; and of few. */
const PROMPTS = ["a red circle ".repeat(20), "a star"];

async function run(pipeline: Pipeline, request: GenerateRequest): Promise<void> {
  for await (const _ of pipeline.generate({ steps: 2, seed: 1, ...request }));
}

async function estimateOf(pipeline: Pipeline, request: GenerateRequest) {
  using encoder = await openT5(pipeline.folder.text!.encoder);
  const resolved = pipeline.resolve({ steps: 2, ...request });
  const { folder, gpu } = pipeline;
  const slots = Math.min(resolved.batch, resolved.jobs.length);
  const shape = sessionShape(resolved, folder, { slots, tokens: folder.maxTokens });
  return estimate(folder, encoder, shape, gpu.info);
}

/** Whether a prediction is right or little too large. */
function assertPredicts(predicted: number, found: number, name: string): void {
  assert.ok(
    found > 0 && predicted >= found && predicted < 1.01 * found,
    `${name} ${predicted} ${found}`,
  );
}

Deno.test("what is predicted is what a run takes", async (t) => {
  const requests: GenerateRequest[] = [
    { prompt: PROMPTS },
    { prompt: PROMPTS, count: 2, sampler: "ddpm" },
    { prompt: PROMPTS[0]!, guidance: 1, size: 48 },
    { prompt: PROMPTS, guidanceInterval: [0.5, 1] },
    { prompt: PROMPTS, guidanceInterval: [0.5, 1], cache: { every: 2 } },
    { prompt: PROMPTS[0]!, cache: { error: 0.1 } },
  ];
  for (const request of requests) {
    await t.step(JSON.stringify({ ...request, prompt: "" }), async () => {
      await using pipeline = await Pipeline.load(SHAPES32);
      const predicted = await estimateOf(pipeline, request);
      await run(pipeline, request);
      const { weights, run: taken, text } = pipeline.bytes;
      assertPredicts(predicted.bytes.weights, weights, "weights");
      assertPredicts(predicted.bytes.run, taken, "run");
      if (request.prompt === PROMPTS) assertPredicts(predicted.bytes.text, text, "text");
      assert.equal(gpuBytes(predicted, false), gpuBytes(predicted, true) + predicted.bytes.text);
      const info = { deviceClass: "gpu", subgroupSize: 32 } as const;
      assert.ok(hostBytes(predicted, info, false) < 300 << 20);
      const software = { ...info, deviceClass: "software" } as const;
      assert.equal(
        hostBytes(predicted, software, false) - hostBytes(predicted, info, false),
        gpuBytes(predicted, false),
      );
    });
  }
});

Deno.test("a step without guidance is half the work, in memory that is there", async () => {
  await using pipeline = await Pipeline.load(SHAPES32);
  const request = { prompt: PROMPTS };
  const always = await estimateOf(pipeline, request);
  const sometimes = await estimateOf(pipeline, { ...request, guidanceInterval: [0.5, 1] });
  const [guided, unguided] = sometimes.plans.steps;
  assert.deepEqual(always.plans.steps.map(({ flops }) => flops), [guided!.flops]);
  assert.equal(2 * unguided!.flops, guided!.flops);
  assert.deepEqual(sometimes.bytes, always.bytes);
});

Deno.test("a batch is made as small as memory needs, and no smaller", async () => {
  await using pipeline = await Pipeline.load(SHAPES32);
  const request = { prompt: PROMPTS[0]!, count: 7, batch: 7, steps: 2 };
  const bytes = new Map<number, number>();
  for (const batch of [1, 2, 3, 4, 5, 6, 7]) {
    bytes.set(batch, gpuBytes(await estimateOf(pipeline, { ...request, batch }), false));
  }
  for (const [batch, memory] of bytes) {
    await using limited = await Pipeline.load(SHAPES32, { memory });
    assert.equal(limited.resolve(request).batch, batch);
    assert.equal(limited.resolve({ ...request, batch: 2 }).batch, Math.min(batch, 2));
    await using below = await Pipeline.load(SHAPES32, { memory: memory - 1 });
    if (batch > 1) assert.equal(below.resolve(request).batch, batch - 1);
    else {
      assert.throws(() => below.resolve(request), {
        name: "MdmError",
        message:
          /^Cannot make a picture of 32x32 in 9\.\d MiB of the GPU: it takes 9\.\d MiB \(6\.9 MiB of weights, \d\.\d MiB for the picture, [\d.]+ KiB for the text encoder\)\. Use --low-memory, a smaller --size or more --memory\.$/,
      });
    }
  }
});

Deno.test("a run within its memory stays there", async () => {
  await using free = await Pipeline.load(SHAPES32);
  const request = { prompt: PROMPTS, count: 2 };
  const two = gpuBytes(await estimateOf(free, { ...request, batch: 2 }), true);
  await using pipeline = await Pipeline.load(SHAPES32, { memory: two, lowMemory: true });
  let most = 0;
  for await (const _ of pipeline.generate({ ...request, steps: 2, seed: 1 })) {
    const { weights, run, text } = pipeline.bytes;
    assert.equal(text, 0, "the encoder is gone");
    most = Math.max(most, weights + run);
  }
  assert.ok(most <= two && most > 0.99 * two, `${most} of ${two}`);
});

Deno.test("what a GPU cannot bind makes batches smaller too", async () => {
  const { fitBatch } = await import("../../../src/pipeline/planning/fit_batch.ts");
  await using pipeline = await Pipeline.load(SHAPES32);
  const resolved = pipeline.resolve({ prompt: PROMPTS, count: 4, batch: 8, steps: 2 });
  const { largestBinding, largestBuffer } = await estimateOf(pipeline, {
    prompt: PROMPTS,
    batch: 2,
  });
  const { info, limits } = pipeline.gpu;
  const { maxBufferSize, maxStorageBufferBindingSize } = limits;
  const batchIn = (given: object) =>
    fitBatch(resolved, pipeline.folder, null, {
      limits: { maxBufferSize, maxStorageBufferBindingSize, ...given } as typeof limits,
      policy: info,
      memory: undefined,
      lowMemory: false,
      isNew: true,
    }).request.batch;
  assert.equal(batchIn({}), 8);
  assert.equal(batchIn({ maxBufferSize: largestBuffer }), 2);
  assert.equal(batchIn({ maxStorageBufferBindingSize: largestBinding }), 2);
  assert.equal(batchIn({ maxBufferSize: 1 }), 1);
});
