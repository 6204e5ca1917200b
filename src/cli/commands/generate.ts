import { UsageError } from "../../errors.ts";
import { DEFAULT_FPS } from "../../media/animation.ts";
import type { ModelConfig } from "../../model/config.ts";
import { makesVideos } from "../../model/frame_grids.ts";
import { levelOf } from "../../pipeline/level_files.ts";
import { type GeneratedImage, Pipeline } from "../../pipeline/pipeline.ts";
import { type ModelIdentity, modelIdentity } from "../../pipeline/png_parameters.ts";
import { type GivenParameters, pick, SAMPLING, SUBJECT } from "../../pipeline/parameters.ts";
import type { GenerateRequest, ResolvedRequest } from "../../pipeline/request.ts";
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
import { warnIfSlow } from "../terminal/slow_driver.ts";
import { type Command, parse, type Values } from "../options/options.ts";
import { print, printJson, warn } from "../terminal/output.ts";
import {
  chooseFramesOutput,
  choosePictureOutput,
  chooseVideoOutput,
  type Output,
  slug,
  writeLevels,
} from "../output_files.ts";
import { warnOfRequest } from "../unusual_request.ts";
import { settings, type WrittenPicture, writtenPicture } from "../written.ts";
import { Progress } from "../terminal/progress.ts";
import { readPrompts } from "../prompts_file.ts";
import { givenParameters, parameterOptions } from "../options/parameter_options.ts";

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
        "A file (.png, .jpg, .jpeg or .webp; a video: .mp4, .gif, .webp, .png or .apng), which is written over; " +
        "or a folder (one that exists, or a name that ends with /), " +
        "where each picture or video is named after its prompt and seed and takes no other one's place; or - for the standard output. Without it: this folder",
    },
    ...parameterOptions("request"),
    {
      long: "frames",
      description:
        "Write a folder of PNGs, frame-01.png and so on, for each video; --output is its name, or a folder for several",
    },
    {
      long: "prompts",
      value: "FILE",
      description:
        "Read prompts from a file, or with - from the standard input: one a line; lines that begin with # are left out",
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

/** Makes pictures and writes each as soon as it is ready. */
export async function run(argv: readonly string[], signal: AbortSignal): Promise<number> {
  const { values, positionals } = parse(COMMAND, argv);
  const parameters = givenParameters(values);
  const request = await readRequest(values, parameters, positionals);
  const loading = performance.now();
  await using pipeline = await Pipeline.load(values.model ?? DEFAULT_MODEL, {
    ...modelOptions(values),
    ...await kernelOptions(values),
    lowMemory: values["low-memory"],
    ...values.memory !== undefined && { memory: memoryOf(values.memory) },
  });
  warnIfSlow(pipeline.gpu.info);
  const resolved = pipeline.resolve(request);
  const output = await chooseOutput(
    values,
    parameters,
    resolved.jobs.length,
    pipeline.folder.config,
  );
  warnOfRequest(request, resolved, pipeline.folder.config);
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
      written.push(
        await write(event.image, resolved, output, await model, parameters.levels ?? false),
      );
      progress.clear();
      // What went to the standard output is all that is there.
      if (values.json || output.kind === "stdout") continue;
      written.at(-1)!.files.forEach(({ path }) => print(path));
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
  parameters: GivenParameters,
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
  const { "text-features": textFeatures } = values;
  return {
    ...pick({ ...SUBJECT, ...SAMPLING }, parameters),
    prompt: prompts,
    ...textFeatures !== undefined && { textFeatures },
  };
}

async function chooseOutput(
  values: Values<typeof COMMAND>,
  parameters: GivenParameters,
  count: number,
  config: ModelConfig,
): Promise<Output> {
  const output = await placeFor(values, parameters, count, config);
  const other = values.json ? "--json" : parameters.levels ? "--levels" : null;
  if (output.kind !== "stdout" || other === null) return output;
  throw new UsageError(`The image goes to the standard output, alone: leave out ${other}.`);
}

async function placeFor(
  { output, frames }: Values<typeof COMMAND>,
  { fps }: GivenParameters,
  count: number,
  config: ModelConfig,
): Promise<Output> {
  if (!makesVideos(config)) {
    if (fps === undefined && !frames) return await choosePictureOutput(output, count);
    throw new UsageError(
      `The model makes pictures, not videos: leave out ${frames ? "--frames" : "--fps"}.`,
    );
  }
  if (!frames) {
    return await chooseVideoOutput(output, count, { fps: fps ?? DEFAULT_FPS, standard: "mp4" });
  }
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
  return writtenPicture(picture, levels, paths, output);
}

function round(ms: number): number {
  return Math.round(ms * 10) / 10;
}
