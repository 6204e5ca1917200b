import { MdmError } from "../errors.ts";
import { type Backend, backendOf } from "./backend.ts";
import { prepareDriver } from "./driver.ts";

/** How a device computes: what is fast differs so much that kernels are chosen by it. */
export type DeviceClass = "software" | "gpu";

/**
 * What a device is.
 *
 * @example
 * ```ts
 * function isFast({ deviceClass }: GpuInfo): boolean {
 *   return deviceClass === "gpu";
 * }
 * ```
 */
export interface GpuInfo {
  /** The adapter as its driver names it. */
  readonly name: string;
  readonly deviceClass: DeviceClass;
  /** By which interface of the system it computes. */
  readonly backend: Backend;
  /** Lanes of a subgroup if subgroup operations work and the size is fixed, else 0. */
  readonly subgroupSize: number;
  readonly f16: boolean;
  readonly timestamps: boolean;
}

/**
 * What may be asked of {@link Gpu.open}.
 *
 * @example
 * ```ts
 * const options: GpuOptions = { subgroups: false };
 * ```
 */
export interface GpuOptions {
  /** False keeps kernels from using subgroup operations: for tests and for drivers that have them wrong. */
  readonly subgroups?: boolean;
}

/** A piece of a buffer that goes into another buffer; offsets and size are multiples of four. */
export interface BufferCopy {
  readonly from: GPUBuffer;
  readonly fromOffset: number;
  readonly to: GPUBuffer;
  readonly toOffset: number;
  readonly bytes: number;
}

/** Said wherever no adapter is found; `mdm doctor` and the setup task say the same. */
export const NO_ADAPTER =
  `No WebGPU adapter was found. Install a Vulkan driver: "deno task setup" does it, or on Debian run "sudo apt-get install -y mesa-vulkan-drivers libvulkan1".`;

/** Asks for the best adapter; null if there is none. */
export async function requestAdapter(): Promise<GPUAdapter | null> {
  prepareDriver();
  return await navigator.gpu?.requestAdapter({ powerPreference: "high-performance" }) ?? null;
}

/**
 * A WebGPU device that never fails silently: an uncaptured error or a lost device is kept, and the next
 * {@link Gpu.check}, {@link Gpu.finish} or {@link Gpu.read} throws it.
 *
 * @example
 * ```ts
 * using gpu = await Gpu.open();
 * console.log(gpu.info.name);
 * ```
 */
export class Gpu implements Disposable {
  #failure: MdmError | null = null;
  #destroyed = false;

