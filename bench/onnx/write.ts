import { join } from "node:path";
import { elements } from "../../src/graph/shape.ts";
import { encodeModel, type WeightRange } from "./encode.ts";
import type { OnnxData, OnnxInitializer, OnnxModel } from "./model.ts";

/** Names of the two files of a model. */
export const MODEL_FILE = "model.onnx";
export const WEIGHTS_FILE = "model.onnx.data";

/** Each tensor begins at a multiple of this. */
const ALIGNMENT = 4096;

/** Where weights are read from. */
interface WeightSource {
  readFloat32(name: string): Promise<Float32Array>;
}

/**
 * Writes a model into a folder: the graph, and its weights in 32 bits in a file beside it, since a protobuf message ends at
 * two gigabytes. One tensor at a time is in memory.
 */
export async function writeModel(
  folder: string,
  model: OnnxModel,
  source: WeightSource,
): Promise<void> {
  const ranges = new Map<string, WeightRange>();
  using file = await Deno.open(join(folder, WEIGHTS_FILE), {
    write: true,
    create: true,
    truncate: true,
  });
  let offset = 0;
  for (const initializer of model.initializers) {
    if (initializer.data.kind !== "weights") continue;
    const numbers = await read(initializer, initializer.data, source);
    await file.seek(offset, Deno.SeekMode.Start);
    await writeAll(file, new Uint8Array(numbers.buffer));
    ranges.set(initializer.name, { offset, bytes: numbers.byteLength });
    offset = Math.ceil((offset + numbers.byteLength) / ALIGNMENT) * ALIGNMENT;
  }
  await Deno.writeFile(join(folder, MODEL_FILE), encodeModel(model, WEIGHTS_FILE, ranges));
}

async function read(
  { shape }: OnnxInitializer,
  { parameters, transposed }: OnnxData & { kind: "weights" },
  source: WeightSource,
): Promise<Float32Array<ArrayBuffer>> {
  const numbers = new Float32Array(elements(shape));
  let done = 0;
  for (const { name } of parameters) {
    const tensor = await source.readFloat32(name);
    numbers.set(tensor, done);
    done += tensor.length;
  }
  if (!transposed) return numbers;
  const [inputs, outputs] = shape as [number, number];
  const turned = new Float32Array(numbers.length);
  for (let o = 0; o < outputs; o++) {
    for (let i = 0; i < inputs; i++) turned[i * outputs + o] = numbers[o * inputs + i]!;
  }
  return turned;
}

async function writeAll(file: Deno.FsFile, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length;) done += await file.write(bytes.subarray(done));
}
