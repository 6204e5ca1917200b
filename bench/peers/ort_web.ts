/** onnxruntime-web with WebGPU: the ONNX model on the adapter. */
import { join } from "node:path";
import * as ort from "onnxruntime-web/webgpu";
import { Safetensors } from "../../src/checkpoint/safetensors.ts";
import { elements } from "../../src/graph/shape.ts";
import type { Numbers } from "../cases/case.ts";
import { FILES, readDescription } from "../cases/folder.ts";
import type { OnnxTensor } from "../onnx/model.ts";
import { MODEL_FILE, WEIGHTS_FILE } from "../onnx/write.ts";
import { needSameAdapter } from "./adapter.ts";
import { type LoadedCase, serve } from "./protocol.ts";

async function open(folder: string): Promise<LoadedCase> {
  const { inputs, outputs } = await readDescription(folder);
  ort.env.webgpu.powerPreference = "high-performance";
  // Replaying captured graphs (enableGraphCapture) fails in Deno.
  const session = await ort.InferenceSession.create(await Deno.readFile(join(folder, MODEL_FILE)), {
    executionProviders: ["webgpu"],
    externalData: [{ path: WEIGHTS_FILE, data: await Deno.readFile(join(folder, WEIGHTS_FILE)) }],
  });
  const device = await ort.env.webgpu.device as GPUDevice;
  needSameAdapter(device);
  let failure: string | null = null;
  device.addEventListener("uncapturederror", (event) => {
    failure ??= (event as GPUUncapturedErrorEvent).error.message;
  });
  // Inputs and outputs stay on the adapter, as ours do, so that only computing is timed.
  using file = await Safetensors.open(join(folder, FILES.inputs));
  const feeds: Record<string, ort.Tensor> = {};
  for (const input of inputs) {
    feeds[input.name] = uploaded(device, input, await file.readFloat32(input.name));
  }
  const fetches = Object.fromEntries(
    outputs.map((output) => [output.name, allocated(device, output)]),
  );
  return {
    version: ort.env.versions.web ?? "",
    async run(times) {
      for (let i = 0; i < times; i++) await session.run(feeds, fetches);
      await device.queue.onSubmittedWorkDone();
      if (failure !== null) throw new Error(failure);
    },
    async outputs() {
      const read = new Map<string, Numbers>();
      for (const { name, shape } of outputs) {
        const buffer = fetches[name]!.gpuBuffer as GPUBuffer;
        read.set(name, { shape, data: await download(device, buffer, elements(shape)) });
      }
      return read;
    },
  };
}

function uploaded(device: GPUDevice, input: OnnxTensor, data: Float32Array): ort.Tensor {
  const tensor = allocated(device, input);
  const numbers = input.type === "int32" ? Int32Array.from(data) : Float32Array.from(data);
  device.queue.writeBuffer(tensor.gpuBuffer as GPUBuffer, 0, numbers);
  return tensor;
}

function allocated(device: GPUDevice, { type, shape }: OnnxTensor): ort.Tensor {
  const buffer = device.createBuffer({
    // The runtime's buffers are multiples of 16 bytes.
    size: Math.ceil(elements(shape) / 4) * 16,
    usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST,
  });
  return ort.Tensor.fromGpuBuffer(buffer, { dataType: type, dims: shape });
}

async function download(
  device: GPUDevice,
  buffer: GPUBuffer,
  count: number,
): Promise<Float32Array> {
  const staging = device.createBuffer({
    size: buffer.size,
    usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST,
  });
  const encoder = device.createCommandEncoder();
  encoder.copyBufferToBuffer(buffer, 0, staging, 0, buffer.size);
  device.queue.submit([encoder.finish()]);
  await staging.mapAsync(GPUMapMode.READ);
  const numbers = new Float32Array(staging.getMappedRange().slice(0)).subarray(0, count);
  staging.destroy();
  return numbers;
}

if (import.meta.main) await serve(open);
