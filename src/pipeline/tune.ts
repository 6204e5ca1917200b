import { MdmError } from "../errors.ts";
import {
  type ConvChoice,
  convChoices,
  convKey,
  type ConvShape,
  type ConvVariant,
  convVariant,
} from "../gpu/conv_variant.ts";
import type { Gpu, KernelTarget } from "../gpu/device.ts";
import { Pipelines } from "../gpu/recording.ts";
import { replayTime } from "../gpu/replay_time.ts";
import { Tensor } from "../gpu/tensor.ts";
import { type TensorSource, Weights } from "../gpu/weights.ts";
import { Executable } from "../graph/executable.ts";
import type { Graph, Node } from "../graph/graph.ts";
import { isolate } from "../graph/isolate.ts";
import { convShape } from "../graph/operations/conv2d.ts";

/** What was measured of the convolutions of one shape. */
export interface TunedConv {
  readonly shape: ConvShape;
  /** How many of them there are. */
  readonly count: number;
  /** Milliseconds of one in the usual way, and in the fastest. */
  readonly usualMs: number;
  readonly bestMs: number;
  /** The fastest way; null: the usual one. */
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
export function convGroups(graph: Graph, { tensors }: TensorSource): ConvGroup[] {
  const isHalf = (name: string) => tensors?.get(name)?.dtype === "F16";
  const groups = new Map<string, { shape: ConvShape; nodes: Node[] }>();
  for (const node of graph.nodes) {
    const shape = convShape(node, { isHalf });
    if (shape === null) continue;
    const group = groups.get(convKey(shape));
    if (group === undefined) groups.set(convKey(shape), { shape, nodes: [node] });
    else group.nodes.push(node);
  }
  return [...groups.values()];
}

/**
 * Measures every way of convolving that there is for each group, by its first convolution.
 *
 * @param file The model's weights.
 * @throws {MdmError} When the device has no clock.
 */
export async function* tune(
  gpu: Gpu,
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
    const measure = (target: KernelTarget, limit: number) =>
      convMs(pipelines, file, nodes[0]!, target, limit);
    const usualMs = await measure(gpu.info, Infinity);
    let [bestMs, best]: [number, ConvChoice | null] = [usualMs * GAIN, null];
    const usual = nameOf(convVariant(gpu.info, shape));
    for (const choice of convChoices(gpu.info, shape)) {
      const target = { ...gpu.info, tuned: new Map([[convKey(shape), choice]]) };
      if (nameOf(convVariant(target, shape)) === usual) continue;
      const ms = await measure(target, bestMs * HOPELESS);
      if (ms < bestMs) [bestMs, best] = [ms, choice];
    }
    const count = nodes.length;
    yield { shape, count, usualMs, bestMs: best === null ? usualMs : bestMs, choice: best };
  }
}

function nameOf({ kernel, constants, parts }: ConvVariant): string {
  return JSON.stringify([kernel.name, constants, parts]);
}

/** Milliseconds of a convolution; measured only once where it takes longer than `limit`. */
async function convMs(
  pipelines: Pipelines,
  file: TensorSource,
  node: Node,
  target: KernelTarget,
  limit: number,
): Promise<number> {
  const graph = isolate(node);
  using made = new DisposableStack();
  const tensors = new Map(
    [...graph.inputs, ...graph.outputs].map(([name, { shape }]) =>
      [name, made.use(new Tensor(pipelines.gpu, name, shape))] as const
    ),
  );
  const weights = made.use(new Weights(pipelines.gpu, file));
  const { recording } = made.use(
    await Executable.make(graph, { pipelines, weights, tensors, target }),
  );
  const first = await replayTime(recording, 1) / 1e6;
  if (first > limit || first > LONG_MS) return first;
  return await replayTime(recording, REPLAYS) / 1e6;
}
