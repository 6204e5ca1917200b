import assert from "../../assert.ts";
import type { Gpu, GpuInfo } from "../../../src/gpu/device.ts";
import { plan } from "../../../src/graph/plan.ts";
import { sessionGraphs } from "../../../src/diffusion/session_graphs.ts";
import { weightBytes } from "../../../src/gpu/weights.ts";
import { builtInModel, type DescribedModel } from "../../../src/pipeline/models/built_in.ts";
import { modelPolicy } from "../../../src/pipeline/planning/compact.ts";
import { ModelSource } from "../../../src/pipeline/models/model_source.ts";
import { fitBatch } from "../../../src/pipeline/planning/fit_batch.ts";
import { resolveRequest, sessionShape } from "../../../src/pipeline/request.ts";

const SOFTWARE = { deviceClass: "software", subgroupSize: 8 } as const;

/** Whether kernels are made compact for a model on a machine. */
function isCompact(
  { network }: DescribedModel,
  memory: number | null,
  info: Pick<GpuInfo, "deviceClass" | "subgroupSize"> = SOFTWARE,
): boolean {
  return modelPolicy(info as GpuInfo, network, {}, memory).compact === true;
}

Deno.test("kernels are compact where the fast form of weights takes much of a machine's memory", async () => {
  const large = builtInModel("cc12m_64x64");
  using small = await ModelSource.open("weights/shapes32");
  assert.equal(isCompact(large, 24 * 2 ** 30), false);
  assert.equal(isCompact(large, 4 * 2 ** 30), true);
  assert.equal(isCompact(small, 2 ** 30), false);
  assert.equal(isCompact(large, null), false);
  assert.equal(isCompact(large, 4 * 2 ** 30, { deviceClass: "gpu", subgroupSize: 32 }), false);
});

Deno.test("compact kernels take no more for weights than the file does", () => {
  const model = builtInModel("cc12m_64x64");
  const resolved = resolveRequest({ prompt: "" }, model.config, model.diffusion);
  const shape = sessionShape(resolved, model, { slots: 1, tokens: 16 });
  const { steps: [step] } = sessionGraphs(model.network, shape);
  const bytes = (compact: boolean) => {
    const target = { policy: { ...SOFTWARE, compact }, isHalf: () => true };
    return weightBytes(plan(step!.graph, target).weights);
  };
  const parameters = [...model.network.parameters.values()]
    .reduce((sum, { shape }) => sum + shape.reduce((product, size) => product * size, 1), 0);
  assert.ok(bytes(true) < 2.05 * parameters);
  assert.ok(bytes(false) > 4 * parameters);
});

Deno.test("a limit of memory makes kernels compact before it refuses", () => {
  const model = builtInModel("cc12m_64x64");
  const resolved = resolveRequest({ prompt: "" }, model.config, model.diffusion);
  const fit = (memory: number, isNew = true) => {
    const limits = {
      maxBufferSize: Infinity,
      maxStorageBufferBindingSize: Infinity,
    } as Gpu["limits"];
    const room = { limits, policy: SOFTWARE, memory, lowMemory: false, isNew };
    return fitBatch(resolved, model, null, room).policy.compact === true;
  };
  assert.equal(fit(4 * 2 ** 30), false);
  assert.equal(fit(2 ** 30), true);
  const refused = { name: "MdmError", message: /^Cannot make a picture of 64x64 in 1\.0 GiB/ };
  assert.throws(() => fit(2 ** 30, false), refused);
  assert.throws(() => fit(2 ** 20), { name: "MdmError", message: /in 1\.0 MiB of the GPU/ });
});
