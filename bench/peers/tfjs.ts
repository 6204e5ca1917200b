/** TensorFlow.js with WebGPU: one convolution or linear layer on the adapter. */
import { join } from "node:path";
import * as tf from "@tensorflow/tfjs-core";
import "@tensorflow/tfjs-backend-webgpu";
import { Safetensors } from "../../src/checkpoint/safetensors.ts";
import type { Parameter } from "../../src/graph/operation.ts";
import type { Numbers } from "../cases/case.ts";
import { FILES, readDescription } from "../cases/folder.ts";
import { needSameAdapter } from "./adapter.ts";
import { type LoadedCase, serve } from "./protocol.ts";

async function open(folder: string): Promise<LoadedCase> {
  const { inputs: [input], outputs: [output], operation, weights } = await readDescription(folder);
  if (operation?.name !== "conv2d") throw new Error("only convolutions and linear layers");
  if (!await tf.setBackend("webgpu")) throw new Error("no WebGPU backend");
  needSameAdapter((tf.backend() as unknown as { device: GPUDevice }).device);
  using given = await Safetensors.open(join(folder, FILES.inputs));
  using file = await Safetensors.open(weights);
  const parameters = operation.attributes as {
    readonly weights: readonly [Parameter];
    readonly biases: readonly Parameter[];
    readonly stride: readonly [number, number];
  };
  const read = async ({ name, shape }: Parameter) =>
    tf.tensor(await file.readFloat32(name), [...shape]);
  const weight = await read(parameters.weights[0]);
  const [bias] = await Promise.all(parameters.biases.map(read)) as tf.Tensor1D[];
  const x = tf.tensor(await given.readFloat32(input!.name), [...input!.shape]);

  // Laid out once, as a model of theirs would be: pictures have their channels last.
  const isPicture = x.rank === 4;
  const pixels = isPicture ? tf.transpose(x, [0, 2, 3, 1]) : x;
  const filter = isPicture ? tf.transpose(weight, [2, 3, 1, 0]) : tf.transpose(weight);
  const compute = (): tf.Tensor =>
    isPicture
      ? tf.fused.conv2d({
        x: pixels as tf.Tensor4D,
        filter: filter as tf.Tensor4D,
        strides: [...parameters.stride] as [number, number],
        // Theirs pads strided convolutions at the end only.
        pad: padding(weight.shape[2]!),
        ...bias && { bias },
      })
      : tf.fused.matMul({
        a: tf.reshape(pixels, [-1, pixels.shape.at(-1)!]) as tf.Tensor2D,
        b: filter as tf.Tensor2D,
        ...bias && { bias },
      });
  let result = tf.scalar(0) as tf.Tensor;
  return {
    version: tf.version_core,
    async run(times) {
      for (let i = 0; i < times; i++) {
        result.dispose();
        result = tf.tidy(compute);
      }
      await finish(result);
    },
    async outputs() {
      const laid = tf.tidy(() => isPicture ? tf.transpose(result, [0, 3, 1, 2]) : result.clone());
      const data = await laid.data() as Float32Array;
      return new Map<string, Numbers>([[output!.name, { shape: output!.shape, data }]]);
    },
  };
}

function padding(kernel: number): [[0, 0], [number, number], [number, number], [0, 0]] {
  const side: [number, number] = [(kernel - 1) / 2, (kernel - 1) / 2];
  return [[0, 0], side, side, [0, 0]];
}

/** Waits for a result without reading more than a number of it. */
async function finish(result: tf.Tensor): Promise<void> {
  const number = tf.tidy(() => tf.slice(tf.reshape(result, [-1]), [0], [1]));
  await number.data();
  number.dispose();
}

if (import.meta.main) await serve(open);
