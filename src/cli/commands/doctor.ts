import { MdmError } from "../../errors.ts";
import { backendOf, isSoftwareOpenGl, SOFTWARE_OPENGL } from "../../gpu/backend.ts";
import { Gpu, NO_ADAPTER, requestAdapter } from "../../gpu/device.ts";
import { keepsCompiled } from "../../gpu/driver_cache.ts";
import { Pipelines } from "../../gpu/recording.ts";
import { Tensor } from "../../gpu/tensor.ts";
import { Weights } from "../../gpu/weights.ts";
import { Executable } from "../../graph/executable.ts";
import { Graph } from "../../graph/graph.ts";
import { conv2d } from "../../graph/operations/conv2d.ts";
import { formatBytes } from "../../units.ts";
import { type Command, parse } from "../options/options.ts";
import { print, printJson } from "../terminal/output.ts";
import { table } from "../terminal/table.ts";

export const COMMAND = {
  name: "mdm doctor",
  summary: "Check that this machine can make pictures, and say what is missing",
  usage: "[options]",
  options: [
    { long: "json", description: "Print one JSON document instead of a table" },
  ],
  examples: [
    { description: "What WebGPU finds here, and whether it computes right", command: "mdm doctor" },
    { description: "For a script: exit code 1 when it does not", command: "mdm doctor --json" },
  ],
} as const satisfies Command;

/** Limits that decide which models fit. */
const LIMITS = [
  "maxBufferSize",
  "maxStorageBufferBindingSize",
  "maxComputeWorkgroupStorageSize",
  "maxComputeInvocationsPerWorkgroup",
] as const;

/** float32 sums of 36 products: a correct device is far below, a wrong one far above. */
const LARGEST_ERROR = 1e-5;

/** Mesa makes its cache in the first of these that is set. */
const NOT_KEPT =
  "no, so each start takes seconds longer: set MESA_SHADER_CACHE_DIR or XDG_CACHE_HOME to a folder that can be written";

/** Shows the adapter and computes a little; exit code 1 when that fails. */
export async function run(argv: readonly string[]): Promise<number> {
  const { values } = parse(COMMAND, argv);
  const report = await examine();
  if (values.json) printJson(report);
  else print(describe(report));
  return report.usable ? 0 : 1;
}

/** What there is on this machine. */
interface Report {
  readonly usable: boolean;
  /** What to do, if it is not or is far slower than it could be. */
  readonly problem: string | null;
  readonly adapter: string | null;
  readonly vendor: string | null;
  readonly backend: string | null;
  readonly software: boolean | null;
  readonly subgroupSize: number | null;
  readonly features: { readonly f16: boolean; readonly timestamps: boolean } | null;
  readonly limits: Readonly<Record<string, number>> | null;
  /** The largest error of a small convolution. */
  readonly largestError: number | null;
  /** Whether the driver keeps compiled kernels for the next start; null where that cannot be told. */
  readonly keepsCompiled: boolean | null;
}

async function examine(): Promise<Report> {
  const nothing = {
    usable: false,
    adapter: null,
    vendor: null,
    backend: null,
    software: null,
    subgroupSize: null,
    features: null,
    limits: null,
    largestError: null,
    keepsCompiled: null,
  };
  const adapter = await requestAdapter();
  if (adapter === null) return { ...nothing, problem: NO_ADAPTER };
  const known = {
    ...nothing,
    adapter: adapter.info.description || adapter.info.device || "unnamed",
    vendor: adapter.info.vendor,
    backend: backendOf(adapter.info),
  };
  try {
    using gpu = await Gpu.open();
    const { deviceClass, subgroupSize, f16, timestamps } = gpu.info;
    const largestError = await convolutionError(gpu);
    const usable = largestError <= LARGEST_ERROR;
    return {
      ...known,
      usable,
      problem: problemOf(gpu, usable),
      software: deviceClass === "software",
      subgroupSize,
      features: { f16, timestamps },
      limits: Object.fromEntries(LIMITS.map((name) => [name, gpu.limits[name]])),
      largestError,
      keepsCompiled: await keepsCompiled(),
    };
  } catch (error) {
    if (error instanceof MdmError) return { ...known, problem: error.message };
    throw error;
  }
}

