import { UsageError } from "../../errors.ts";
import { Gpu } from "../../gpu/device.ts";
import { Pipelines } from "../../gpu/recording.ts";
import { resolveSize } from "../../pipeline/request.ts";
import { modelPolicy } from "../../pipeline/planning/compact.ts";
import { callsToCompile, compileAll } from "../../pipeline/planning/warm_up.ts";
import { openDescribed } from "../options/described_model.ts";
import {
  DEFAULT_MODEL,
  FILE_OPTIONS,
  KERNEL_OPTIONS,
  kernelOptions,
  modelOptions,
  TEXT_OPTIONS,
} from "../options/model_option.ts";
import { type Command, integer, parse } from "../options/options.ts";
import { print, printJson } from "../terminal/output.ts";
import { Progress } from "../terminal/progress.ts";

export const COMMAND = {
  name: "mdm warmup",
  summary: "Compile all kernels for a model ahead, so that the driver keeps them for later starts",
  usage: "[MODEL] [options]",
  options: [
    {
      long: "size",
      value: "N",
      description:
        "The width and height of the pictures that will be made. Without it: the model's own",
    },
    ...FILE_OPTIONS,
    ...TEXT_OPTIONS,
    ...KERNEL_OPTIONS,
    { long: "quiet", short: "q", description: "Show no progress" },
    { long: "json", description: "Print one JSON document instead of a sentence" },
  ],
  examples: [
    {
      description:
        "Once on a machine, or when a container's image is built: first pictures start sooner",
      command: "mdm warmup",
    },
    {
      description: "For a published model whose files are not in the image",
      command: "mdm warmup cc12m_64x64",
    },
    {
      description: "For pictures of another size as well",
      command: "mdm warmup weights/shapes32 --size 64",
    },
  ],
} as const satisfies Command;

/** Compiles every pipeline that a model's pictures can need; no weights are read. */
export async function run(argv: readonly string[], signal: AbortSignal): Promise<number> {
  const { values, positionals } = parse(COMMAND, argv);
  if (positionals.length > 1) {
    throw new UsageError(`Give one model's folder, as in "mdm warmup weights/shapes32".`);
  }
  const size = values.size === undefined
    ? undefined
    : integer(values.size, { name: "--size", min: 1 });
  const path = positionals[0] ?? DEFAULT_MODEL;
  using opened = new DisposableStack();
  const { model, encoder, assumed } = await openDescribed(path, modelOptions(values), opened);
  const options = await kernelOptions(values);
  using gpu = await Gpu.open();
  const policy = modelPolicy(gpu.info, model.network, options);
  using pipelines = new Pipelines(gpu);
  const calls = callsToCompile(model, encoder, policy, size);

  const began = performance.now();
  const progress = new Progress({
    label: "Compiling",
    total: calls.length,
    unit: "kernel",
    quiet: values.quiet,
  });
  try {
    for await (const done of compileAll(pipelines, calls)) {
      progress.update(done);
      signal.throwIfAborted();
    }
  } finally {
    progress.end();
  }
  const compileMs = performance.now() - began;

  const pictures = resolveSize(size, model.config);
  if (values.json) {
    printJson({
      ...{ model: path, assumed, size: pictures, device: gpu.info.name },
      pipelines: pipelines.count,
      compileMs,
    });
    return 0;
  }
  const note = assumed === null ? "" : ` (built in; assumed: ${assumed})`;
  print(
    `${pipelines.count} pipelines for ${pictures}x${pictures} of ${path}${note} compiled in ${
      (compileMs / 1000).toFixed(1)
    } s on ${gpu.info.name}.`,
  );
  return 0;
}
