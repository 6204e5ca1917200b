import { basename, extname } from "node:path";
import { openFile } from "../../checkpoint/file.ts";
import { KIND_BYTES, kindOf, wrongKind } from "../../checkpoint/file_kind.ts";
import { MdmError, UsageError } from "../../errors.ts";
import { isPng } from "../../media/png_chunks.ts";
import { readText } from "../../media/png_text.ts";
import { frameGrids } from "../../model/frame_grids.ts";
import { type Level, levelOf } from "../../pipeline/level_files.ts";
import { type GeneratedImage, Pipeline, type RunOptions } from "../../pipeline/pipeline.ts";
import {
  type ModelIdentity,
  modelIdentity,
  parseRecipe,
  type Recipe,
  RECIPE_KEYWORD,
  requestOf,
} from "../../pipeline/recipe.ts";
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
import { type Command, parse } from "../options/options.ts";
import { print, quoted, warn } from "../terminal/output.ts";
import { choosePictureOutput, chooseVideoOutput, writeLevels } from "../output_files.ts";
import { Progress } from "../terminal/progress.ts";

/** More than any picture that mdm makes. */
const LARGEST = 256 << 20;

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
    ...FILE_OPTIONS,
    ...TEXT_OPTIONS,
    TEXT_FEATURES_OPTION,
    LOW_MEMORY_OPTION,
    ...KERNEL_OPTIONS,
    { long: "quiet", short: "q", description: "Show no progress" },
  ],
  examples: [
    {
      description: "The same bytes, on the adapter that made the picture",
      command: "mdm replay a-red-circle-7.png",
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
  const original = await readPicture(source);
  const recipe = recipeIn(original, source);
  const { fps } = recipe;
  const output = fps === undefined
    ? await choosePictureOutput(values.output, 1)
    : await chooseVideoOutput(values.output, 1, { fps, standard: "png" });
  await using pipeline = await Pipeline.load(values.model ?? DEFAULT_MODEL, {
    ...modelOptions(values),
    ...await kernelOptions(values),
    lowMemory: values["low-memory"],
  });
  const { folder } = pipeline;
  const levels = folder.network.levels;
  if (!Number.isInteger(recipe.level) || recipe.level < 0 || recipe.level >= levels) {
    throw new MdmError(
      `Cannot replay "${source}": it is level ${recipe.level}, and the model has ${levels}. Give the picture as mdm wrote it.`,
    );
  }
  const frames = frameGrids(folder.config)[recipe.level]! ** 2;
  if (frames < (recipe.frame ?? (fps === undefined ? 1 : 2))) {
    throw new MdmError(
      `Cannot replay "${source}": it is of a video, and the model has ${frames} frames there. Give the picture as mdm wrote it.`,
    );
  }
  const textFeatures = values["text-features"];
  const model = { ...await modelIdentity(folder, textFeatures), model: recipe.model };
  checkModel(recipe, model, source, folder.path);

  const { steps } = recipe;
  const resolved = pipeline.resolve(requestOf(recipe));
  const run = { textFeatures, signal };
  const picture = await make(pipeline, resolved, run, { steps, quiet: values.quiet });
  const level = levelOf(picture, recipe.level, { resolved, model, medium: output.medium });
  const part = recipe.frame === undefined ? level : frameOf(picture, level, recipe);
  const name = `${basename(source, extname(source))}-replay`;
  const [path] = await writeLevels(output, name, [part]);
  print(path!);
  if (path!.endsWith(".png") && !equal(original, await Deno.readFile(path!))) {
    warn(
      `The new picture differs from "${source}": another adapter or version made that one, or it was changed since.`,
    );
  }
  return 0;
}

/** A single frame of a video, as a picture. */
function frameOf({ frames }: GeneratedImage, whole: Level, { level, frame = 1 }: Recipe): Level {
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

function recipeIn(png: Uint8Array, source: string): Recipe {
  const text = readText(png)[RECIPE_KEYWORD];
  if (text === undefined) {
    throw new MdmError(
      `Cannot replay "${source}": it does not say how it was made. Give a PNG that mdm wrote.`,
    );
  }
  return parseRecipe(text, source);
}

function checkModel(recipe: Recipe, model: ModelIdentity, source: string, path: string): void {
  if (recipe.weights === model.weights) return;
  throw new MdmError(
    `Cannot replay "${source}": the model ${quoted(recipe.model)} with the hash ${
      quoted(recipe.weights, 64)
    } made it, and "${path}" has the hash "${model.weights}". Give that model with --model.`,
  );
}

async function readPicture(path: string): Promise<Uint8Array> {
  const { file, size } = await openFile(path);
  file.close();
  if (size > LARGEST) {
    throw new MdmError(`Cannot load "${path}": it has ${size} bytes, too many for a picture.`);
  }
  const bytes = await Deno.readFile(path);
  const kind = kindOf(bytes.subarray(0, KIND_BYTES));
  if (kind !== undefined && !isPng(bytes)) {
    throw wrongKind(path, kind, "a PNG that mdm wrote");
  }
  return bytes;
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
