import { MdmError } from "../errors.ts";
import type { Gpu } from "../gpu/device.ts";
import { formatBytes } from "../units.ts";
import type { BufferRange } from "../gpu/kernel.ts";
import { type Pipelines, Recording } from "../gpu/recording.ts";
import type { Weights } from "../gpu/weights.ts";
import type { Graph } from "./graph.ts";
import { type Place, type Plan, plan } from "./plan.ts";

/** What a graph needs from outside to run. */
export interface Environment {
  readonly pipelines: Pipelines;
  readonly weights: Weights;
  /** The memory of the graph's inputs and outputs, by name. */
  readonly tensors: ReadonlyMap<string, BufferRange>;
}

/** @throws {MdmError} When an activation is larger than what the device lets a kernel see at once. */
function checkBindings({ places }: Plan, gpu: Gpu): void {
  const limit = gpu.limits.maxStorageBufferBindingSize;
  const largest = Math.max(
    0,
    ...places.values().map((place) => place.kind === "arena" ? place.bytes : 0),
  );
  if (largest <= limit) return;
  throw new MdmError(
    `The GPU cannot hold a picture this large: a kernel needs ${
      formatBytes(largest)
    } in one piece and the limit is ${
      formatBytes(limit)
    }. Use a smaller size or batch, guidance 1 (half the rows), or a GPU with a larger limit ("mdm doctor" shows it).`,
  );
}

/** A graph on a device, ready to run again and again. */
export class Executable implements Disposable {
  private constructor(
    readonly plan: Plan,
    readonly recording: Recording,
    private readonly buffers: DisposableStack,
  ) {}

  /** Plans a graph, loads its weights, allocates its arena and records its calls. */
  static async make(
    graph: Graph,
    { pipelines, weights, tensors }: Environment,
  ): Promise<Executable> {
    const { gpu } = pipelines;
    const made = plan(graph, { gpu: gpu.info, isHalf: (name) => weights.isHalf(name) });
    checkBindings(made, gpu);
    await weights.load(made.weights);
    using allocated = new DisposableStack();
    const allocate = (bytes: number, label: string) => {
      const buffer = gpu.buffer(bytes, label);
      allocated.defer(() => buffer.destroy());
      return buffer;
    };
    const arena = allocate(made.arenaBytes, "activations");

    const range = (place: Place): BufferRange => {
      switch (place.kind) {
        case "arena":
          return { buffer: arena, offset: place.offset, bytes: place.bytes };
        case "weight":
          return weights.range(place.weight.key);
        case "tensor": {
          const tensor = tensors.get(place.name);
          if (tensor === undefined) throw new Error(`The graph needs a tensor "${place.name}"`);
          return tensor;
        }
        case "constant": {
          const buffer = allocate(place.data.byteLength, "a constant");
          gpu.device.queue.writeBuffer(buffer, 0, place.data);
          return { buffer, offset: 0, bytes: place.data.byteLength };
        }
      }
    };
    const ranges = new Map([...made.places].map(([memory, place]) => [memory, range(place)]));
    const calls = made.calls.map((call) => ({
      ...call,
      buffers: Object.fromEntries(
        Object.entries(call.buffers).map(([name, memory]) => [name, ranges.get(memory)!]),
      ),
    }));
    const recording = await Recording.make(pipelines, calls);
    return new Executable(made, recording, allocated.move());
  }

  /** Submits one run; nothing is waited for. */
  submit(): void {
    this.recording.submit();
  }

  [Symbol.dispose](): void {
    this.recording[Symbol.dispose]();
    this.buffers[Symbol.dispose]();
  }
}
