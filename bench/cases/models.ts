import { Safetensors } from "../../src/checkpoint/safetensors.ts";
import type { WrittenDtype } from "../../src/checkpoint/write_safetensors.ts";
import { Gpu } from "../../src/gpu/device.ts";
import { Pipelines } from "../../src/gpu/recording.ts";
import { Tensor } from "../../src/gpu/tensor.ts";
import { Weights } from "../../src/gpu/weights.ts";
import { Executable } from "../../src/graph/executable.ts";
import { elements } from "../../src/graph/lowering.ts";
import { type ModelConfig, parseModelConfig } from "../../src/model/config.ts";
import { modelJson } from "../../src/model/config_json.ts";
import { Network } from "../../src/model/network.ts";
import { presetConfig } from "../../src/model/presets.ts";
import type { RowText } from "../../src/model/text_inputs.ts";
import { channelsLast } from "../../src/verify/comparison.ts";
import nested2 from "../../tests/fixtures/golden/nested2/config.json" with { type: "json" };
import shapes32 from "../../weights/shapes32/config.json" with { type: "json" };
import { indices } from "../onnx/export.ts";
import { onnxShape } from "../onnx/layout.ts";
import type { Case, Numbers } from "./case.ts";
import { forwardGraphs, forwardSizes, pictures, readInput, writtenTensors } from "./forward.ts";
import { randomNumbers } from "./random.ts";

/** Rows of a guided picture: without its text and with it. */
const ROWS = 2;

/** Where in its schedule of 1000 steps the picture is. */
const TIME = 421;

/** Whole models: a forward pass of one guided picture. */
export function modelCases(): Case[] {
  return [
    model("shapes32", {
      config: parseModelConfig(shapes32, "shapes32"),
      checkpoint: new URL("../../weights/shapes32/model.safetensors", import.meta.url).pathname,
      size: 32,
      tokens: 32,
    }),
    model("nested2 of 64 channels", { config: widened(2), size: 64, tokens: 32 }),
    model("nested2 of 128 channels", { config: widened(4), size: 64, tokens: 32 }),
    model("cc12m_64x64", {
      config: parseModelConfig(presetConfig("cc12m_64x64").model, "cc12m_64x64"),
      size: 64,
      tokens: 128,
      dtype: "F16",
      large: true,
    }),
  ];
}

/** The model of the golden data, whose outer UNet has 32 channels, with `times` as many everywhere. */
function widened(times: number): ModelConfig {
  const wide = (unet: { resolution_channels: number[] }) => ({
    ...unet,
    resolution_channels: unet.resolution_channels.map((channels) => channels * times),
  });
  const { unet_config: outer, ...rest } = nested2;
  const inner = wide(outer.inner_config);
  return parseModelConfig(
    { ...rest, unet_config: { ...wide(outer), inner_config: inner } },
    "nested2",
  );
}

interface ModelOptions {
  readonly config: ModelConfig;
  readonly checkpoint?: string;
  /** Width and height of the outermost picture. */
  readonly size: number;
  readonly tokens: number;
  readonly dtype?: WrittenDtype;
  readonly large?: boolean;
}

function model(name: string, options: ModelOptions): Case {
  const { config, checkpoint = null, size, tokens, dtype = "F32", large = false } = options;
  const network = new Network(config);
  const sizes = forwardSizes(ROWS, tokens);
  const shapes = pictures(network, ROWS, size);
  const graphs = () => forwardGraphs(network, sizes, shapes);

  /** A forward pass in the layout of the golden data; the text of the first row is half as long. */
  const forward = (): Map<string, Numbers> => {
    const noisy = shapes.map((shape, level) => {
      const channelsSecond = onnxShape(shape);
      const data = randomNumbers(`${name} ${level}`, channelsSecond);
      return [`x_t.${level}`, { shape: channelsSecond, data }] as const;
    });
    const mask = Float32Array.from({ length: ROWS * tokens }, (_, i) => Number(i >= tokens / 2));
    const width = config.conditioningFeatureDim;
    const features = randomNumbers(`${name} text`, [ROWS, tokens, width])
      .map((x, i) => x * mask[Math.floor(i / width)]!);
    return new Map<string, Numbers>([
      ...noisy,
      ["times", { shape: [ROWS], data: new Float32Array(ROWS).fill(TIME) }],
      ["lm_outputs", { shape: [ROWS, tokens, width], data: features }],
      ["lm_mask", { shape: [ROWS, tokens], data: mask }],
    ]);
  };

  /** The inputs of a step, of which our own engine computes those that are computed once a prompt. */
  const inputs = async (weightsPath: string) => {
    const given = forward();
    const { before, step } = graphs();
    using gpu = await Gpu.open();
    using pipelines = new Pipelines(gpu);
    using file = await Safetensors.open(weightsPath);
    using weights = new Weights(gpu, file);
    const times = given.get("times")!.data;
    const tensors = writtenTensors(gpu, network, sizes, { texts: rowTexts(given, tokens), times });
    for (const graph of before) {
      for (const [output, { shape }] of graph.outputs) {
        tensors.set(output, new Tensor(gpu, output, shape));
      }
      using executable = await Executable.make(graph, { pipelines, weights, tensors });
      executable.submit();
      await gpu.finish();
    }
    const ids = indices(step);
    const numbers = new Map<string, Float32Array>();
    for (const [input, value] of step.inputs) {
      const picture = given.get(input);
      numbers.set(
        input,
        picture === undefined
          ? await readInput(tensors.get(input)!, ids.has(value))
          : channelsLast(picture.data, picture.shape),
      );
    }
    return numbers;
  };

  return {
    name,
    group: "model",
    large,
    checkpoint,
    dtype,
    graph: () => graphs().step,
    parameters: () => [...network.parameters.values()],
    inputs,
    reference: { config: modelJson(config), forward },
  };
}

function rowTexts(given: ReadonlyMap<string, Numbers>, tokens: number): RowText[] {
  const { data: mask } = given.get("lm_mask")!;
  const { data: features } = given.get("lm_outputs")!;
  const width = elements(given.get("lm_outputs")!.shape.slice(2));
  return Array.from({ length: ROWS }, (_, row) => ({
    features: features.subarray(row * tokens * width, (row + 1) * tokens * width),
    length: tokens,
    mask: mask.subarray(row * tokens, (row + 1) * tokens),
  }));
}
