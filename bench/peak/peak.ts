/** Measures how fast the adapter multiplies and adds when nothing else is to do; prints a JSON document. */
import { MdmError } from "../../src/errors.ts";
import { Gpu } from "../../src/gpu/device.ts";
import { Kernel } from "../../src/gpu/kernel.ts";
import { Pipelines, Recording } from "../../src/gpu/recording.ts";
import source from "./peak.wgsl" with { type: "text" };

const kernel = new Kernel("peak", source);

/** Vectors an invocation that are tried: how many keep a device busy differs. */
const CHAINS = [1, 2, 3, 4, 6, 8];

/** Of the shader: invocations of a workgroup, numbers of a vector, steps of a round, operations of a step. */
const [WORKGROUP, VECTOR, STEPS, OPERATIONS] = [64, 4, 8, 2];

/** Enough for every core of a large GPU. */
const WORKGROUPS = 4096;

const MOST_LOOPS = 1 << 24;

/** A measurement takes at least as long: waiting for it takes up to 11 ms more in Deno. */
const TARGET_MS = 300;
const RUNS = 3;

/** The best of all variants, in operations a second. */
async function measurePeak(gpu: Gpu): Promise<number> {
  using pipelines = new Pipelines(gpu);
  let best = 0;
  for (const chains of CHAINS) {
    let loops = 64;
    let ms = await timed(pipelines, chains, loops);
    while (ms < TARGET_MS && loops < MOST_LOOPS) {
      loops *= 2;
      ms = await timed(pipelines, chains, loops);
    }
    // The fastest counts: whatever else the machine does only takes away from a peak.
    for (let i = 1; i < RUNS; i++) ms = Math.min(ms, await timed(pipelines, chains, loops));
    const operations = WORKGROUPS * WORKGROUP * VECTOR * STEPS * OPERATIONS * chains * loops;
    best = Math.max(best, operations / ms * 1000);
  }
  return best;
}

/** The milliseconds of one call. */
async function timed(pipelines: Pipelines, chains: number, loops: number): Promise<number> {
  const { gpu } = pipelines;
  const bytes = WORKGROUPS * WORKGROUP * VECTOR * 4;
  const output = gpu.buffer(bytes, "peak");
  try {
    using recording = await Recording.make(pipelines, [{
      kernel,
      constants: { CHAINS: chains },
      params: { loops },
      buffers: { output: { buffer: output, offset: 0, bytes } },
      workgroups: [WORKGROUPS, 1, 1],
    }]);
    const began = performance.now();
    recording.submit();
    await gpu.finish();
    const ms = performance.now() - began;
    const [first] = new Float32Array(await gpu.read(output, 0, 4));
    if (!(Math.abs(first! - chains) < 0.01 * chains)) {
      throw new MdmError(`The adapter computes ${first} where ${chains} is right.`);
    }
    return ms;
  } finally {
    output.destroy();
  }
}

if (import.meta.main) {
  using gpu = await Gpu.open();
  console.log(JSON.stringify({ flops: await measurePeak(gpu) }));
}
