import type { ThresholdType } from "../../diffusion/config.ts";
import { SAMPLERS } from "../../diffusion/samplers/mod.ts";
import { THRESHOLD_NAMES } from "../../diffusion/thresholds.ts";
import { UsageError } from "../../errors.ts";
import { DEFAULT_FPS, FASTEST } from "../../media/animation.ts";
import type { ModelConfig } from "../../model/config.ts";
import { makesVideos } from "../../model/frame_grids.ts";
import { levelOf } from "../../pipeline/level_files.ts";
import { type GeneratedImage, Pipeline } from "../../pipeline/pipeline.ts";
import { type ModelIdentity, modelIdentity } from "../../pipeline/recipe.ts";
import {
  DEFAULT_BATCH,
  DEFAULT_GUIDANCE,
  type GenerateRequest,
  MAX_COUNT,
  type ResolvedRequest,
} from "../../pipeline/request.ts";
import { truncationMessage } from "../../pipeline/prompts.ts";
import { Interrupted } from "../terminal/interrupt.ts";
import {
  DEFAULT_MODEL,
  FILE_OPTIONS,
  KERNEL_OPTIONS,
  kernelOptions,
  LOW_MEMORY_OPTION,
  MEMORY_OPTION,
  memoryOf,
  MODEL_OPTION,
  modelOptions,
  TEXT_FEATURES_OPTION,
  TEXT_OPTIONS,
} from "../options/model_option.ts";
import { type Command, integer, number, oneOf, parse, type Values } from "../options/options.ts";
import { print, printJson, quoted, warn } from "../terminal/output.ts";
import {
  chooseFramesOutput,
  choosePictureOutput,
  chooseVideoOutput,
  type Output,
  slug,
  writeLevels,
} from "../output_files.ts";
import { Progress } from "../terminal/progress.ts";
import { readPrompts } from "../prompts_file.ts";
import { cacheOf, intervalOf, SAMPLER_NAMES } from "../options/sampling_option.ts";

export const COMMAND = {
  name: "mdm generate",
  summary: "Make pictures or videos from text",
  usage: `"PROMPT"... [options]`,
  options: [
    MODEL_OPTION,
    {
      long: "output",
      short: "o",
      value: "PATH",
      description:
        "A file (.png, .jpg, .jpeg or .webp; a video: .mp4, .gif, .webp or .png), which is written over; " +
        "or a folder (one that exists, or a name that ends with /), " +
        "where each picture or video is named after its prompt and seed and takes no other one's place. Without it: this folder",
    },
    { long: "count", short: "n", value: "N", description: "Pictures of each prompt", default: "1" },
    {
      long: "seed",
      short: "s",
      value: "N",
      description:
        "The same seed gives the same picture; the pictures after the first take the numbers that follow. Without it: by chance",
    },
    {
      long: "steps",
      value: "N",
      description: `Denoising steps. Without it: ${
        SAMPLER_NAMES.map((name) => `${SAMPLERS[name].defaultSteps} for ${name}`).join(", ")
      }`,
    },
    {
      long: "sampler",
      value: "NAME",
      description: SAMPLER_NAMES.map((name) => SAMPLERS[name].description).join("; "),
      default: "dpm++",
    },
    {
      long: "eta",
      value: "X",
      description: "With --sampler ddim: the share of DDPM's noise, 0 to 1",
    },
    {
      long: "guidance",
      short: "g",
      value: "X",
      description: "How much more the text counts than no text; 1: no guidance, twice as fast",
      default: String(DEFAULT_GUIDANCE),
    },
    {
      long: "guidance-interval",
      value: "LO,HI",
      description:
        "Guide only at steps whose time lies between, from 0 (the picture) to 1 (noise); the others take half the time. Without it: at every step",
    },
    {
      long: "negative",
      value: "TEXT",
      description: "What the pictures should not show; needs guidance",
    },
    {
      long: "threshold",
      value: "NAME",
      description: `How each step's estimate is kept in the range of colours: ${
        Object.keys(THRESHOLD_NAMES).join(", ")
      }. Without it: the model's own`,
    },
    {
      long: "size",
      value: "N",
      description:
        "Width and height in pixels, of a video those of the square that its frames make together. Without it: the model's own",
    },
    {
      long: "cache",
      value: "N",
      description:
        "Of a model with inner resolutions: run their UNets at every Nth step only. Quicker, and the picture changes a little",
    },
    {
      long: "cache-error",
      value: "X",
      description:
        "The same, as seldom as the change that is missed stays below a share such as 0.1; pictures are made one at a time",
    },
    {
      long: "batch",
      value: "N",
      description: "Pictures that are denoised together, as memory allows",
      default: String(DEFAULT_BATCH),
    },
    {
      long: "levels",
      description:
        "Write the inner resolutions as well: name-16x16.png beside name.png; of a video name-8x8x16.mp4 where it has 16 frames, " +
        "name-8x8.png where it is one picture",
    },
    {
      long: "fps",
      value: "N",
      description: `Frames a second of a video, 1 to ${FASTEST}. Without it: ${DEFAULT_FPS}`,
    },
    {
      long: "frames",
      description:
        "Write a folder of PNGs, frame-01.png and so on, for each video; --output is its name, or a folder for several",
    },
    {
      long: "prompts",
      value: "FILE",
      description: "Read prompts from a file, one a line; lines that begin with # are left out",
    },
    ...FILE_OPTIONS,
    ...TEXT_OPTIONS,
    TEXT_FEATURES_OPTION,
    MEMORY_OPTION,
    LOW_MEMORY_OPTION,
    ...KERNEL_OPTIONS,
    { long: "json", description: "Print one JSON document instead of the paths" },
    { long: "quiet", short: "q", description: "Show no progress" },
  ],
  examples: [
    { description: "A picture", command: `mdm generate "a red circle on a blue background"` },
    {
      description: "Four of each prompt in a folder, the same ones every time",
      command: `mdm generate "a green star" "a white ring" -n 4 --seed 7 -o pictures/`,
    },
    {
      description: "As the model's authors sampled it, slowly",
      command: `mdm generate "a small pink cross" --sampler ddpm --steps 250 -o cross.png`,
    },
    {
      description: "Not this, and stronger",
      command: `mdm generate "a star on a gray background" --negative "a yellow star" -g 6`,
    },
    {
      description: "A published checkpoint as it was downloaded, where memory is short",
      command:
        `mdm generate "a castle" -m vis_model_64x64.pth --config cc12m_64x64 --text-encoder flan-t5-xl --low-memory --memory 4GB`,
    },
    {
      description: "A video, with a model that makes them",
      command: `mdm generate "a balloon rises" --model models/balloons --fps 12 -o balloon.gif`,
    },
  ],
} as const satisfies Command;

