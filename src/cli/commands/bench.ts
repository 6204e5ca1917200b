import process from "node:process";
import { UsageError } from "../../errors.ts";
import { median } from "../../median.ts";
import { encodeImage } from "../../media/image.ts";
import { Pipeline, type Stage } from "../../pipeline/pipeline.ts";
import { SAMPLING } from "../../pipeline/parameters.ts";
import type { GenerateRequest } from "../../pipeline/request.ts";
import { formatBytes, formatFlops } from "../../units.ts";
import {
  DEFAULT_MODEL,
  FILE_OPTIONS,
  KERNEL_OPTIONS,
  kernelOptions,
  LOW_MEMORY_OPTION,
  modelOptions,
  TEXT_OPTIONS,
} from "../options/model_option.ts";
import { warnIfSlow } from "../terminal/slow_driver.ts";
import { type Command, integer, number, parse } from "../options/options.ts";
import { print, printJson } from "../terminal/output.ts";
import { table } from "../terminal/table.ts";

export const COMMAND = {
  name: "mdm bench",
  summary: "Measure the time to the first picture, the time a step and the memory",
  usage: "[MODEL] [options]",
  options: [
    { long: "steps", value: "N", description: "Steps of dpm++", default: "20" },
    { long: "batch", value: "N", description: "Pictures at a time", default: "1" },
    {
      long: "guidance",
      short: "g",
      value: "X",
      description: "The guidance; 1: none",
      default: String(SAMPLING.guidance.default),
    },
    {
      long: "runs",
      value: "N",
      description: "Runs after the first one; the time a step is their median",
      default: "5",
    },
    { long: "prompt", value: "TEXT", description: "The prompt", default: "a red circle" },
    ...FILE_OPTIONS,
    ...TEXT_OPTIONS,
    LOW_MEMORY_OPTION,
    ...KERNEL_OPTIONS,
    { long: "json", description: "Print one JSON document instead of tables" },
  ],
  examples: [
    {
      description: "The small model that mdm brings along; the second time, drivers have a cache",
      command: "mdm bench",
    },
    {
      description: "How the time a step grows with the batch",
      command: "mdm bench --batch 4 --runs 9",
    },
  ],
} as const satisfies Command;

/** What happens until the first picture is there, and how a table calls it. */
const PARTS = {
  process: "Deno starts",
  modules: "Modules load",
  model: "Model's files open",
  device: "Device opens",
  tokenizer: "Tokenizer opens",
  text: "Text is encoded, its kernels compile",
  weights: "Weights load, steps are planned",
  sampling: "First step, its kernels compile",
  steps: "Other steps",
  reading: "Picture is read and encoded",
} as const satisfies Record<Stage | "process" | "modules" | "steps", string>;

type Part = keyof typeof PARTS;

/** Measures a cold start and then warm runs. */
export async function run(argv: readonly string[], signal: AbortSignal): Promise<number> {
  const began = performance.now();
  const { values, positionals } = parse(COMMAND, argv);
  if (positionals[0] === "serve") {
    throw new UsageError(
      `A server is measured by "deno task bench:serve", in the folder of mdm's source. For a model in a folder "serve": mdm bench ./serve`,
    );
  }
  if (positionals.length > 1) {
    throw new UsageError(`Give one model's folder, as in "mdm bench weights/shapes32".`);
  }
  const count = integer(values.batch, { name: "--batch", min: 1, max: 1024 });
  const request = {
    prompt: values.prompt,
    seed: 1,
    count,
    batch: count,
    steps: integer(values.steps, { name: "--steps", min: 1 }),
    guidance: number(values.guidance, { name: "--guidance", min: 0 }),
    signal,
  };
  const runs = integer(values.runs, { name: "--runs", min: 1, max: 1000 });

  const clock = new Clock();
  const path = positionals[0] ?? DEFAULT_MODEL;
  await using pipeline = await Pipeline.load(path, {
    ...modelOptions(values),
    ...await kernelOptions(values),
    lowMemory: values["low-memory"],
    onStage: (stage) => clock.begin(stage),
  });
  warnIfSlow(pipeline.gpu.info);
  await makePictures(pipeline, request, clock);
  const cold = clock.stop();
  const warm: Map<Part, number>[] = [];
  for (let i = 0; i < runs; i++) {
    await makePictures(pipeline, { ...request, seed: 2 + i * count }, clock);
    warm.push(clock.stop());
  }

  const started = performance.getEntriesByName("main")[0]?.startTime ?? began;
  const parts = { process: started, modules: began - started, ...Object.fromEntries(cold) };
  const step = median(
    warm.map((times) => (times.get("sampling")! + times.get("steps")!) / request.steps),
  );
  report(values.json, {
    model: path,
    device: pipeline.gpu.info.name,
    ...{ steps: request.steps, batch: count, guidance: request.guidance, runs },
    firstPictureMs: Object.values(parts).reduce((sum, ms) => sum + ms, 0),
    parts,
    msPerStep: step,
    gflopPerStep: pipeline.stepFlops / 1e9,
    gflopsPerSecond: pipeline.stepFlops / 1e6 / step,
    weightBytes: pipeline.bytes.weights,
    runBytes: pipeline.bytes.run,
    textBytes: pipeline.bytes.text,
    pipelines: pipeline.pipelineCount,
    peakRssBytes: peakRss(clock.largestRss),
  });
  return 0;
}

