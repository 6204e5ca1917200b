import { UsageError } from "../../errors.ts";
import { Gpu } from "../../gpu/device.ts";
import type { KernelOptions, KernelPolicy } from "../../gpu/kernel_policy.ts";
import { pipelineKey } from "../../gpu/recording.ts";
import { weightBytes } from "../../gpu/weights.ts";
import type { Parameter } from "../../graph/operation.ts";
import { elements } from "../../graph/shape.ts";
import type { Plan } from "../../graph/plan.ts";
import { FILM_STEPS } from "../../diffusion/session_graphs.ts";
import { frameGrids } from "../../model/frame_grids.ts";
import type { DescribedModel } from "../../pipeline/models/built_in.ts";
import { modelPolicy } from "../../pipeline/planning/compact.ts";
import {
  estimate,
  gpuBytes,
  hostBytes,
  type PlannedEncoder,
} from "../../pipeline/planning/estimate.ts";
import { SAMPLING } from "../../pipeline/parameters.ts";
import { resolveRequest, sessionShape } from "../../pipeline/request.ts";
import { formatBytes, formatFlops } from "../../units.ts";
import { type Described, openDescribed } from "../options/described_model.ts";
import {
  DEFAULT_MODEL,
  FILE_OPTIONS,
  KERNEL_OPTIONS,
  kernelOptions,
  LOW_MEMORY_OPTION,
  modelOptions,
  TEXT_OPTIONS,
} from "../options/model_option.ts";
import { type Command, integer, number, parse } from "../options/options.ts";
import { print, printJson } from "../terminal/output.ts";
import { table } from "../terminal/table.ts";

export const COMMAND = {
  name: "mdm info",
  summary: "Say what a model is, and what it takes to run it",
  usage: "[MODEL] [options]",
  options: [
    ...FILE_OPTIONS,
    ...TEXT_OPTIONS,
    LOW_MEMORY_OPTION,
    ...KERNEL_OPTIONS,
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
      default: String(SAMPLING.guidance.default),
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
    {
      description: "What a published model would take, without its files",
      command: "mdm info cc12m_1024x1024 --low-memory",
    },
  ],
} as const satisfies Command;

/** What a plan is made for. */
interface Device {
  readonly name: string;
  readonly policy: KernelPolicy;
}

/** Without an adapter, a plan is made for the simplest. */
const SOFTWARE: Device = {
  name: "a software adapter, for none was found",
  policy: { deviceClass: "software", subgroupSize: 0 },
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
  using opened = new DisposableStack();
  const { model, encoder, assumed } = await openDescribed(
    positionals[0] ?? DEFAULT_MODEL,
    modelOptions(values),
    opened,
  );
  const described = { ...describeModel(model, encoder), assumed };
  const planned = model.diffusion === null ? null : describePlan(model, encoder, {
    batch,
    guidance,
    ...size !== undefined && { size },
    device: await deviceFor(model, await kernelOptions(values)),
    lowMemory: values["low-memory"],
  });
  if (values.json) printJson({ ...described, plan: planned });
  else {
    print(modelText(described));
    if (planned !== null) print(`\n${planText(planned)}`);
  }
  return 0;
}

/** Without a device nothing is compiled or run: a plan only needs to know what there would be. */
async function deviceFor(
  { network }: DescribedModel,
  options: KernelOptions,
): Promise<Device> {
  try {
    using gpu = await Gpu.open();
    return { name: gpu.info.name, policy: modelPolicy(gpu.info, network, options) };
  } catch (error) {
    if (options.tuned !== undefined) throw error;
    return SOFTWARE;
  }
}

function describeModel(model: DescribedModel, encoder: PlannedEncoder | null) {
  const { path, config, diffusion, network, maxTokens } = model;
  const sampler = diffusion?.samplerConfig;
  return {
    path,
    kind: config.kind,
    parameters: count(network.parameters.values()),
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
    text: encoder === null ? null : {
      parameters: count(encoder.model.parameters.values()),
      layers: encoder.model.config.numLayers,
      width: encoder.model.config.dModel,
      vocabulary: encoder.model.config.vocabSize,
      maxTokens,
    },
  };
}

function modelText(model: ReturnType<typeof describeModel> & Pick<Described, "assumed">): string {
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
  const note = model.assumed === null ? "" : ` (built in; assumed: ${model.assumed})`;
  return `${path}${note}\n${table(rows, { left: 2 })}`;
}