/** A picture's files, as `--json` lists them. */
interface WrittenPicture {
  readonly prompt: string;
  readonly seed: string;
  readonly files: readonly {
    path: string;
    width: number;
    height: number;
    frames?: number;
    fps?: number;
  }[];
}

/** Makes pictures and writes each as soon as it is ready. */
export async function run(argv: readonly string[], signal: AbortSignal): Promise<number> {
  const { values, positionals } = parse(COMMAND, argv);
  const request = await readRequest(values, positionals);
  const loading = performance.now();
  await using pipeline = await Pipeline.load(values.model ?? DEFAULT_MODEL, {
    ...modelOptions(values),
    ...await kernelOptions(values),
    lowMemory: values["low-memory"],
    ...values.memory !== undefined && { memory: memoryOf(values.memory) },
  });
  const resolved = pipeline.resolve(request);
  const output = await chooseOutput(values, resolved.jobs.length, pipeline.folder.config);
  const model = modelIdentity(pipeline.folder, request.textFeatures);
  model.catch(() => {}); // Awaited when the first picture is there.

  const generating = performance.now();
  const written: WrittenPicture[] = [];
  const progress = new Progress({
    label: "Sampling",
    total: Math.ceil(resolved.jobs.length / resolved.batch) * resolved.plan.times.length,
    quiet: values.quiet,
  });
  try {
    progress.update(0);
    const { textFeatures } = request;
    for await (const event of pipeline.run(resolved, { textFeatures, signal })) {
      if (event.kind === "truncated") warn(truncationMessage(event.truncation));
      if (event.kind === "progress") progress.update(event.step);
      if (event.kind !== "image") continue;
      written.push(await write(event.image, resolved, output, await model, values.levels));
      progress.clear();
      if (!values.json) written.at(-1)!.files.forEach(({ path }) => print(path));
    }
  } catch (error) {
    throw error instanceof Interrupted && written.length > 0
      ? new Interrupted(
        error.signal,
        `${written.length} of ${resolved.jobs.length} ${
          output.medium === "image" ? "pictures" : "videos"
        } were written`,
      )
      : error;
  } finally {
    progress.end();
  }
  if (values.json) {
    printJson({
      pictures: written,
      settings: { ...settings(resolved), ...await model },
      timings: {
        startMs: round(loading),
        loadMs: round(generating - loading),
        generateMs: round(performance.now() - generating),
      },
    });
  }
  return 0;
}