function problemOf({ info }: Gpu, usable: boolean): string | null {
  if (!usable) return "The adapter computes wrong numbers. Update its driver.";
  return isSoftwareOpenGl(info) ? SOFTWARE_OPENGL : null;
}

function describe(report: Report): string {
  const { adapter, vendor, backend, software, subgroupSize, features, limits, largestError } =
    report;
  const yesNo = (value: boolean) => value ? "yes" : "no";
  const rows: [string, string][] = [["Adapter", adapter ?? "none"]];
  if (vendor) rows.push(["Vendor", vendor]);
  if (backend) rows.push(["Backend", backend]);
  if (software !== null) rows.push(["Software, so slow", yesNo(software)]);
  if (features !== null) {
    rows.push(["16-bit floats", yesNo(features.f16)]);
    rows.push(["Subgroups", subgroupSize ? `of ${subgroupSize}` : "no"]);
    rows.push(["Timestamps", yesNo(features.timestamps)]);
  }
  for (const [name, value] of Object.entries(limits ?? {})) {
    rows.push([name, /Size$/.test(name) ? formatBytes(value) : String(value)]);
  }
  const verdict = report.usable ? "PASS" : "FAIL";
  rows.push([
    "A small convolution",
    largestError === null ? verdict : `${verdict}, largest error ${largestError.toExponential(1)}`,
  ]);
  if (report.keepsCompiled !== null) {
    rows.push(["Keeps compiled kernels", report.keepsCompiled ? "yes" : NOT_KEPT]);
  }
  const conclusion = report.problem ?? "mdm can make pictures here.";
  return `${table(rows, { left: 2 })}\n${conclusion}`;
}

/** Runs a 3x3 convolution of 4 channels on an 8x8 picture; gives the largest difference from JavaScript's numbers. */
async function convolutionError(gpu: Gpu): Promise<number> {
  const [side, channels, kernel] = [8, 4, 3];
  const shape = [1, side, side, channels];
  const picture = Float32Array.from({ length: side * side * channels }, (_, i) => Math.sin(i));
  const weight = Float32Array.from(
    { length: channels * channels * kernel * kernel },
    (_, i) => Math.cos(i),
  );
  const graph = new Graph();
  const output = conv2d(graph, graph.input("picture", shape), {
    weight: { name: "weight", shape: [channels, channels, kernel, kernel] },
    bias: { name: "bias", shape: [channels] },
  });
  graph.output("output", output);
  const tensors = new Map(
    ["picture", "output"].map((name) => [name, new Tensor(gpu, name, shape)]),
  );
  using pipelines = new Pipelines(gpu);
  using weights = new Weights(gpu, {
    readFloat32: (name) => Promise.resolve(name === "weight" ? weight : new Float32Array(channels)),
  });
  using executable = await Executable.make(graph, { pipelines, weights, tensors });
  tensors.get("picture")!.write(picture);
  executable.submit();
  const ours = await tensors.get("output")!.read();
  for (const tensor of tensors.values()) tensor[Symbol.dispose]();
  const expected = convolution(picture, weight, side, channels);
  // A number that is not one counts as infinitely wrong.
  return ours.reduce((largest, x, i) => {
    const error = Math.abs(x - expected[i]!);
    return Math.max(largest, Number.isNaN(error) ? Infinity : error);
  }, 0);
}

/** A 3x3 convolution with zeros around: the picture [side, side, channels], the weight as PyTorch has it. */
function convolution(
  picture: Float32Array,
  weight: Float32Array,
  side: number,
  channels: number,
): Float64Array {
  const at = (y: number, x: number, channel: number) =>
    y < 0 || x < 0 || y >= side || x >= side ? 0 : picture[(y * side + x) * channels + channel]!;
  return Float64Array.from({ length: picture.length }, (_, i) => {
    const [y, x] = [Math.floor(i / (side * channels)), Math.floor(i / channels) % side];
    const filter = (i % channels) * channels * 9;
    let sum = 0;
    for (let j = 0; j < channels * 9; j++) {
      const [dy, dx] = [Math.floor(j % 9 / 3) - 1, j % 3 - 1];
      sum += weight[filter + j]! * at(y + dy, x + dx, Math.floor(j / 9));
    }
    return sum;
  });
}
