import { MdmError } from "../../errors.ts";
import { convChoices } from "../../gpu/conv_algorithm.ts";
import { type ConvChoice, convKey, type ConvShape } from "../../gpu/conv_choice.ts";
import type { Gpu } from "../../gpu/device.ts";
import type { KernelPolicy } from "../../gpu/kernel_policy.ts";
import { pipelineKey, Pipelines } from "../../gpu/recording.ts";
import { replayTime } from "../../gpu/replay_time.ts";
import { Tensor } from "../../gpu/tensor.ts";
import { isHalf, type TensorSource, Weights } from "../../gpu/weights.ts";
import { Executable } from "../../graph/executable.ts";
import type { Graph } from "../../graph/graph.ts";
import type { Node } from "../../graph/operation.ts";
import { isolate } from "../../graph/isolate.ts";
import { convShape } from "../../graph/operations/conv2d.ts";
import { plan } from "../../graph/plan.ts";

/** What was measured of the convolutions of one shape. */
export interface TunedConv {
  readonly shape: ConvShape;
  /** How many of them there are. */
  readonly count: number;
  /** Milliseconds of one with the usual kernels, and with the fastest. */
  readonly usualMs: number;
  readonly bestMs: number;
  /** The fastest algorithm and configuration; null: the usual one. */
  readonly choice: ConvChoice | null;
}

/** What is not faster by so much may be so by chance. */
const GAIN = 0.95;

/** Nothing that is slower by so much at first turns out to be the fastest. */
const HOPELESS = 3;

/** Replays of a pass, and milliseconds of one from which on a single one is enough. */
const REPLAYS = 10;
const LONG_MS = 10;

/** Convolutions of one shape in a graph. */
export interface ConvGroup {
  readonly shape: ConvShape;
  readonly nodes: readonly Node[];
}

/** The convolutions of a graph by their shapes. */
export function convGroups(graph: Graph, file: TensorSource): ConvGroup[] {
  const groups = new Map<string, { shape: ConvShape; nodes: Node[] }>();
  for (const node of graph.nodes) {
    const shape = convShape(node, { isHalf: (name) => isHalf(file, name) });
    if (shape === null) continue;
    const group = groups.get(convKey(shape));
    if (group === undefined) groups.set(convKey(shape), { shape, nodes: [node] });
    else group.nodes.push(node);
  }
  return [...groups.values()];
}

/**
 * Measures every convolution algorithm and tile configuration that there is for each group, by its first convolution.
 *
 * @param policy The usual kernels.
 * @param file The model's weights.
 * @throws {MdmError} When the device has no clock.
 */
export async function* tune(
  gpu: Gpu,
  policy: KernelPolicy,
  groups: readonly ConvGroup[],
  file: TensorSource,
): AsyncGenerator<TunedConv> {
  if (!gpu.info.timestamps) {
    throw new MdmError(
      `The adapter "${gpu.info.name}" has no timestamps, so that nothing can be measured. Use mdm without tuned kernels.`,
    );
  }
  using pipelines = new Pipelines(gpu);
  for (const { shape, nodes } of groups) {
    const graph = isolate(nodes[0]!);
    const usual = callsOf(graph, file, policy);
    const usualMs = await replayMs(pipelines, graph, file, policy, Infinity);
    let [bestMs, best]: [number, ConvChoice | null] = [usualMs * GAIN, null];
    for (const choice of convChoices(policy, shape)) {
      const tuned = { ...policy, tuned: new Map([[convKey(shape), choice]]) };
      if (callsOf(graph, file, tuned) === usual) continue;
      const ms = await replayMs(pipelines, graph, file, tuned, bestMs * HOPELESS);
      if (ms < bestMs) [bestMs, best] = [ms, choice];
    }
    const count = nodes.length;
    yield { shape, count, usualMs, bestMs: best === null ? usualMs : bestMs, choice: best };
  }
}

/** What is called for a graph by a policy, to be compared. */
function callsOf(graph: Graph, file: TensorSource, policy: KernelPolicy): string {
  const { calls } = plan(graph, { policy, isHalf: (name) => isHalf(file, name) });
  return calls.map((call) => `${pipelineKey(call)} ${call.workgroups}`).join("\n");
}

/** Milliseconds of a graph; measured only once where it takes longer than `limit`. */
async function replayMs(
  pipelines: Pipelines,
  graph: Graph,
  file: TensorSource,
  policy: KernelPolicy,
  limit: number,
): Promise<number> {
  using made = new DisposableStack();
  const tensors = new Map(
    [...graph.inputs, ...graph.outputs].map(([name, { shape }]) =>
      [name, made.use(new Tensor(pipelines.gpu, name, shape))] as const
    ),
  );
  const weights = made.use(new Weights(pipelines.gpu, file, policy));
  const { recording } = made.use(
    await Executable.make(graph, { pipelines, weights, tensors }),
  );
  const first = await replayTime(recording, 1) / 1e6;
  if (first > limit || first > LONG_MS) return first;
  return await replayTime(recording, REPLAYS) / 1e6;
}
