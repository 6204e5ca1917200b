import source from "../../shaders/compile_probe.wgsl" with { type: "text" };
import { Gpu } from "./device.ts";
import { Kernel } from "./kernel.ts";
import { Pipelines, Recording } from "./recording.ts";

const PROBE = new Kernel("compile_probe", source);

/** Milliseconds below which compiling cannot be told apart from reading a cache. */
const SHORTEST = 40;

/** What is found again is there in a tenth of the time; machines that do other work need a margin. */
const SPEEDUP = 3;

/**
 * Whether the driver keeps what it compiles in a file, for later processes. Whether it does depends on variables of the environment
 * that we may not read, so it is tried: a shader that was never seen is compiled, and then compiled on other devices.
 *
 * @returns null if that cannot be measured: drivers of GPUs compile fast, and keep shaders in memory as well.
 * @throws {MdmError} When there is no device, or it refuses the shader.
 */
export async function keepsCompiled(): Promise<boolean | null> {
  const salt = crypto.getRandomValues(new Uint32Array(1))[0]!;
  const first = await compileTime(salt);
  if (first === null || first < SHORTEST) return null;
  for (let attempt = 0; attempt < 2; attempt++) {
    const again = await compileTime(salt);
    if (again !== null && again < first / SPEEDUP) return true;
  }
  return false;
}

/** Milliseconds that a new device takes to compile the probe; null on a GPU. */
async function compileTime(salt: number): Promise<number | null> {
  using gpu = await Gpu.open();
  if (gpu.info.deviceClass !== "software") return null;
  using pipelines = new Pipelines(gpu);
  const call = { kernel: PROBE, constants: { SALT: salt }, params: { factor: 1 }, buffers: {} };
  // Over no workgroups: as for compileAhead, it is the first dispatch that compiles.
  using recording = await Recording.make(pipelines, [{ ...call, workgroups: [0, 0, 0] }]);
  const began = performance.now();
  recording.submit();
  await gpu.finish();
  return performance.now() - began;
}
