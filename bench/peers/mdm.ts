/** Ourselves, by the engine that makes pictures. */
import { join } from "node:path";
import project from "../../deno.json" with { type: "json" };
import { Safetensors } from "../../src/checkpoint/safetensors.ts";
import { Gpu } from "../../src/gpu/device.ts";
import { Pipelines } from "../../src/gpu/recording.ts";
import { Tensor } from "../../src/gpu/tensor.ts";
import { Weights } from "../../src/gpu/weights.ts";
import { Executable } from "../../src/graph/executable.ts";
import { channelsFirst, channelsLast } from "../../src/verify/comparison.ts";
import type { Numbers } from "../cases/case.ts";
import { FILES, readDescription } from "../cases/folder.ts";
import { findCase } from "../cases/mod.ts";
import { indices } from "../onnx/export.ts";
import { isPicture, onnxShape } from "../onnx/layout.ts";
import { type LoadedCase, serve } from "./protocol.ts";

async function open(folder: string): Promise<LoadedCase> {
  const description = await readDescription(folder);
  const graph = findCase(description.name).graph();
  const gpu = await Gpu.open();
  const weights = new Weights(gpu, await Safetensors.open(description.weights));
  const tensors = new Map(
    [...graph.inputs, ...graph.outputs]
      .map(([name, { shape }]) => [name, new Tensor(gpu, name, shape)]),
  );
  const executable = await Executable.make(graph, {
    pipelines: new Pipelines(gpu),
    weights,
    tensors,
  });
  using inputs = await Safetensors.open(join(folder, FILES.inputs));
  const ids = indices(graph);
  for (const [name, value] of graph.inputs) {
    const data = await inputs.readFloat32(name);
    const tensor = tensors.get(name)!;
    if (ids.has(value)) tensor.writeRaw(Uint32Array.from(data));
    else tensor.write(isPicture(value.shape) ? channelsLast(data, onnxShape(value.shape)) : data);
  }
  return {
    version: project.version,
    async run(times) {
      for (let i = 0; i < times; i++) executable.submit();
      await gpu.finish();
    },
    async outputs() {
      const outputs = new Map<string, Numbers>();
      for (const [name, { shape }] of graph.outputs) {
        const data = await tensors.get(name)!.read();
        outputs.set(name, {
          shape: onnxShape(shape),
          data: isPicture(shape) ? channelsFirst(data, shape) : data,
        });
      }
      return outputs;
    },
  };
}

if (import.meta.main) await serve(open);
