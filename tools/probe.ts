/**
 * Says nothing where a WebGPU adapter computes, else exits with 1: an adapter that is there need not
 * compute (an OpenGL driver may have no compute shaders). A process of its own, because one that has
 * found no driver does not look again, and without the permissions of the setup.
 */

import { Gpu } from "../src/gpu/device.ts";

const ANSWER = 42;

async function computes(): Promise<boolean> {
  using gpu = await Gpu.open();
  const { device } = gpu;
  const module = device.createShaderModule({
    code: `@group(0) @binding(0) var<storage, read_write> answer: u32;
      @compute @workgroup_size(1) fn main() { answer = ${ANSWER}; }`,
  });
  const pipeline = device.createComputePipeline({ layout: "auto", compute: { module } });
  const buffer = gpu.buffer(4, "the answer");
  const encoder = device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  pass.setPipeline(pipeline);
  pass.setBindGroup(
    0,
    device.createBindGroup({
      layout: pipeline.getBindGroupLayout(0),
      entries: [{ binding: 0, resource: { buffer } }],
    }),
  );
  pass.dispatchWorkgroups(1);
  pass.end();
  device.queue.submit([encoder.finish()]);
  return new Uint32Array(await gpu.read(buffer, 0, 4))[0] === ANSWER;
}

if (!await computes().catch(() => false)) {
  console.error('No WebGPU adapter works on this machine; "deno task mdm doctor" says more.');
  Deno.exitCode = 1;
}
