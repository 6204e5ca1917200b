import type { Gpu } from "../../gpu/device.ts";
import { PRODUCTS, usesWinograd } from "../../gpu/winograd.ts";
import type { Network } from "../../model/network.ts";

/** The share of a machine's memory that weights may take in the form that is computed with fastest. */
const SHARE = 0.25;

/**
 * Makes the kernels compact where the fast form of a model's weights, which takes up to eight times the space of 16 bits, would take too
 * much of the memory of a software adapter, which is the machine's. It hangs on how much memory there is, not on how much is free, so
 * that pictures keep their bits.
 *
 * @param memory Bytes of the machine; null: not known.
 */
export function compactWhereLarge(
  gpu: Pick<Gpu, "info" | "compact">,
  { parameters }: Pick<Network, "parameters">,
  memory: number | null = machineMemory(),
): void {
  if (gpu.info.deviceClass !== "software" || memory === null) return;
  let bytes = 0;
  for (const { shape } of parameters.values()) {
    const [outputs = 0, inputs = 0, ...kernel] = shape;
    const taken = kernel.length === 2 &&
      usesWinograd(gpu.info, {
        kernel: kernel as [number, number],
        stride: [1, 1],
        pixels: Infinity,
        inputs,
        outputs,
      });
    if (taken) bytes += outputs * inputs * PRODUCTS * 4;
  }
  if (bytes > memory * SHARE) gpu.compact();
}

/** Bytes of memory of this machine, null where that is not told. */
function machineMemory(): number | null {
  try {
    const kibibytes = /^MemTotal:\s*(\d+) kB$/m.exec(Deno.readTextFileSync("/proc/meminfo"))?.[1];
    return kibibytes === undefined ? null : Number(kibibytes) * 1024;
  } catch {
    return null;
  }
}
