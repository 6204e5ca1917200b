import { Safetensors } from "../../checkpoint/safetensors.ts";
import type { TensorFile } from "../../checkpoint/tensor_file.ts";
import { MdmError, UsageError } from "../../errors.ts";
import { Gpu } from "../../gpu/device.ts";
import { type KernelPolicy, kernelPolicy } from "../../gpu/kernel_policy.ts";
import { Pipelines } from "../../gpu/recording.ts";
import { Weights } from "../../gpu/weights.ts";
import type { Comparison } from "../../verify/comparison.ts";
import { type Runnable, verifyForward } from "../../verify/forward.ts";
import { verifySampling } from "../../verify/sampling.ts";
import { ModelSource } from "../../pipeline/models/model_source.ts";
import { KERNEL_OPTIONS, kernelOptions } from "../options/model_option.ts";
import { type Command, number, parse } from "../options/options.ts";
import { print, printJson, warn } from "../terminal/output.ts";
import { table } from "../terminal/table.ts";

/** One forward pass in float32 loses about a millionth; a hundred times that is a defect. */
const FORWARD_TOLERANCE = 1e-4;
/** The steps of a run add up. */
const SAMPLING_TOLERANCE = 1e-3;

/** Weights in bfloat16 have eight bits: what they were rounded by shows in the result. */
const ROUNDED_TOLERANCE = 1e-2;

const FORWARD = "forward.safetensors";

export const COMMAND = {
  name: "mdm verify",
  summary: "Compare a model's numbers with those that the reference implementation recorded",
  usage: "FOLDER... [options]",
  options: [
    {
      long: "tolerance",
      short: "t",
      value: "X",
      description:
        `The largest relative L2 error that passes. Without it: ${FORWARD_TOLERANCE} for a forward pass and ${SAMPLING_TOLERANCE} for a sampling run`,
    },
    ...KERNEL_OPTIONS,
    { long: "json", description: "Print one JSON document instead of a line a tensor" },
  ],
  examples: [
    {
      description:
        `A folder has config.json, weights.safetensors (or model.safetensors, or any .pth), and ${FORWARD} or any sample_*.json with its .safetensors`,
      command: "mdm verify golden/nested2",
    },
    {
      description: "Several, with one limit for all",
      command: "mdm verify golden/nested2 golden/nested3 --tolerance 1e-5",
    },
  ],
} as const satisfies Command;

/** Compares every tensor of every folder; exit code 1 if any is too far off, or a folder cannot be used. */
export async function run(argv: readonly string[], signal: AbortSignal): Promise<number> {
  const { values, positionals: folders } = parse(COMMAND, argv);
  if (folders.length === 0) {
    throw new UsageError(`No folder was given: name one, as in "mdm verify golden/nested2".`);
  }
  const tolerance = values.tolerance === undefined
    ? undefined
    : number(values.tolerance, { name: "--tolerance", min: 0 });
  const problems: { folder: string; problem: string }[] = [];
  const cases: RecordedCase[] = [];
  /** Goes on after what cannot be compared, which is said. */
  const orGoOn = async (folder: string, work: () => Promise<void>) => {
    try {
      await work();
    } catch (error) {
      if (signal.aborted || !(error instanceof MdmError)) throw error;
      warn(error.message);
      problems.push({ folder, problem: error.message });
    }
  };
  for (const folder of folders) {
    await orGoOn(folder, async () => void cases.push(...await findCases(folder)));
  }
  if (cases.length === 0) {
    if (values.json) printJson({ passed: false, models: [], problems });
    return 1;
  }

  const options = await kernelOptions(values);
  using gpu = await Gpu.open();
  const policy = kernelPolicy(gpu.info, options);
  using pipelines = new Pipelines(gpu);
  const results: { model: string; tensors: Comparison[] }[] = [];
  for (const recorded of cases) {
    if (!values.json) print(recorded.model);
    const tensors: Comparison[] = [];
    await orGoOn(recorded.model, async () => {
      for await (const part of verifyCase(recorded, pipelines, policy, tolerance)) {
        signal.throwIfAborted();
        tensors.push(...part);
        if (!values.json) print(table(part.map(row)));
      }
    });
    gpu.check(); // Nothing goes on after a GPU that was lost.
    results.push({ model: recorded.model, tensors });
  }
  const all = results.flatMap(({ tensors }) => tensors);
  const passed = all.filter((comparison) => comparison.passed).length;
  const allPass = passed === all.length && problems.length === 0;
  if (values.json) printJson({ passed: allPass, models: results, problems });
  else print(`${passed} of ${all.length} tensors pass.`);
  return allPass ? 0 : 1;
}

/** What there is to compare in a folder, and with which weights. */
interface RecordedCase {
  readonly folder: string;
  /** The folder, or a torch checkpoint in it. */
  readonly model: string;
  readonly forward: boolean;
  /** Names of sampling runs, without ".json". */
  readonly samples: readonly string[];
}

/** The folder's own weights and, apart, each torch checkpoint beside them. */
async function findCases(folder: string): Promise<RecordedCase[]> {
  const names: string[] = [];
  try {
    for await (const { name } of Deno.readDir(folder)) names.push(name);
  } catch {
    throw new MdmError(`Cannot verify "${folder}": it is not a folder that can be read.`);
  }
  const forward = names.includes(FORWARD);
  const samples = names.filter((name) => /^sample_.*\.json$/.test(name)).sort()
    .map((name) => name.slice(0, -".json".length));
  if (!forward && samples.length === 0) {
    throw new MdmError(
      `Cannot verify "${folder}": it has neither ${FORWARD} nor a sample_*.json. Give a folder of recorded numbers.`,
    );
  }
  const checkpoints = names.filter((name) => name.endsWith(".pth")).sort();
  return [folder, ...checkpoints.map((name) => `${folder}/${name}`)]
    .map((model) => ({ folder, model, forward, samples }));
}

async function* verifyCase(
  { folder, model: path, forward, samples }: RecordedCase,
  pipelines: Pipelines,
  policy: KernelPolicy,
  tolerance: number | undefined,
): AsyncGenerator<Comparison[]> {
  using model = await ModelSource.open(path);
  using weights = new Weights(pipelines.gpu, model.file, policy);
  const runnable: Runnable = { network: model.network, pipelines, weights };
  if (forward) {
    using recorded = await Safetensors.open(`${folder}/${FORWARD}`);
    const limit = isRounded(model.file) ? ROUNDED_TOLERANCE : FORWARD_TOLERANCE;
    yield await verifyForward(runnable, recorded, tolerance ?? limit);
  }
  for (const name of samples) {
    yield await verifySampling(runnable, folder, name, tolerance ?? SAMPLING_TOLERANCE);
  }
}

/** Whether weights were rounded after the recording: the reference computes in float32 from weights that are exact in float16. */
function isRounded({ tensors }: TensorFile): boolean {
  return tensors.values().some(({ dtype }) => dtype === "BF16");
}

function row({ name, relativeL2, largestDifference, passed }: Comparison): string[] {
  return [
    name,
    relativeL2.toExponential(2),
    largestDifference.toExponential(2),
    passed ? "PASS" : "FAIL",
  ];
}
