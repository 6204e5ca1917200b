import { readJson } from "../checkpoint/json.ts";
import { sessionGraphs } from "../diffusion/session.ts";
import { UsageError } from "../errors.ts";
import { Gpu, type GpuInfo } from "../gpu/device.ts";
import { byteLength, type Graph, type Parameter } from "../graph/graph.ts";
import { elements } from "../graph/lowering.ts";
import { type Plan, plan } from "../graph/plan.ts";
import { frameGrids } from "../model/frame_grids.ts";
import { T5Encoder } from "../model/t5.ts";
import { parseT5Config } from "../model/t5_config.ts";
import { ModelSource } from "../pipeline/model_source.ts";
import { DEFAULT_GUIDANCE, resolveRequest, sessionShape } from "../pipeline/request.ts";
import { textGraph } from "../text/text_encoder.ts";
import { formatBytes, formatFlops } from "../units.ts";
import { DEFAULT_MODEL } from "./model_option.ts";
import { type Command, integer, number, parse } from "./options.ts";
import { print, printJson } from "./output.ts";
import { table } from "./table.ts";

export const COMMAND = {
  name: "mdm info",
  summary: "Say what a model is, and what it takes to run it",
  usage: "[MODEL] [options]",
  options: [
    {
      long: "batch",
      value: "N",
      description: "Plan for so many pictures at a time",
      default: "1",
    },
    {
      long: "guidance",
      short: "g",
      value: "X",
      description: "Plan for a guidance; 1: none, which halves the work",
      default: String(DEFAULT_GUIDANCE),
    },
    {
      long: "size",
      value: "N",
      description: "Plan for a width and height in pixels. Without it: the model's own",
    },
    { long: "json", description: "Print one JSON document instead of tables" },
  ],
  examples: [
    { description: "The small model that mdm brings along", command: "mdm info" },
    {
      description: "Whether a batch of 8 fits into the memory of this GPU",
      command: "mdm info models/cc12m_64x64 --batch 8",
    },
  ],
} as const satisfies Command;

/** Where there is no adapter, a plan is made for the simplest. */
const SOFTWARE: Pick<GpuInfo, "name" | "deviceClass" | "subgroupSize"> = {
  name: "a software adapter, for none was found",
  deviceClass: "software",
  subgroupSize: 0,
};

/** Describes a model and plans it; no weights are read. */
export async function run(argv: readonly string[]): Promise<number> {
  const { values, positionals } = parse(COMMAND, argv);
  if (positionals.length > 1) {
    throw new UsageError(`Give one model's folder, as in "mdm info weights/shapes32".`);
  }
  const batch = integer(values.batch, { name: "--batch", min: 1, max: 1024 });
  const guidance = number(values.guidance, { name: "--guidance", min: 0 });
  const size = values.size === undefined
    ? undefined
    : integer(values.size, { name: "--size", min: 1 });
  using folder = await ModelSource.open(positionals[0] ?? DEFAULT_MODEL);
  const encoder = await openEncoder(folder);
  const model = describeModel(folder, encoder);
  const planned = folder.diffusion === null ? null : describePlan(folder, encoder, {
    batch,
    guidance,
    ...size !== undefined && { size },
    gpu: await gpuInfo(),
  });
  if (values.json) printJson({ ...model, plan: planned });
  else {
    print(modelText(model));
    if (planned !== null) print(`\n${planText(planned)}`);
  }
  return 0;
}

async function openEncoder({ text }: ModelSource): Promise<T5Encoder | null> {
  if (text === null) return null;
  const path = `${text.encoder}/config.json`;
  return new T5Encoder(parseT5Config(await readJson(path), path));
}

/** Without a device nothing is compiled or run: a plan only needs to know what there would be. */
async function gpuInfo() {
  try {
    using gpu = await Gpu.open();
    return gpu.info;
  } catch {
    return SOFTWARE;
  }
}

function describeModel(folder: ModelSource, encoder: T5Encoder | null) {
  const { path, config, diffusion, network, text } = folder;
  const sampler = diffusion?.samplerConfig;
  return {
    path,
    kind: config.kind,
    parameters: folder.parameterCount,
    imageSize: config.imageSize ?? null,
    /** Sides of the resolutions in relation to the innermost, outermost first. */
    levels: [...config.nestRatio, 1],
    /** Frames of each resolution, which lie in its pictures as a square; 1: no video. */
    frames: frameGrids(config).map((grid) => grid * grid),
    unets: network.unet.unets.map(({ path, config }) => ({
      path,
      channels: config.resolutionChannels,
      resnets: config.numResnetsPerResolution,
      attentionLevels: config.attentionLevels,
    })),
    diffusion: sampler === undefined ? null : {
      schedule: sampler.scheduleType,
      steps: sampler.numDiffusionSteps,
      prediction: sampler.predictionType,
      threshold: sampler.thresholdFunction,
    },
    text: encoder === null || text === null ? null : {
      parameters: count(encoder.parameters.values()),
      layers: encoder.config.numLayers,
      width: encoder.config.dModel,
      vocabulary: encoder.config.vocabSize,
      maxTokens: text.maxTokens,
    },
  };
}