/** What the system counted before we did anything. */
const INHERITED_RSS = process.resourceUsage().maxRSS;

/**
 * The most memory that the process has had. Linux begins its count with that of the process that started this one; where
 * that was larger, what we saw ourselves has to do.
 */
function peakRss(seen: number): number {
  const { maxRSS } = process.resourceUsage();
  return maxRSS > INHERITED_RSS ? maxRSS * 1024 : seen;
}

/** Times parts that follow each other. */
class Clock {
  /** The most memory there was when a part began. */
  largestRss = 0;
  #times = new Map<Part, number>();
  #part: Part | null = null;
  #since = 0;

  /** Ends the part before. */
  begin(part: Part | null): void {
    const now = performance.now();
    if (this.#part !== null) {
      this.#times.set(this.#part, (this.#times.get(this.#part) ?? 0) + now - this.#since);
    }
    this.largestRss = Math.max(this.largestRss, Deno.memoryUsage().rss);
    this.#part = part;
    this.#since = performance.now();
  }

  /** Gives the milliseconds of each part since the last stop. */
  stop(): Map<Part, number> {
    this.begin(null);
    const times = this.#times;
    this.#times = new Map();
    return times;
  }
}

/** Makes pictures as `mdm generate` does, but for writing them. */
async function makePictures(
  pipeline: Pipeline,
  request: GenerateRequest,
  clock: Clock,
): Promise<void> {
  for await (const event of pipeline.generate(request)) {
    if (event.kind === "progress" && event.step === 1) {
      await pipeline.gpu.finish();
      clock.begin("steps");
    }
    if (event.kind === "image") await encodeImage(event.image.levels[0]!, "png");
  }
}

interface Report {
  readonly model: string;
  readonly device: string;
  readonly steps: number;
  readonly batch: number;
  readonly guidance: number;
  readonly runs: number;
  readonly firstPictureMs: number;
  readonly parts: Readonly<Record<string, number>>;
  readonly msPerStep: number;
  readonly gflopPerStep: number;
  readonly gflopsPerSecond: number;
  readonly weightBytes: number;
  readonly runBytes: number;
  readonly textBytes: number;
  readonly pipelines: number;
  readonly peakRssBytes: number;
}

function report(json: boolean, measured: Report): void {
  if (json) return printJson(measured);
  const { model, device, steps, batch, guidance, runs, parts } = measured;
  const ms = (value: number) => `${value.toFixed(value < 100 ? 1 : 0)} ms`;
  print(`${model} on ${device}: ${steps} steps, batch ${batch}, guidance ${guidance}`);
  print("\nFrom the start of the process to the first picture");
  print(table([
    ...Object.entries(parts).map(([part, time]) => [PARTS[part as Part], ms(time)]),
    ["Together", ms(measured.firstPictureMs)],
  ]));
  print(`\nAfter that, the median of ${runs} runs`);
  print(table([
    ["A step", ms(measured.msPerStep)],
    ["Work of a step", formatFlops(measured.gflopPerStep * 1e9)],
    ["Speed", `${measured.gflopsPerSecond.toFixed(1)} GFLOP/s`],
  ]));
  print("\nMemory");
  print(table([
    ["Weights on the device", formatBytes(measured.weightBytes)],
    ["All else of a run on it", formatBytes(measured.runBytes)],
    ["The text encoder on it", formatBytes(measured.textBytes)],
    ["Compiled pipelines", String(measured.pipelines)],
    ["The process at its largest", formatBytes(measured.peakRssBytes)],
  ]));
}
