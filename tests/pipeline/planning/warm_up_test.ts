import assert from "../../assert.ts";
import { Gpu } from "../../../src/gpu/device.ts";
import { pipelineKey, Pipelines } from "../../../src/gpu/recording.ts";
import { builtInEncoder, builtInModel } from "../../../src/pipeline/models/built_in.ts";
import type { KernelPolicy } from "../../../src/gpu/kernel_policy.ts";
import { estimate } from "../../../src/pipeline/planning/estimate.ts";
import { ModelSource } from "../../../src/pipeline/models/model_source.ts";
import {
  type GenerateRequest,
  resolveRequest,
  sessionShape,
} from "../../../src/pipeline/request.ts";
import { callsToCompile, compileAll } from "../../../src/pipeline/planning/warm_up.ts";
import { openT5 } from "../../../src/text/t5_files.ts";
import { TextEncoder } from "../../../src/text/text_encoder.ts";

const SHAPES32 = "weights/shapes32";
const SOFTWARE: KernelPolicy = { deviceClass: "software", subgroupSize: 8 };

Deno.test("every request's pipelines are among those that are compiled", async (t) => {
  using shapes32 = await ModelSource.open(SHAPES32);
  using encoder = await openT5(shapes32.text!.encoder);
  const models = [
    { model: shapes32, encoder },
    { model: builtInModel("cc12m_64x64"), encoder: builtInEncoder() },
  ];
  const requests: [Partial<GenerateRequest>, { slots: number; tokens: number }][] = [
    [{}, { slots: 1, tokens: 5 }],
    [{ guidance: 1, sampler: "ddpm" }, { slots: 3, tokens: 30 }],
    [{ sampler: "ddim", eta: 0.5, threshold: "DYNAMIC" }, { slots: 4, tokens: 17 }],
    [{ threshold: "DYNAMIC_IF", guidance: 9 }, { slots: 2, tokens: 1 }],
    [{ guidanceInterval: [0.2, 0.7] }, { slots: 2, tokens: 7 }],
  ];
  const cached: typeof requests = [
    [{ cache: { every: 3 }, guidanceInterval: [0.2, 0.7] }, { slots: 2, tokens: 7 }],
    [{ cache: { error: 0.1 } }, { slots: 1, tokens: 7 }],
  ];
  for (const gpu of [SOFTWARE, { deviceClass: "gpu", subgroupSize: 0 } as const]) {
    for (const { model, encoder } of models) {
      await t.step(`${model.path} on ${gpu.deviceClass}`, () => {
        const keys = callsToCompile(model, encoder, gpu).map(pipelineKey);
        const compiled = new Set(keys);
        assert.equal(compiled.size, keys.length);
        const asked = model.config.kind === "unet" ? requests : [...requests, ...cached];
        for (const [request, size] of asked) {
          const resolved = resolveRequest(
            { prompt: "", ...request },
            model.config,
            model.diffusion,
          );
          const shape = sessionShape(resolved, model, size);
          const { plans } = estimate(model, encoder, shape, gpu);
          for (const plan of Object.values(plans).flat()) {
            const missing = new Set(plan!.calls.map(pipelineKey)).difference(compiled);
            assert.deepEqual([...missing], []);
          }
        }
      });
    }
  }
});

Deno.test("another size takes other pipelines, and one that cannot be is refused", () => {
  const model = builtInModel("cc12m_64x64");
  const keys = (size?: number) =>
    new Set(callsToCompile(model, null, SOFTWARE, size).map(pipelineKey));
  assert.notDeepEqual(keys(32), keys());
  assert.deepEqual(keys(64), keys());
  assert.throws(() => keys(33), { name: "UsageError" });
});

Deno.test("what was compiled is not compiled again when texts are encoded", async () => {
  using gpu = await Gpu.open();
  using pipelines = new Pipelines(gpu);
  using model = await ModelSource.open(SHAPES32);
  using files = await openT5(model.text!.encoder);
  const calls = callsToCompile(model, files, gpu.info);
  assert.deepEqual(
    await Array.fromAsync(compileAll(pipelines, calls)),
    calls.map((_, i) => i + 1),
  );
  const { count } = pipelines;
  assert.equal(count, calls.length);
  using encoder = await TextEncoder.open(model.text!.encoder, pipelines);
  await encoder.encode([[3, 8, 1], Array.from({ length: 20 }, () => 8)]);
  assert.equal(pipelines.count, count);
});
