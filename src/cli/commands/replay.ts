import { basename, extname } from "node:path";
import { MdmError, UsageError } from "../../errors.ts";
import { frameGrids } from "../../model/frame_grids.ts";
import { type Level, levelOf } from "../../pipeline/level_files.ts";
import { type GeneratedImage, Pipeline, type RunOptions } from "../../pipeline/pipeline.ts";
import {
  type ModelIdentity,
  modelIdentity,
  parametersIn,
  type PngParameters,
  readPng,
  requestOf,
} from "../../pipeline/png_parameters.ts";
import type { ResolvedRequest } from "../../pipeline/request.ts";
import {
  DEFAULT_MODEL,
  FILE_OPTIONS,
  KERNEL_OPTIONS,
  kernelOptions,
  LOW_MEMORY_OPTION,
  MODEL_OPTION,
  modelOptions,
  TEXT_FEATURES_OPTION,
  TEXT_OPTIONS,
} from "../options/model_option.ts";
import { warnIfSlow } from "../terminal/slow_driver.ts";
import { type Command, parse } from "../options/options.ts";
import { givenParameters, parameterOptions } from "../options/parameter_options.ts";
import { print, printJson, quoted, warn } from "../terminal/output.ts";
import { choosePictureOutput, chooseVideoOutput, writeLevels } from "../output_files.ts";
import { settings, writtenPicture } from "../written.ts";
import { Progress } from "../terminal/progress.ts";

export const COMMAND = {
  name: "mdm replay",
  summary: "Make a picture or video again from the settings in its PNG",
  usage: "PICTURE.png [options]",
  options: [
    MODEL_OPTION,
    {
      long: "output",
      short: "o",
      value: "PATH",
      description: "A file or a folder, as in mdm generate. Without it: NAME-replay.png, here",
    },
    ...parameterOptions("changes"),
    ...FILE_OPTIONS,
    ...TEXT_OPTIONS,
    TEXT_FEATURES_OPTION,
    LOW_MEMORY_OPTION,
    ...KERNEL_OPTIONS,
    { long: "json", description: "Print one JSON document instead of the path" },
    { long: "quiet", short: "q", description: "Show no progress" },
  ],
  examples: [
    {
      description: "The same bytes, on the adapter that made the picture",
      command: "mdm replay a-red-circle-7.png",
    },
    {
      description: "With other noise, and more steps",
      command: "mdm replay a-red-circle-7.png --seed 8 --steps 50",
    },
    {
      description: "A picture of another model",
      command: "mdm replay castle.png --model models/cc12m_64x64 -o castle-again.png",
    },
  ],
} as const satisfies Command;

/** Makes the picture of a PNG once more. */
export async function run(argv: readonly string[], signal: AbortSignal): Promise<number> {
  const { values, positionals } = parse(COMMAND, argv);
  const [source, ...more] = positionals;
  if (source === undefined || more.length > 0) {
    throw new UsageError(`Give one picture, as in "mdm replay a-red-circle-7.png".`);
  }
  const changes = givenParameters(values);
  const original = await readPng(source);
  const made = parametersIn(original, source);
  if (made === null) {
    throw new MdmError(
      `Cannot replay "${source}": it does not say how it was made. Give a PNG that mdm wrote.`,
    );
  }
  const { fps } = made;
  const output = fps === undefined
    ? await choosePictureOutput(values.output, 1)
    : await chooseVideoOutput(values.output, 1, { fps, standard: "png" });
  if (output.kind === "stdout" && values.json) {
    throw new UsageError("The image goes to the standard output, alone: leave out --json.");
  }
  await using pipeline = await Pipeline.load(values.model ?? DEFAULT_MODEL, {
    ...modelOptions(values),
    ...await kernelOptions(values),
    lowMemory: values["low-memory"],
  });
  warnIfSlow(pipeline.gpu.info);
  const { folder } = pipeline;
  const levels = folder.network.levels;
  if (!Number.isInteger(made.level) || made.level < 0 || made.level >= levels) {
    throw new MdmError(
      `Cannot replay "${source}": it is level ${made.level}, and the model has ${levels}. Give the picture as mdm wrote it.`,
    );
  }
  const frames = frameGrids(folder.config)[made.level]! ** 2;
  if (frames < (made.frame ?? (fps === undefined ? 1 : 2))) {
    throw new MdmError(
      `Cannot replay "${source}": it is of a video, and the model has ${frames} frames there. Give the picture as mdm wrote it.`,
    );
  }
  const textFeatures = values["text-features"];
  const model = { ...await modelIdentity(folder, textFeatures), model: made.model };
  checkModel(made, model, source, folder.path);

  const resolved = pipeline.resolve(requestOf(made, changes));
  const { steps } = resolved;
  const run = { textFeatures, signal };
  const picture = await make(pipeline, resolved, run, { steps, quiet: values.quiet });
  const level = levelOf(picture, made.level, { resolved, model, medium: output.medium });
  const part = made.frame === undefined ? level : frameOf(picture, level, made);
  const name = `${basename(source, extname(source))}-replay`;
  const paths = await writeLevels(output, name, [part]);
  const isSame = Object.keys(changes).length > 0 || !/\.a?png$/i.test(paths[0]!)
    ? null
    : equal(original, await readPng(paths[0]!));
  if (values.json) {
    printJson({
      pictures: [writtenPicture(picture, [part], paths, output)],
      settings: { ...settings(resolved), ...model },
      isSame,
    });
  } else if (output.kind !== "stdout") {
    print(paths[0]!);
  }
  if (isSame === false) {
    warn(
      `The new picture differs from "${source}": another adapter or version made that one, or it was changed since.`,
    );
  }
  return 0;
}

/** A single frame of a video, as a picture. */
function frameOf(
  { frames }: GeneratedImage,
  whole: Level,
  { level, frame = 1 }: PngParameters,
): Level {
  return { frames: [frames[level]![frame - 1]!], textOf: () => whole.textOf({ frame }) };
}

async function make(
  pipeline: Pipeline,
  resolved: ResolvedRequest,
  options: RunOptions,
  { steps, quiet }: { steps: number; quiet: boolean },
): Promise<GeneratedImage> {
  const progress = new Progress({ label: "Sampling", total: steps, quiet });
  try {
    for await (const event of pipeline.run(resolved, options)) {
      if (event.kind === "progress") progress.update(event.step);
      if (event.kind === "image") return event.image;
    }
  } finally {
    progress.end();
  }
  throw new Error("The pipeline ended without a picture");
}

function checkModel(
  made: PngParameters,
  model: ModelIdentity,
  source: string,
  path: string,
): void {
  if (made.weights === model.weights) return;
  throw new MdmError(
    `Cannot replay "${source}": the model ${quoted(made.model)} with the hash ${
      quoted(made.weights, 64)
    } made it, and "${path}" has the hash "${model.weights}". Give that model with --model.`,
  );
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
