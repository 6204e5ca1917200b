/** Whether an exported model is the model: its graphs, run by onnxruntime, against what the reference recorded. */
import { join } from "node:path";
import { Safetensors } from "../../src/checkpoint/safetensors.ts";
import { print, printJson } from "../../src/cli/terminal/output.ts";
import { table } from "../../src/cli/terminal/table.ts";
import { MdmError } from "../../src/errors.ts";
import { Gpu } from "../../src/gpu/device.ts";
import type { Graph } from "../../src/graph/graph.ts";
import type { Shape } from "../../src/graph/shape.ts";
import { ModelSource } from "../../src/pipeline/models/model_source.ts";
import { channelsLast, compare, type Comparison } from "../../src/verify/comparison.ts";
import { recordedMicros, recordedTexts } from "../../src/verify/forward.ts";
import { writeGraph } from "../cases/folder.ts";
import {
  type ForwardGraphs,
  forwardGraphs,
  forwardSizes,
  readInput,
  writtenTensors,
} from "../cases/forward.ts";
import type { BenchOptions } from "../command.ts";
import { indices } from "../onnx/export.ts";
import { allPeers } from "../peers/mod.ts";
import { PeerProcess } from "../peers/process.ts";
import { TOLERANCE } from "../report/report.ts";

/** Recorded cases of every kind: nested and plain, with text and with classes, of pictures and of videos. */
const CASES = [
  "golden/nested2",
  "golden/unet_text_unmasked",
  "golden/unet_class",
  "reference/unet_options",
  "reference/nested_outer_attention",
  "reference/video_time",
  "reference/video_space",
];

/** Seconds that onnxruntime is given. */
const PATIENCE = 300;

/** Checks every case; gives the exit code. */
export async function checkExports(options: BenchOptions, signal: AbortSignal): Promise<number> {
  const results: Comparison[] = [];
  for (const name of CASES) {
    const folder = await Deno.makeTempDir({ prefix: "mdm-bench-" });
    try {
      results.push(...await checkCase(name, folder, options));
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
    signal.throwIfAborted();
  }
  const passed = results.every((result) => result.passed);
  if (options.format === "json") printJson({ passed, tensors: results });
  else print(table(results.map(row)));
  return passed ? 0 : 1;
}

async function checkCase(
  name: string,
  folder: string,
  { threads }: BenchOptions,
): Promise<Comparison[]> {
  const fixture = new URL(`../../tests/fixtures/${name}`, import.meta.url).pathname;
  using model = await ModelSource.open(fixture);
  using recorded = await Safetensors.open(join(fixture, "forward.safetensors"));
  const { graphs, inputs } = await recordedForward(model, recorded);
  const run = (graph: Graph, part: string) =>
    runExported(
      join(folder, part),
      { name: part, graph, weights: model.file.path, inputs },
      threads,
    );
  for (const [i, graph] of graphs.before.entries()) {
    if (graph.outputs.size === 0) continue;
    for (const [made, data] of await run(graph, `before${i}`)) inputs.set(made, data);
  }
  const results: Comparison[] = [];
  for (const [output, data] of await run(graphs.step, "step")) {
    const expected = await recorded.readFloat32(output);
    results.push(compare(`${name} ${output}`, data, expected, TOLERANCE));
  }
  return results;
}

/** The graphs of a recorded forward pass, and the numbers that go into them from outside, channels last. */
async function recordedForward(
  { network }: ModelSource,
  recorded: Safetensors,
): Promise<{ graphs: ForwardGraphs; inputs: Map<string, Float32Array> }> {
  const [times, texts, micros] = [
    await recorded.readFloat32("times"),
    await recordedTexts(network, recorded),
    await recordedMicros(recorded),
  ];
  const sizes = forwardSizes(times.length, Math.max(1, ...texts.map(({ length }) => length)));
  const inputs = new Map<string, Float32Array>();
  const shapes: Shape[] = [];
  for (let level = 0; level < network.levels; level++) {
    const name = `x_t.${level}`;
    const { shape: [rows = 1, channels = 1, height = 1, width = 1] } = recorded.tensors.get(name)!;
    shapes.push([rows, height, width, channels]);
    const picture = await recorded.readFloat32(name);
    inputs.set(name, channelsLast(picture, [rows, channels, height, width]));
  }
  const graphs = forwardGraphs(network, sizes, shapes);
  const ids = new Set([...graphs.before, graphs.step].flatMap((graph) => [...indices(graph)]));
  const indexNames = new Set([...ids].map(({ name }) => name));
  using gpu = await Gpu.open();
  for (const [name, tensor] of writtenTensors(gpu, network, sizes, { texts, times, micros })) {
    inputs.set(name, await readInput(tensor, indexNames.has(name)));
  }
  return { graphs, inputs };
}

/** The outputs of a graph as onnxruntime computes them; pictures have their channels second. */
async function runExported(
  folder: string,
  given: Parameters<typeof writeGraph>[1],
  threads: number,
): Promise<Map<string, Float32Array>> {
  await Deno.mkdir(folder);
  const wanted = [...given.inputs].filter(([name]) => given.graph.inputs.has(name));
  await writeGraph(folder, { ...given, inputs: new Map(wanted) });
  const peer = allPeers({ adapter: "", threads, python: null, reference: null })
    .find(({ name }) => name === "ort-node")!;
  await using process = new PeerProcess(peer.command);
  const path = join(folder, "outputs.safetensors");
  try {
    await process.open(folder, PATIENCE);
    await process.run(1, PATIENCE);
    await process.write(path, PATIENCE);
  } catch (error) {
    throw new MdmError(`onnxruntime cannot run "${given.name}": ${(error as Error).message}.`);
  }
  using outputs = await Safetensors.open(path);
  const read = new Map<string, Float32Array>();
  for (const name of outputs.tensors.keys()) read.set(name, await outputs.readFloat32(name));
  return read;
}

function row({ name, relativeL2, passed }: Comparison): string[] {
  return [name, relativeL2.toExponential(2), passed ? "PASS" : "FAIL"];
}