function modelText(model: ReturnType<typeof describeModel>): string {
  const { path, kind, parameters, imageSize, levels, frames, unets, diffusion, text } = model;
  const innermost = imageSize === null ? null : imageSize / levels[0]!;
  const sizes = levels.map((ratio, level) => {
    const count = frames[level]!;
    if (innermost === null) {
      return `${ratio} x innermost${count === 1 ? "" : ` (${count} frames)`}`;
    }
    const side = ratio * innermost;
    const frame = side / Math.sqrt(count);
    return `${side}x${side}${count === 1 ? "" : ` (${count} frames of ${frame}x${frame})`}`;
  });
  const rows = [
    ["Kind", kind],
    ["Parameters", parameters.toLocaleString("en")],
    ["Resolutions", sizes.join(", ")],
    ...unets.map(({ path, channels, resnets, attentionLevels }) => [
      path === "" ? "UNet" : path,
      `channels ${channels.join(", ")}; ResNets ${resnets.join(", ")}; attention at ${
        attentionLevels.length === 0 ? "none" : attentionLevels.join(", ")
      }`,
    ]),
    [
      "Diffusion",
      diffusion === null
        ? `none in config.json: it can be verified, not sampled`
        : `${diffusion.schedule}, ${diffusion.steps} steps, predicts ${diffusion.prediction}, threshold ${diffusion.threshold}`,
    ],
    [
      "Text encoder",
      text === null
        ? "none"
        : `T5, ${
          text.parameters.toLocaleString("en")
        } parameters, ${text.layers} layers of ${text.width}, ${text.vocabulary} pieces, at most ${text.maxTokens} tokens`,
    ],
  ];
  return `${path}\n${table(rows, { left: 2 })}`;
}

interface PlanOptions {
  readonly batch: number;
  readonly guidance: number;
  readonly size?: number;
  readonly gpu: Pick<GpuInfo, "name" | "deviceClass" | "subgroupSize">;
}

function describePlan(
  folder: ModelSource,
  encoder: T5Encoder | null,
  { batch, guidance, size, gpu }: PlanOptions,
) {
  const { config, diffusion, network, text } = folder;
  const request = { prompt: "", guidance, batch, seed: 0, ...size !== undefined && { size } };
  const resolved = resolveRequest(request, config, diffusion);
  const tokens = text?.maxTokens ?? 1;
  const shape = sessionShape(resolved, folder, { slots: batch, tokens });
  const graphs = sessionGraphs(network, shape);
  const isHalf = (name: string) => folder.file.tensors.get(name)?.dtype === "F16";
  const planned = (graph: Graph) => plan(graph, { gpu, isHalf });
  const textPlan = encoder === null ? null : planned(textGraph(encoder, shape.tokens));
  const parts = {
    textEncoder: textPlan,
    conditioning: planned(graphs.conditioning),
    firstNoise: planned(graphs.start),
    step: planned(graphs.step),
  };
  const session = [parts.conditioning, parts.firstNoise, parts.step];
  const all = textPlan === null ? session : [textPlan, ...session];
  return {
    device: gpu.name,
    batch,
    guidance,
    size: resolved.size,
    tokens: shape.tokens,
    parts: Object.fromEntries(
      Object.entries(parts).map(([name, part]) => [name, part && summary(part)]),
    ) as { [part in keyof typeof parts]: PlanSummary | null },
    /** Packed for the kernels; graphs of one model share what they both read. */
    weightBytes: weightBytes(session) + (textPlan === null ? 0 : weightBytes([textPlan])),
    /** Activations, and what is kept from step to step. */
    runBytes: session.reduce((sum, { arenaBytes }) => sum + arenaBytes, 0) +
      [...graphs.tensors.values()].reduce((sum, shape) => sum + byteLength(shape), 0),
    pipelines: pipelineCount(all),
  };
}

interface PlanSummary {
  readonly dispatches: number;
  readonly flops: number;
  readonly arenaBytes: number;
  readonly weightBytes: number;
  readonly pipelines: number;
}

function summary(part: Plan): PlanSummary {
  return {
    dispatches: part.calls.length,
    flops: part.flops,
    arenaBytes: part.arenaBytes,
    weightBytes: weightBytes([part]),
    pipelines: pipelineCount([part]),
  };
}

function planText(planned: ReturnType<typeof describePlan>): string {
  const { device, batch, guidance, size, tokens, parts, weightBytes, runBytes, pipelines } =
    planned;
  const names = {
    textEncoder: "Text encoder, a prompt",
    conditioning: "Conditioning, a batch",
    firstNoise: "First noise, a batch",
    step: "Step",
  };
  const rows = Object.entries(names).flatMap(([name, title]) => {
    const part = parts[name as keyof typeof parts];
    return part === null ? [] : [[
      title,
      String(part.dispatches),
      formatFlops(part.flops),
      formatBytes(part.arenaBytes),
      formatBytes(part.weightBytes),
      String(part.pipelines),
    ]];
  });
  return [
    `Planned for ${device}: batch ${batch}, guidance ${guidance}, ${size}x${size}, ${tokens} tokens`,
    table([["", "dispatches", "work", "arena", "weights", "pipelines"], ...rows]),
    `  Together ${formatBytes(weightBytes)} of weights, ${
      formatBytes(runBytes)
    } for a batch, ${pipelines} pipelines to compile`,
  ].join("\n");
}

function weightBytes(plans: readonly Plan[]): number {
  const weights = new Map(plans.flatMap((part) => part.weights.map((w) => [w.key, w] as const)));
  return [...weights.values()].reduce((sum, { packing }) => sum + packing.bytes, 0);
}

function pipelineCount(plans: readonly Plan[]): number {
  const variants = plans.flatMap(({ calls }) =>
    calls.map(({ kernel, constants }) => `${kernel.name} ${JSON.stringify(constants)}`)
  );
  return new Set(variants).size;
}

function count(parameters: Iterable<Parameter>): number {
  return [...parameters].reduce((sum, { shape }) => sum + elements(shape), 0);
}
