import { sessionGraphs } from "../../diffusion/session_graphs.ts";
import { UsageError } from "../../errors.ts";
import { Gpu } from "../../gpu/device.ts";
import { checkWritable, makeParents, writeAtomically } from "../../files/write_file.ts";
import { modelPolicy } from "../../pipeline/planning/compact.ts";
import { ModelSource } from "../../pipeline/models/model_source.ts";
import { resolveRequest, sessionShape } from "../../pipeline/request.ts";
import { convGroups, tune, type TunedConv } from "../../pipeline/planning/tune.ts";
import { tunedText } from "../../pipeline/planning/tuned_file.ts";
import { DEFAULT_MODEL, FILE_OPTIONS, modelOptions } from "../options/model_option.ts";
import { type Command, integer, parse } from "../options/options.ts";
import { print } from "../terminal/output.ts";
import { Progress } from "../terminal/progress.ts";

export const COMMAND = {
  name: "mdm tune",
  summary: "Measure which kernels are the fastest here, for --tuned of other commands",
  usage: "[MODEL] [options]",
  options: [
    {
      long: "output",
      short: "o",
      value: "FILE",
      description: "Where to write what was measured",
      default: "tuned.json",
    },
    ...FILE_OPTIONS,
    {
      long: "size",
      value: "N",
      description: "Measure for a width and height in pixels. Without it: the model's own",
    },
    { long: "quiet", short: "q", description: "Show no progress" },
  ],
  examples: [
    {
      description: "Once for a model on this GPU; then pictures are made with the fastest kernels",
      command: `mdm tune models/cc12m_64x64 -o cc12m.json
  mdm generate "a castle" -m models/cc12m_64x64 --tuned cc12m.json`,
    },
  ],
} as const satisfies Command;

/** Measures every convolution of a model's step in every way there is. */
export async function run(argv: readonly string[], signal: AbortSignal): Promise<number> {
  const { values, positionals } = parse(COMMAND, argv);
  if (positionals.length > 1) {
    throw new UsageError(`Give one model's folder, as in "mdm tune weights/shapes32".`);
  }
  const size = values.size === undefined
    ? {}
    : { size: integer(values.size, { name: "--size", min: 1 }) };
  using model = await ModelSource.open(positionals[0] ?? DEFAULT_MODEL, modelOptions(values));
  const request = resolveRequest({ prompt: "", seed: 0, ...size }, model.config, model.diffusion);
  const shape = sessionShape(request, model, { slots: 1, tokens: model.maxTokens });
  await checkWritable(values.output, { parents: true });
  using gpu = await Gpu.open();
  const policy = modelPolicy(gpu.info, model.network);
  const groups = convGroups(sessionGraphs(model.network, shape).steps[0]!.graph, model.file);
  const progress = new Progress({
    label: "Measuring",
    total: groups.length,
    unit: "shape",
    quiet: values.quiet,
  });
  const measured: TunedConv[] = [];
  try {
    for await (const conv of tune(gpu, policy, groups, model.file)) {
      signal.throwIfAborted();
      measured.push(conv);
      progress.update(measured.length);
    }
  } finally {
    progress.end();
  }
  const choices = measured.flatMap(({ shape, choice }) =>
    choice === null ? [] : [{ shape, choice }]
  );
  const text = tunedText(gpu.info.name, choices);
  await makeParents(values.output);
  await writeAtomically(values.output, new TextEncoder().encode(text));
  const ms = (of: "usualMs" | "bestMs") =>
    measured.reduce((sum, conv) => sum + conv.count * conv[of], 0).toFixed(1);
  print(
    `Another way is faster for ${choices.length} of ${measured.length} shapes: ` +
      `the convolutions of a step take ${ms("bestMs")} ms instead of ${ms("usualMs")} ms.`,
  );
  print(values.output);
  return 0;
}
