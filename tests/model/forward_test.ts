import { Safetensors } from "../../src/checkpoint/safetensors.ts";
import { Gpu } from "../../src/gpu/device.ts";
import { kernelPolicy } from "../../src/gpu/kernel_policy.ts";
import { Pipelines } from "../../src/gpu/recording.ts";
import { Weights } from "../../src/gpu/weights.ts";
import { ModelSource } from "../../src/pipeline/models/model_source.ts";
import { verifyForward } from "../../src/verify/forward.ts";
import { assertPassed, FOLDERS, FORWARD_TOLERANCE } from "../verify/recorded.ts";

// Every module's output, by itself: plain, nested and video models. Other kernels and whole runs: tests/verify/golden_test.ts.
for (const folder of FOLDERS) {
  Deno.test(`every module gives what the reference's gives: ${folder}`, async () => {
    using gpu = await Gpu.open();
    using pipelines = new Pipelines(gpu);
    using model = await ModelSource.open(folder);
    const policy = kernelPolicy(gpu.info, { deviceClass: "software" });
    using weights = new Weights(gpu, model.file, policy);
    using recorded = await Safetensors.open(`${folder}/forward.safetensors`);
    const runnable = { network: model.network, pipelines, weights };
    assertPassed(await verifyForward(runnable, recorded, FORWARD_TOLERANCE));
  });
}
