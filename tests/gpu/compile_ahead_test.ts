import assert from "../assert.ts";
import { compileAhead } from "../../src/gpu/compile_ahead.ts";
import { Gpu } from "../../src/gpu/device.ts";
import { Kernel } from "../../src/gpu/kernel.ts";
import { kernels, WORKGROUP } from "../../src/gpu/kernels.ts";
import { pipelineKey, Pipelines, Recording } from "../../src/gpu/recording.ts";
import probe from "../../shaders/compile_probe.wgsl" with { type: "text" };

const ADDITION = {
  kernel: kernels.add,
  constants: { WORKGROUP },
  params: { invocations: 64, activation: 0, vectors: 1, repeat: 1 },
};

Deno.test("what is compiled ahead is what is used after, once each, and nothing runs", async () => {
  using gpu = await Gpu.open();
  using pipelines = new Pipelines(gpu);
  const normalisation = {
    kernel: kernels.layerNorm,
    constants: { WORKGROUP },
    params: Object.fromEntries(kernels.layerNorm.params.map(({ name }) => [name, 1])),
  };
  await compileAhead(pipelines, [ADDITION, normalisation, { ...ADDITION }]);
  assert.equal(pipelines.count, 2);
  assert.ok(pipelines.has(pipelineKey(ADDITION)));
  const { pipeline } = await pipelines.get(ADDITION.kernel, ADDITION.constants);

  await compileAhead(pipelines, [normalisation, ADDITION]);
  assert.equal(pipelines.count, 2);
  assert.equal((await pipelines.get(ADDITION.kernel, ADDITION.constants)).pipeline, pipeline);
  await gpu.finish();
  for (const slot of [1, 2, 3]) {
    const bytes = new Uint8Array(await gpu.read(pipelines.unused(slot)));
    assert.ok(bytes.every((byte) => byte === 0), `binding ${slot}`);
  }
});

Deno.test("a driver that compiles at the first dispatch has nothing left to do at the next", async () => {
  using gpu = await Gpu.open();
  if (gpu.info.deviceClass !== "software") return;
  using pipelines = new Pipelines(gpu);
  // No driver has seen it.
  const call = {
    kernel: new Kernel("compile_probe", probe),
    constants: { SALT: crypto.getRandomValues(new Uint32Array(1))[0]! },
    params: { factor: 1 },
  };
  const finished = async () => {
    const began = performance.now();
    await gpu.finish();
    return performance.now() - began;
  };
  await compileAhead(pipelines, [call]);
  const compiling = await finished();
  using recording = await Recording.make(pipelines, [{
    ...call,
    buffers: {},
    workgroups: [1, 1, 1],
  }]);
  recording.submit();
  const running = await finished();
  assert.ok(running < compiling / 2, `${running} ms after ${compiling} ms`);
});

Deno.test("a shader that is refused is named, and what was compiled before stays", async () => {
  using gpu = await Gpu.open();
  using pipelines = new Pipelines(gpu);
  const broken = {
    kernel: new Kernel("broken", "struct Params {\n  n: u32,\n}\nfn main() { nonsense; }"),
    constants: {},
    params: { n: 1 },
  };
  await assert.rejects(compileAhead(pipelines, [ADDITION, broken]), {
    name: "MdmError",
    message: /^The GPU refuses the shader "broken" .* Run "mdm doctor"\.$/,
  });
  assert.equal(pipelines.count, 1);
  await compileAhead(pipelines, [ADDITION]);
  await gpu.finish();
  gpu.check();
});
