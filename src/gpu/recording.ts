import { MdmError } from "../errors.ts";
import { type Gpu, oneLine } from "./device.ts";
import {
  type BindingSlot,
  bindingSlots,
  type BufferRange,
  type Dispatch,
  type Kernel,
} from "./kernel.ts";
import { inOwnLines } from "./shader_error.ts";
import type { TemplateValues } from "./template.ts";

/** Bytes that no element of a binding exceeds: at least one has to be bound. */
const LARGEST_ELEMENT = 256;

interface Pipeline {
  readonly pipeline: GPUComputePipeline;
  readonly layout: GPUBindGroupLayout;
  readonly slots: readonly BindingSlot[];
}

/** Names the pipeline that a call needs. */
export function pipelineKey(
  { kernel, constants }: Pick<Dispatch<unknown>, "kernel" | "constants">,
) {
  return `${kernel.name} ${JSON.stringify(constants)}`;
}

/** Compiles each variant of a kernel once for a device: on a software adapter that is most of a cold start. */
export class Pipelines {
  readonly #cache = new Map<string, Pipeline>();
  readonly #unused = new Map<number, GPUBuffer>();

  constructor(readonly gpu: Gpu) {}

  /** Distinct pipelines so far. */
  get count(): number {
    return this.#cache.size;
  }

  /** Whether a pipeline was made before, by its {@linkcode pipelineKey}. */
  has(key: string): boolean {
    return this.#cache.has(key);
  }

  /**
   * The pipeline of a kernel's variant.
   *
   * @throws {MdmError} When the device refuses the shader.
   */
  async get(kernel: Kernel, constants: TemplateValues): Promise<Pipeline> {
    const key = pipelineKey({ kernel, constants });
    const cached = this.#cache.get(key);
    if (cached !== undefined) return cached;
    const { device } = this.gpu;
    const code = kernel.expand(constants);
    const slots = bindingSlots(code);
    device.pushErrorScope("validation");
    const layout = device.createBindGroupLayout({
      entries: [
        { binding: 0, type: "uniform" },
        ...slots.map((slot) => ({
          binding: slot.binding,
          type: slot.access === "read" ? "read-only-storage" : "storage",
        })),
      ].map(({ binding, type }) => ({
        binding,
        visibility: GPUShaderStage.COMPUTE,
        buffer: { type: type as GPUBufferBindingType },
      })),
    });
    const pipeline = device.createComputePipeline({
      label: kernel.name,
      layout: device.createPipelineLayout({ bindGroupLayouts: [layout] }),
      compute: {
        module: device.createShaderModule({ label: kernel.name, code }),
        entryPoint: "main",
      },
    });
    const error = await device.popErrorScope();
    if (error !== null) {
      throw new MdmError(
        `The GPU refuses the shader "${kernel.name}" (${JSON.stringify(constants)}): ${
          oneLine(inOwnLines(error.message, kernel.lines(constants)))
        }. Run "mdm doctor".`,
      );
    }
    const made = { pipeline, layout, slots };
    this.#cache.set(key, made);
    return made;
  }

  /** Memory for a binding that a call does not use; one for each slot, since a writable range may be bound once. */
  unused(slot: number): GPUBuffer {
    const buffer = this.#unused.get(slot) ?? this.gpu.buffer(LARGEST_ELEMENT, "an unused binding");
    this.#unused.set(slot, buffer);
    return buffer;
  }

  [Symbol.dispose](): void {
    for (const buffer of this.#unused.values()) buffer.destroy();
  }
}

interface Call {
  readonly pipeline: GPUComputePipeline;
  readonly bindGroup: GPUBindGroup;
  readonly workgroups: readonly [number, number, number];
}

/** Kernel calls with their pipelines and bind groups made once, to be replayed every step. */
export class Recording implements Disposable {
  private constructor(
    readonly gpu: Gpu,
    readonly calls: readonly Call[],
    private readonly params: GPUBuffer,
  ) {}

  /** Compiles and binds calls; the order of `dispatches` is the order of execution. */
  static async make(
    pipelines: Pipelines,
    dispatches: readonly Dispatch<BufferRange>[],
  ): Promise<Recording> {
    const { gpu } = pipelines;
    // First, so that nothing is left to dispose of if a shader is refused.
    const compiled: Pipeline[] = [];
    for (const { kernel, constants } of dispatches) {
      compiled.push(await pipelines.get(kernel, constants));
    }
    const align = Math.max(16, gpu.limits.minUniformBufferOffsetAlignment);
    const packed = dispatches.map(({ kernel, params }) => kernel.packParams(params));
    const offsets: number[] = [];
    let size = 0;
    for (const bytes of packed) {
      offsets.push(size);
      size += Math.ceil(bytes.byteLength / align) * align;
    }
    const params = gpu.device.createBuffer({
      label: "parameters",
      size: Math.max(size, 16),
      usage: GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST,
    });
    const image = new Uint8Array(size);
    packed.forEach((bytes, i) => image.set(new Uint8Array(bytes), offsets[i]!));
    gpu.device.queue.writeBuffer(params, 0, image);

    const calls = dispatches.map((dispatch, i): Call => {
      const { pipeline, layout, slots } = compiled[i]!;
      const known = new Set(slots.map((slot) => slot.name));
      for (const name of Object.keys(dispatch.buffers)) {
        if (!known.has(name)) {
          throw new Error(`Kernel "${dispatch.kernel.name}" has no buffer "${name}"`);
        }
      }
      const storage = slots.map(({ name, binding }) => {
        const range = dispatch.buffers[name];
        const resource = range === undefined
          ? { buffer: pipelines.unused(binding) }
          : { buffer: range.buffer, offset: range.offset, size: range.bytes };
        return { binding, resource };
      });
      const uniform = { buffer: params, offset: offsets[i]!, size: packed[i]!.byteLength };
      return {
        pipeline,
        workgroups: dispatch.workgroups,
        bindGroup: gpu.device.createBindGroup({
          layout,
          entries: [{ binding: 0, resource: uniform }, ...storage],
        }),
      };
    });
    return new Recording(gpu, calls, params);
  }

  /** Encodes all calls into a pass. */
  replay(pass: GPUComputePassEncoder): void {
    for (const { pipeline, bindGroup, workgroups } of this.calls) {
      pass.setPipeline(pipeline);
      pass.setBindGroup(0, bindGroup);
      pass.dispatchWorkgroups(...workgroups);
    }
  }

  /** Submits one replay. */
  submit(): void {
    const encoder = this.gpu.device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    this.replay(pass);
    pass.end();
    this.gpu.device.queue.submit([encoder.finish()]);
  }

  [Symbol.dispose](): void {
    this.params.destroy();
  }
}