interface PlanOptions {
  readonly batch: number;
  readonly guidance: number;
  readonly size?: number;
  readonly device: Device;
  readonly lowMemory: boolean;
}

function describePlan(
  model: DescribedModel,
  encoder: PlannedEncoder | null,
  { batch, guidance, size, device: { name, policy }, lowMemory }: PlanOptions,
) {
  const { config, diffusion, maxTokens } = model;
  const request = { prompt: "", guidance, batch, seed: 0, ...size !== undefined && { size } };
  const resolved = resolveRequest(request, config, diffusion);
  const shape = sessionShape(resolved, model, { slots: batch, tokens: maxTokens });
  const estimated = estimate(model, encoder, shape, policy);
  const { plans: { steps, ...others }, bytes } = estimated;
  const plans = { ...others, step: steps[0]! };
  return {
    device: name,
    batch,
    guidance,
    size: resolved.size,
    tokens: shape.tokens,
    lowMemory,
    parts: Object.fromEntries(
      Object.entries(plans).map(([name, part]) => [name, part && summary(part)]),
    ) as { [part in keyof typeof plans]: PlanSummary | null },
    /** Of the model, packed for the kernels; its parts share what they both read. */
    weightBytes: bytes.weights,
    /** Activations, and what is kept from step to step. */
    runBytes: bytes.run,
    /** Weights and activations of the text encoder. */
    textBytes: bytes.text,
    /** On the GPU when most is there. */
    gpuBytes: gpuBytes(estimated, lowMemory),
    /** Of the process, with the memory of a software adapter. */
    hostBytes: hostBytes(estimated, policy, lowMemory),
    pipelines: pipelineCount(Object.values(plans).filter((part) => part !== null)),
  };
}

interface PlanSummary {
  readonly dispatches: number;
  readonly flops: number;
  /** Bytes that dispatches read and write. */
  readonly traffic: number;
  readonly arenaBytes: number;
  readonly weightBytes: number;
  readonly pipelines: number;
}

function summary(part: Plan): PlanSummary {
  return {
    dispatches: part.calls.length,
    flops: part.flops,
    traffic: part.bytesMoved,
    arenaBytes: part.arenaBytes,
    weightBytes: weightBytes(part.weights),
    pipelines: pipelineCount([part]),
  };
}

function planText(planned: ReturnType<typeof describePlan>): string {
  const { device, batch, guidance, size, tokens, parts, lowMemory } = planned;
  const names = {
    textEncoder: "Text encoder, a prompt",
    conditioning: "Conditioning, a batch",
    films: `Times, every ${FILM_STEPS} steps`,
    firstNoise: "First noise, a batch",
    step: "Step",
  };
  const rows = Object.entries(names).flatMap(([name, title]) => {
    const part = parts[name as keyof typeof parts];
    return part === null ? [] : [[
      title,
      String(part.dispatches),
      formatFlops(part.flops),
      formatBytes(part.traffic),
      formatBytes(part.arenaBytes),
      formatBytes(part.weightBytes),
      String(part.pipelines),
    ]];
  });
  return [
    `Planned for ${device}: batch ${batch}, guidance ${guidance}, ${size}x${size}, ${tokens} tokens`,
    table([["", "dispatches", "work", "traffic", "arena", "weights", "pipelines"], ...rows]),
    `Memory, the text encoder ${lowMemory ? "before" : "beside"} the model`,
    table([
      ["The model's weights", formatBytes(planned.weightBytes)],
      [batch === 1 ? "A picture" : `A batch of ${batch}`, formatBytes(planned.runBytes)],
      ["The text encoder", formatBytes(planned.textBytes)],
      ["Together on the GPU, at most", formatBytes(planned.gpuBytes)],
      ["The process, about", formatBytes(planned.hostBytes)],
      ["Pipelines to compile", String(planned.pipelines)],
    ]),
  ].join("\n");
}

function pipelineCount(plans: readonly Plan[]): number {
  return new Set(plans.flatMap(({ calls }) => calls.map(pipelineKey))).size;
}

function count(parameters: Iterable<Parameter>): number {
  return [...parameters].reduce((sum, { shape }) => sum + elements(shape), 0);
}