async function readRequest(
  values: Values<typeof COMMAND>,
  positionals: readonly string[],
): Promise<GenerateRequest> {
  const prompts = [
    ...positionals,
    ...values.prompts === undefined ? [] : await readPrompts(values.prompts),
  ];
  if (prompts.length === 0) {
    throw new UsageError(
      `No prompt was given: say what the picture should show, as in mdm generate "a red circle".`,
    );
  }
  const { seed, steps, eta, threshold, size, negative, "text-features": textFeatures } = values;
  const interval = values["guidance-interval"];
  return {
    prompt: prompts,
    count: integer(values.count, { name: "--count", min: 1, max: MAX_COUNT }),
    ...seed !== undefined && { seed: wholeNumber(seed) },
    sampler: oneOf(values.sampler, { name: "--sampler", names: SAMPLER_NAMES }),
    ...steps !== undefined && { steps: integer(steps, { name: "--steps", min: 1 }) },
    ...eta !== undefined && { eta: number(eta, { name: "--eta", min: 0, max: 1 }) },
    guidance: number(values.guidance, { name: "--guidance", min: 0 }),
    ...interval !== undefined && { guidanceInterval: intervalOf(interval) },
    ...cacheOf(values),
    ...negative !== undefined && { negative },
    ...threshold !== undefined && { threshold: thresholdOf(threshold) },
    ...size !== undefined && { size: integer(size, { name: "--size", min: 1 }) },
    ...textFeatures !== undefined && { textFeatures },
    batch: integer(values.batch, { name: "--batch", min: 1 }),
  };
}

/** Seeds have 64 bits, more than a number holds. */
function wholeNumber(seed: string): bigint {
  if (/^\d{1,20}$/.test(seed)) return BigInt(seed);
  throw new UsageError(
    `Option "--seed" needs a whole number from 0 to 2^64 - 1, not ${quoted(seed)}.`,
  );
}

function thresholdOf(value: string): ThresholdType {
  const names = Object.keys(THRESHOLD_NAMES) as (keyof typeof THRESHOLD_NAMES)[];
  return THRESHOLD_NAMES[oneOf(value, { name: "--threshold", names })];
}

async function chooseOutput(
  { output, fps, frames }: Values<typeof COMMAND>,
  count: number,
  config: ModelConfig,
): Promise<Output> {
  const rate = fps === undefined
    ? DEFAULT_FPS
    : integer(fps, { name: "--fps", min: 1, max: FASTEST });
  if (!makesVideos(config)) {
    if (fps === undefined && !frames) return await choosePictureOutput(output, count);
    throw new UsageError(
      `The model makes pictures, not videos: leave out ${frames ? "--frames" : "--fps"}.`,
    );
  }
  if (!frames) return await chooseVideoOutput(output, count, { fps: rate, standard: "mp4" });
  if (fps === undefined) return await chooseFramesOutput(output, count);
  throw new UsageError("A folder of frames has no rate: leave out --fps or --frames.");
}

async function write(
  picture: GeneratedImage,
  resolved: ResolvedRequest,
  output: Output,
  model: ModelIdentity,
  all: boolean,
): Promise<WrittenPicture> {
  const { prompt, seed } = picture;
  const { medium } = output;
  const levels = picture.levels.slice(0, all ? undefined : 1)
    .map((_, level) => levelOf(picture, level, { resolved, model, medium }));
  const paths = await writeLevels(output, `${slug(prompt)}-${seed}`, levels);
  const files = levels.map(({ frames }, i) => {
    const { width, height } = frames[0]!;
    const rate = medium === "video" && frames.length > 1 && { fps: output.fps };
    return {
      path: paths[i]!,
      width,
      height,
      ...medium !== "image" && { frames: frames.length },
      ...rate,
    };
  });
  return { prompt, seed: String(seed), files };
}

function settings({ jobs, plan: _, ...rest }: ResolvedRequest) {
  return { negative: jobs[0]!.negative, ...rest };
}

function round(ms: number): number {
  return Math.round(ms * 10) / 10;
}
