import assert from "../assert.ts";
import { MdmError } from "../../src/errors.ts";
import { Gpu, isSoftware, NO_ADAPTER } from "../../src/gpu/device.ts";
import { type BufferRange, Kernel } from "../../src/gpu/kernel.ts";
import { kernels, WORKGROUP } from "../../src/gpu/kernels.ts";
import { Pipelines, Recording } from "../../src/gpu/recording.ts";

/** Every message is one sentence on one line, with what to do after it. */
function isGpuError(error: unknown): true {
  assert.ok(error instanceof MdmError, String(error));
  assert.match(error.message, /^The GPU reports an error: .+\. Run "mdm doctor"\.$/);
  return true;
}

const addition = (a: BufferRange, b: BufferRange, output: BufferRange) => ({
  kernel: kernels.add,
  constants: { WORKGROUP },
  params: { invocations: 1, activation: 0, vectors: 1, repeat: 1 },
  buffers: { a, b, output },
  workgroups: [1, 1, 1] as [number, number, number],
});

Deno.test("a device says what it is, and reads back what was written", async () => {
  using gpu = await Gpu.open();
  assert.notEqual(gpu.info.name, "");
  assert.ok(["software", "gpu"].includes(gpu.info.deviceClass));
  const buffer = gpu.buffer(6, "six bytes");
  assert.equal(buffer.size, 16);
  gpu.device.queue.writeBuffer(buffer, 4, Uint32Array.of(7, 8));
  assert.deepEqual([...new Uint32Array(await gpu.read(buffer))], [0, 7, 8, 0]);
  assert.deepEqual([...new Uint32Array(await gpu.read(buffer, 8, 4))], [8]);
  buffer.destroy();
  await gpu.finish();
  gpu.check();
});

Deno.test("without subgroups none are reported", async () => {
  using gpu = await Gpu.open({ subgroups: false });
  assert.equal(gpu.info.subgroupSize, 0);
});

Deno.test("a copy out of range makes the next finish throw, and every check after it", async () => {
  using gpu = await Gpu.open();
  const [from, to] = [gpu.buffer(16, "from"), gpu.buffer(16, "to")];
  const encoder = gpu.device.createCommandEncoder();
  encoder.copyBufferToBuffer(from, 0, to, 0, 32);
  gpu.device.queue.submit([encoder.finish()]);
  await assert.rejects(gpu.finish(), isGpuError);
  await assert.rejects(gpu.read(to), isGpuError);
  assert.throws(() => gpu.check(), isGpuError);
});

Deno.test("a write out of range makes the next read throw", async () => {
  using gpu = await Gpu.open();
  const buffer = gpu.buffer(16, "small");
  gpu.device.queue.writeBuffer(buffer, 0, new Uint32Array(8));
  await assert.rejects(gpu.read(buffer), isGpuError);
});

Deno.test("a read out of range throws", async () => {
  using gpu = await Gpu.open();
  await assert.rejects(gpu.read(gpu.buffer(16, "small"), 0, 64), isGpuError);
});

Deno.test("a range that cannot be bound makes the next finish throw", async () => {
  using gpu = await Gpu.open();
  using pipelines = new Pipelines(gpu);
  const buffer = gpu.buffer(1024, "good");
  const range = (offset: number) => ({ buffer, offset, bytes: 256 });
  const over = { buffer, offset: 768, bytes: 512 };
  using recording = await Recording.make(pipelines, [addition(range(0), range(256), over)]);
  recording.submit();
  await assert.rejects(gpu.finish(), isGpuError);
});

Deno.test("a buffer made for something else cannot be bound", async () => {
  using gpu = await Gpu.open();
  using pipelines = new Pipelines(gpu);
  const good = gpu.buffer(256, "good");
  const wrong = gpu.device.createBuffer({ size: 256, usage: GPUBufferUsage.COPY_DST });
  const [a, b, output] = [good, wrong, gpu.buffer(256, "output")]
    .map((buffer) => ({ buffer, offset: 0, bytes: 256 }));
  using recording = await Recording.make(pipelines, [addition(a!, b!, output!)]);
  recording.submit();
  await assert.rejects(gpu.read(output!.buffer), isGpuError);
});

Deno.test("a buffer name the kernel does not have is a mistake of ours", async () => {
  using gpu = await Gpu.open();
  using pipelines = new Pipelines(gpu);
  const range = { buffer: gpu.buffer(256, "good"), offset: 0, bytes: 256 };
  const call = addition(range, range, range);
  await assert.rejects(
    Recording.make(pipelines, [{ ...call, buffers: { ...call.buffers, c: range } }]),
    new Error('Kernel "add" has no buffer "c"'),
  );
});

Deno.test("a shader that does not compile is named, and leaves nothing behind", async () => {
  using gpu = await Gpu.open();
  using pipelines = new Pipelines(gpu);
  const broken = new Kernel("broken", "struct Params { n: u32 }\n@compute fn main() { nonsense }");
  await assert.rejects(pipelines.get(broken, {}), (error: unknown) => {
    assert.ok(error instanceof MdmError);
    assert.match(
      error.message,
      /^The GPU refuses the shader "broken" \(\{\}\): .+\. Run "mdm doctor"\.$/,
    );
    return true;
  });
  assert.equal(pipelines.count, 0);
  await gpu.finish();
});

Deno.test("each variant is compiled once", async () => {
  using gpu = await Gpu.open();
  using pipelines = new Pipelines(gpu);
  const one = await pipelines.get(kernels.add, { WORKGROUP });
  assert.equal(await pipelines.get(kernels.add, { WORKGROUP }), one);
  assert.notEqual(await pipelines.get(kernels.add, { WORKGROUP: 32 }), one);
  assert.equal(pipelines.count, 2);
});

Deno.test("a buffer over the limit is refused before it is made", async () => {
  using gpu = await Gpu.open();
  const bytes = gpu.limits.maxBufferSize + 4;
  assert.throws(
    () => gpu.buffer(bytes, "activations"),
    new MdmError(
      `The GPU cannot hold activations: it needs ${bytes} bytes in one buffer and the limit is ${gpu.limits.maxBufferSize}. Use a smaller batch.`,
    ),
  );
});

Deno.test("no adapter, or one without a device, is said with what to do", async () => {
  const { requestAdapter } = navigator.gpu;
  try {
    navigator.gpu.requestAdapter = () => Promise.resolve(null);
    await assert.rejects(Gpu.open(), new MdmError(NO_ADAPTER));
    assert.match(NO_ADAPTER, /^No WebGPU adapter was found\. Install .+\.$/);
    const adapter = {
      features: new Set(),
      limits: {},
      info: { description: "Toy" },
      requestDevice: () => Promise.reject(new Error("out of\n  memory.")),
    } as unknown as GPUAdapter;
    navigator.gpu.requestAdapter = () => Promise.resolve(adapter);
    await assert.rejects(
      Gpu.open(),
      new MdmError('The adapter "Toy" gives no device (out of memory). Run "mdm doctor".'),
    );
  } finally {
    navigator.gpu.requestAdapter = requestAdapter;
  }
});

Deno.test("software adapters are known by name where they do not say so", () => {
  const info = (description: string, isFallbackAdapter = false) =>
    isSoftware({ description, isFallbackAdapter } as GPUAdapterInfo);
  assert.ok(info("llvmpipe (LLVM 15.0.6, 256 bits)"));
  assert.ok(info("SwiftShader Device (Subzero)"));
  assert.ok(info("Microsoft Basic Render Driver"));
  assert.ok(info("anything", true));
  assert.ok(!info("NVIDIA H100 80GB HBM3"));
});
