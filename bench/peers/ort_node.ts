/** onnxruntime-node: the ONNX model on the processor. */
import { join } from "node:path";
import * as ort from "onnxruntime-node";
import { Safetensors } from "../../src/checkpoint/safetensors.ts";
import type { Numbers } from "../cases/case.ts";
import { FILES, readDescription } from "../cases/folder.ts";
import { MODEL_FILE } from "../onnx/write.ts";
import { type LoadedCase, serve } from "./protocol.ts";

async function open(folder: string): Promise<LoadedCase> {
  const { inputs } = await readDescription(folder);
  const session = await ort.InferenceSession.create(join(folder, MODEL_FILE), {
    intraOpNumThreads: THREADS,
    executionProviders: ["cpu"],
  });
  using file = await Safetensors.open(join(folder, FILES.inputs));
  const feeds: Record<string, ort.Tensor> = {};
  for (const { name, type, shape } of inputs) {
    const data = await file.readFloat32(name);
    feeds[name] = new ort.Tensor(type, type === "int32" ? Int32Array.from(data) : data, shape);
  }
  let results: ort.InferenceSession.OnnxValueMapType = {};
  return {
    version: ort.env.versions.node ?? "",
    async run(times) {
      for (let i = 0; i < times; i++) results = await session.run(feeds);
    },
    outputs() {
      const outputs = Object.entries(results).map(([name, { dims, data }]): [string, Numbers] => [
        name,
        { shape: dims, data: data as Float32Array },
      ]);
      return Promise.resolve(new Map(outputs));
    },
  };
}

/** As many as every peer on the processor is given. */
const THREADS = Number(Deno.args[0]);

if (import.meta.main) await serve(open);
