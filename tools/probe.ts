/**
 * Says nothing if a WebGPU adapter computes as fast as this machine can, else exits with 1: an adapter that is there need not
 * compute (an OpenGL driver may have no compute shaders), and OpenGL in software is slow. With "any" a slow one will do, and nothing
 * is said. A process of its own, because one that has found no driver does not look again, and without the permissions of the setup.
 */

import { isSoftwareOpenGl } from "../src/gpu/backend.ts";
import { Gpu } from "../src/gpu/device.ts";

const ANSWER = 42;

const NOTHING_WORKS = 'No WebGPU adapter works on this machine; "deno task mdm doctor" says more.';

/** What is wrong with the best adapter; null: nothing. */
async function problem(): Promise<string | null> {
  using gpu = await Gpu.open();
  if (!await computes(gpu)) return NOTHING_WORKS;
  return isSoftwareOpenGl(gpu.info)
    ? "Only OpenGL in software works on this machine, which is about 25 times slower than Vulkan."
    : null;
}

async function computes(gpu: Gpu): Promise<boolean> {
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

const found = await problem().catch(() => NOTHING_WORKS);
const any = Deno.args[0] === "any";
if (found === NOTHING_WORKS || found !== null && !any) {
  if (!any) console.error(found);
  Deno.exitCode = 1;
}
