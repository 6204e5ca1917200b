import { MdmError } from "../errors.ts";
import type { ConvAlgorithm, TunedConvs } from "./conv_choice.ts";
import type { DeviceClass, GpuInfo } from "./device.ts";

/**
 * What kernels are chosen by. It never changes: weights are packed as its kernels read them, so it belongs to them (`Weights`), and a
 * device may run models with different ones.
 */
export interface KernelPolicy {
  readonly deviceClass: DeviceClass;
  /** Lanes of a subgroup if subgroup operations work and the size is fixed, else 0. */
  readonly subgroupSize: number;
  /** The convolution algorithm that is used wherever it can be; absent: the fastest. */
  readonly convAlgorithm?: ConvAlgorithm;
  /** Whether kernels are chosen that need less memory for weights, though they are slower. */
  readonly compact?: boolean;
  /** What was measured to be the fastest on the device. */
  readonly tuned?: TunedConvs;
}

/**
 * The fastest kernels of an adapter, as they were measured.
 *
 * @example
 * ```ts
 * function isFor(adapter: string, tuned: TunedKernels): boolean {
 *   return tuned.adapter === adapter;
 * }
 * ```
 */
export interface TunedKernels {
  /** The adapter as its driver names it. */
  readonly adapter: string;
  readonly convolutions: TunedConvs;
}

/**
 * What may be asked of {@linkcode kernelPolicy}.
 *
 * @example
 * ```ts
 * const options: KernelOptions = { convAlgorithm: "winograd" };
 * ```
 */
export interface KernelOptions {
  /** Kernels are chosen as for this class of device instead of the adapter's own: for tests of all of them. */
  readonly deviceClass?: DeviceClass;
  /** Forces a convolution algorithm wherever it can be used. */
  readonly convAlgorithm?: ConvAlgorithm;
  /** Kernels that were measured on this adapter. */
  readonly tuned?: TunedKernels;
}

/**
 * The policy for a device.
 *
 * @throws {MdmError} When the tuned kernels are another adapter's.
 */
export function kernelPolicy(
  { name, deviceClass, subgroupSize }: Pick<GpuInfo, "name" | "deviceClass" | "subgroupSize">,
  { tuned, convAlgorithm, ...options }: KernelOptions = {},
): KernelPolicy {
  if (tuned !== undefined && tuned.adapter !== name) {
    throw new MdmError(
      `The tuned kernels were measured on ${
        JSON.stringify(tuned.adapter)
      }, and this is "${name}". Run "mdm tune" here.`,
    );
  }
  return {
    deviceClass: options.deviceClass ?? deviceClass,
    subgroupSize,
    ...convAlgorithm && { convAlgorithm },
    ...tuned && { tuned: tuned.convolutions },
  };
}
