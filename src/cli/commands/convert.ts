import { UsageError } from "../../errors.ts";
import { convert } from "../../pipeline/models/convert.ts";
import { ModelSource } from "../../pipeline/models/model_source.ts";
import { FILE_OPTIONS, modelOptions, TEXT_OPTIONS } from "../options/model_option.ts";
import { type Command, oneOf, parse } from "../options/options.ts";
import { print } from "../terminal/output.ts";
import { Progress } from "../terminal/progress.ts";

export const COMMAND = {
  name: "mdm convert",
  summary: "Write a model of any format as a folder that loads fast",
  usage: "IN OUT [options]",
  options: [
    ...FILE_OPTIONS,
    ...TEXT_OPTIONS,
    {
      long: "dtype",
      value: "TYPE",
      description:
        "f16 (half the size) or f32 for all weights. Without it: f16 where the input has it, else f32",
    },
    { long: "quiet", short: "q", description: "Show no progress" },
  ],
  examples: [
    {
      description: "A published checkpoint and its text encoder, in half the size",
      command:
        "mdm convert vis_model_64x64.pth models/cc12m_64x64 --config cc12m_64x64 --text-encoder flan-t5-xl --dtype f16",
    },
    {
      description: "One level of a folder in diffusers' layout",
      command: "mdm convert mdm-diffusers models/small --level 0",
    },
  ],
} as const satisfies Command;

const DTYPES = { f16: "F16", f32: "F32" } as const;

const MEBIBYTE = 1 << 20;

/** Converts a model; OUT appears when it is whole. */
export async function run(argv: readonly string[], signal: AbortSignal): Promise<number> {
  const { values, positionals } = parse(COMMAND, argv);
  const [from, out, ...more] = positionals;
  if (from === undefined || out === undefined || more.length > 0) {
    throw new UsageError(
      `Give a model and a new folder's name, as in "mdm convert vis_model.pth models/mine".`,
    );
  }
  const dtype = values.dtype === undefined
    ? undefined
    : oneOf(values.dtype, { name: "--dtype", names: ["f16", "f32"] });
  using source = await ModelSource.open(from, modelOptions(values));
  let progress: Progress | undefined;
  try {
    await convert(source, out, {
      ...dtype !== undefined && { dtype: DTYPES[dtype] },
      signal,
      onProgress(done, total) {
        progress ??= new Progress({
          label: "Converting",
          unit: "MiB",
          total: Math.ceil(total / MEBIBYTE),
          quiet: values.quiet,
        });
        progress.update(Math.ceil(done / MEBIBYTE));
      },
    });
  } finally {
    progress?.end();
  }
  print(out);
  return 0;
}