  private constructor(
    readonly device: GPUDevice,
    readonly info: GpuInfo,
    readonly limits: GPUSupportedLimits,
  ) {
    device.addEventListener("uncapturederror", (event) => {
      event.preventDefault();
      this.#failure ??= new MdmError(
        `The GPU reports an error: ${
          oneLine((event as GPUUncapturedErrorEvent).error.message)
        }. Run "mdm doctor".`,
      );
    });
    device.lost.then((lost) => {
      if (this.#destroyed) return;
      this.#failure = new MdmError(
        `The GPU was lost (${
          oneLine(lost.message) || lost.reason
        }). Start again; if it happens again, update the driver.`,
      );
    });
  }

  /**
   * Opens the best adapter with every feature and limit that helps.
   *
   * @throws {MdmError} When there is no adapter, or it gives no device.
   */
  static async open(options: GpuOptions = {}): Promise<Gpu> {
    const adapter = await requestAdapter();
    if (adapter === null) throw new MdmError(NO_ADAPTER);
    const name = adapter.info.description || adapter.info.device || "unnamed adapter";
    const features = (["shader-f16", "timestamp-query"] as const)
      .filter((name) => adapter.features.has(name));
    const { device, subgroups } = await requestDevice(adapter, features, options.subgroups ?? true);
    const { subgroupMinSize, subgroupMaxSize } = adapter.info;
    return new Gpu(device, {
      name,
      deviceClass: isSoftware(adapter.info) ? "software" : "gpu",
      backend: backendOf(adapter.info),
      subgroupSize: subgroups && subgroupMinSize === subgroupMaxSize ? subgroupMinSize ?? 0 : 0,
      f16: features.includes("shader-f16"),
      timestamps: features.includes("timestamp-query"),
    }, device.limits);
  }

  /** Throws what the device has reported since it was opened. */
  check(): void {
    if (this.#failure !== null) throw this.#failure;
  }

  /** A zeroed storage buffer that can be written, copied and bound. */
  buffer(bytes: number, label: string): GPUBuffer {
    if (bytes > this.limits.maxBufferSize) {
      throw new MdmError(
        `The GPU cannot hold ${label}: it needs ${bytes} bytes in one buffer and the limit is ${this.limits.maxBufferSize}. Use a smaller batch.`,
      );
    }
    return this.device.createBuffer({
      label,
      size: Math.max(16, Math.ceil(bytes / 4) * 4),
      usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST,
    });
  }

  /** Copies pieces of buffers, after the work submitted before. */
  copy(pieces: readonly BufferCopy[]): void {
    if (pieces.length === 0) return;
    const encoder = this.device.createCommandEncoder();
    for (const { from, fromOffset, to, toOffset, bytes } of pieces) {
      encoder.copyBufferToBuffer(from, fromOffset, to, toOffset, bytes);
    }
    this.device.queue.submit([encoder.finish()]);
  }

  /** Waits until all submitted work is done, and throws what went wrong in it. */
  async finish(): Promise<void> {
    await this.device.queue.onSubmittedWorkDone();
    this.check();
  }

  /** Reads bytes of a buffer back, or all of it from `offset` on (waits for the work before it). */
  async read(buffer: GPUBuffer, offset = 0, count?: number): Promise<ArrayBuffer> {
    const bytes = count ?? buffer.size - offset;
    const staging = this.device.createBuffer({
      size: bytes,
      usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST,
    });
    try {
      this.copy([{ from: buffer, fromOffset: offset, to: staging, toOffset: 0, bytes }]);
      await staging.mapAsync(GPUMapMode.READ);
      this.check();
      return staging.getMappedRange().slice(0);
    } catch (error) {
      this.check();
      throw error;
    } finally {
      staging.destroy();
    }
  }

  [Symbol.dispose](): void {
    this.#destroyed = true;
    this.device.destroy();
  }
}

/** An adapter can be software without saying so in `isFallbackAdapter`. */
export function isSoftware(info: GPUAdapterInfo): boolean {
  return info.isFallbackAdapter ||
    /llvmpipe|lavapipe|softpipe|swiftshader|software|basic render/i.test(info.description);
}

/**
 * Subgroups are not listed among an adapter's features in Deno 2.9 and yet can be had, so they are tried for.
 * An adapter gives one device only, so a failed try asks for another adapter.
 */
async function requestDevice(
  adapter: GPUAdapter,
  features: GPUFeatureName[],
  trySubgroups: boolean,
): Promise<{ device: GPUDevice; subgroups: boolean }> {
  const requiredLimits = {
    maxStorageBufferBindingSize: adapter.limits.maxStorageBufferBindingSize,
    maxBufferSize: adapter.limits.maxBufferSize,
    maxComputeWorkgroupStorageSize: adapter.limits.maxComputeWorkgroupStorageSize,
    maxComputeInvocationsPerWorkgroup: adapter.limits.maxComputeInvocationsPerWorkgroup,
  };
  const ask = (from: GPUAdapter, requiredFeatures: GPUFeatureName[]) =>
    from.requestDevice({ requiredFeatures, requiredLimits });
  if (trySubgroups) {
    try {
      return { device: await ask(adapter, [...features, "subgroups"]), subgroups: true };
    } catch { /* Not to be had: go on without. */ }
  }
  try {
    const again = trySubgroups ? await requestAdapter() ?? adapter : adapter;
    return { device: await ask(again, features), subgroups: false };
  } catch (error) {
    throw new MdmError(
      `The adapter "${adapter.info.description}" gives no device (${
        oneLine(String((error as Error).message))
      }). Run "mdm doctor".`,
    );
  }
}

/** A driver's message as part of a sentence. */
export function oneLine(text: string): string {
  return text.replace(/\s+/g, " ").trim().replace(/\.$/, "");
}
