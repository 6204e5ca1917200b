import assert from "../assert.ts";
import { Safetensors } from "../../src/checkpoint/safetensors.ts";
import { CONV_ALGORITHMS } from "../../src/gpu/conv_choice.ts";
import { Gpu } from "../../src/gpu/device.ts";
import { type KernelOptions, kernelPolicy } from "../../src/gpu/kernel_policy.ts";
import { Pipelines } from "../../src/gpu/recording.ts";
import { Weights } from "../../src/gpu/weights.ts";
import { ModelSource } from "../../src/pipeline/models/model_source.ts";
import { verifyForward } from "../../src/verify/forward.ts";
import { verifySampling } from "../../src/verify/sampling.ts";
import { assertPassed, FOLDERS, FORWARD_TOLERANCE } from "./recorded.ts";

/** The issue allows 1e-3. Measured: 4.3e-6, so this catches what would still look right. */
const SAMPLING_TOLERANCE = 3e-5;

/** All that software and GPUs get, and every convolution algorithm wherever it can be used. */
const CHOICES: KernelOptions[] = [
  { deviceClass: "software" },
  { deviceClass: "gpu" },
  ...CONV_ALGORITHMS.map((convAlgorithm) => ({ convAlgorithm })),
];

for (const choice of CHOICES) {
  Deno.test(`the model agrees with the reference (${JSON.stringify(choice)})`, async (t) => {
    using gpu = await Gpu.open();
    const policy = kernelPolicy(gpu.info, choice);
    using pipelines = new Pipelines(gpu);
    for (const folder of FOLDERS) {
      using model = await ModelSource.open(folder);
      using weights = new Weights(gpu, model.file, policy);
      const runnable = { network: model.network, pipelines, weights };
      // Those of software: tests/model/forward_test.ts.
      if (choice.deviceClass !== "software") {
        await t.step(`${folder}: forward`, async () => {
          using recorded = await Safetensors.open(`${folder}/forward.safetensors`);
          assertPassed(await verifyForward(runnable, recorded, FORWARD_TOLERANCE));
        });
      }
      for (const name of sampleNames(folder)) {
        await t.step(`${folder}: ${name}`, async () => {
          assertPassed(await verifySampling(runnable, folder, name, SAMPLING_TOLERANCE));
        });
      }
    }
  });
}

Deno.test("shapes32 samples what the reference samples", async () => {
  using gpu = await Gpu.open();
  using pipelines = new Pipelines(gpu);
  using model = await ModelSource.open("weights/shapes32");
  using weights = new Weights(gpu, model.file);
  const runnable = { network: model.network, pipelines, weights };
  const folder = "tests/fixtures/golden/shapes32";
  assertPassed(await verifySampling(runnable, folder, "sample_ddim_cfg", SAMPLING_TOLERANCE));
});

Deno.test("one changed weight is noticed", async () => {
  const folder = "tests/fixtures/golden/unet_class";
  using gpu = await Gpu.open();
  using pipelines = new Pipelines(gpu);
  using model = await ModelSource.open(folder);
  const name = "mid_blocks.0.attn.0.ffn.3.weight";
  using weights = new Weights(gpu, {
    readFloat32: async (tensor) => {
      const data = await model.file.readFloat32(tensor);
      if (tensor === name) data[data.length - 1]! += 0.5;
      return data;
    },
  });
  using recorded = await Safetensors.open(`${folder}/forward.safetensors`);
  const runnable = { network: model.network, pipelines, weights };
  const [out] = await verifyForward(runnable, recorded, 1e-4);
  assert.equal(out!.passed, false);
});

function sampleNames(folder: string): string[] {
  return [...Deno.readDirSync(folder)]
    .map(({ name }) => /^(sample_.*)\.json$/.exec(name)?.[1])
    .filter((name) => name !== undefined)
    .sort();
}
