import { MdmError } from "../errors.ts";
import type { Gpu } from "../gpu/device.ts";
import { formatBytes } from "../units.ts";
import type { BufferRange } from "../gpu/kernel.ts";
import { type Pipelines, Recording } from "../gpu/recording.ts";
import type { Weights } from "../gpu/weights.ts";
import type { Graph } from "./graph.ts";
import { arenaBytes, type Location, type Plan, plan } from "./plan.ts";

/** What a graph needs from outside to run. */
export interface Environment {
  readonly pipelines: Pipelines;
  readonly weights: Weights;
  /** The memory of the graph's inputs and outputs, by name. */
  readonly tensors: ReadonlyMap<string, BufferRange>;
}

/** @throws {MdmError} When an activation is larger than what the device lets a kernel see at once. */
function checkBindings({ locations }: Plan, gpu: Gpu): void {
  const limit = gpu.limits.maxStorageBufferBindingSize;
  const largest = Math.max(
    0,
    ...locations.values().map((location) => location.kind === "arena" ? location.bytes : 0),
  );
  if (largest <= limit) return;
  throw new MdmError(
    `The GPU cannot hold an image this large: a kernel needs ${
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
  static async make(graph: Graph, environment: Environment): Promise<Executable> {
    const [executable] = await Executable.makeAll([graph], environment);
    return executable;
  }

  /**
   * Makes graphs that run one after the other: they share one arena, as large as the largest of them needs, and are disposed of
   * together.
   */
  static async makeAll<const Graphs extends readonly Graph[]>(
    graphs: Graphs,
    environment: Environment,
  ): Promise<{ [I in keyof Graphs]: Executable }> {
    const { pipelines: { gpu }, weights } = environment;
    const plans = graphs.map((graph) => plan(graph, weights));
    for (const made of plans) checkBindings(made, gpu);
    for (const made of plans) await weights.load(made.weights);
    using allocated = new DisposableStack();
    const arena = gpu.buffer(arenaBytes(plans), "activations");
    allocated.defer(() => arena.destroy());
    const executables: Executable[] = [];
    for (const made of plans) {
      executables.push(allocated.use(await Executable.#record(made, arena, environment)));
    }
    allocated.move();
    return executables as { [I in keyof Graphs]: Executable };
  }

  /** Gives everything that a plan calls with its location, and records the calls. */
  static async #record(
    made: Plan,
    arena: GPUBuffer,
    { pipelines, weights, tensors }: Environment,
  ): Promise<Executable> {
    const { gpu } = pipelines;
    using allocated = new DisposableStack();
    allocated.defer(() => arena.destroy());
    const range = (location: Location): BufferRange => {
      switch (location.kind) {
        case "arena":
          return { buffer: arena, offset: location.offset, bytes: location.bytes };
        case "weight":
          return weights.range(location.weight.key);
        case "tensor": {
          const tensor = tensors.get(location.name);
          if (tensor === undefined) throw new Error(`The graph needs a tensor "${location.name}"`);
          return tensor;
        }
        case "constant": {
          const buffer = gpu.buffer(location.data.byteLength, "a constant");
          allocated.defer(() => buffer.destroy());
          gpu.device.queue.writeBuffer(buffer, 0, location.data);
          return { buffer, offset: 0, bytes: location.data.byteLength };
        }
      }
    };
    const ranges = new Map(
      [...made.locations].map(([memory, location]) => [memory, range(location)]),
    );
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
