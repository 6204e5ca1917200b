import type { GpuInfo } from "../../gpu/device.ts";
import { type KernelOptions, type KernelPolicy, kernelPolicy } from "../../gpu/kernel_policy.ts";
import { PRODUCTS, usesWinograd } from "../../gpu/winograd.ts";
import type { Network } from "../../model/network.ts";

/** The share of a machine's memory that weights may take in the form that the fastest kernels read. */
const SHARE = 0.25;

/**
 * The kernel policy for a model on a device.
 *
 * It is compact if the fast form of the model's weights, which takes up to eight times the space of 16 bits, would take too much of the
 * memory of a software adapter, which is the machine's. That depends on how much memory there is, not on how much is free, so that
 * images keep their bits.
 *
 * @param memory Bytes of the machine; null: not known.
 * @throws {MdmError} When the tuned kernels are another adapter's.
 */
export function modelPolicy(
  info: GpuInfo,
  network: Pick<Network, "parameters">,
  options: KernelOptions = {},
  memory: number | null = machineMemory(),
): KernelPolicy {
  const policy = kernelPolicy(info, options);
  if (policy.deviceClass !== "software" || memory === null) return policy;
  return transformedBytes(policy, network) > memory * SHARE ? { ...policy, compact: true } : policy;
}

/** Bytes of the weights that a policy has transformed for Winograd's algorithm, if images are large enough. */
function transformedBytes(
  policy: KernelPolicy,
  { parameters }: Pick<Network, "parameters">,
): number {
  let bytes = 0;
  for (const { shape } of parameters.values()) {
    const [outputs = 0, inputs = 0, ...kernel] = shape;
    const taken = kernel.length === 2 &&
      usesWinograd(policy, {
        kernel: kernel as [number, number],
        stride: [1, 1],
        pixels: Infinity,
        inputs,
        outputs,
      });
    if (taken) bytes += outputs * inputs * PRODUCTS * 4;
  }
  return bytes;
}

/** Bytes of memory of this machine, null if the system does not say. */
function machineMemory(): number | null {
  try {
    const kibibytes = /^MemTotal:\s*(\d+) kB$/m.exec(Deno.readTextFileSync("/proc/meminfo"))?.[1];
    return kibibytes === undefined ? null : Number(kibibytes) * 1024;
  } catch {
    return null;
  }
}
