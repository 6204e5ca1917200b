import { openFile } from "../../files/read_file.ts";
import { UsageError } from "../../errors.ts";
import { isPng, SIGNATURE } from "../../media/png_chunks.ts";
import { type Inspection, inspectModel } from "../../pipeline/models/inspect.ts";
import { parametersIn, type PngParameters, readPng } from "../../pipeline/png_parameters.ts";
import { formatBytes } from "../../units.ts";
import { FILE_OPTIONS, modelOptions } from "../options/model_option.ts";
import { type Command, parse } from "../options/options.ts";
import { print, printJson, quoted } from "../terminal/output.ts";
import { table } from "../terminal/table.ts";

export const COMMAND = {
  name: "mdm inspect",
  summary: "Say what a file or folder is and whether it fits together, without running it",
  usage: "PATH [options]",
  options: [
    ...FILE_OPTIONS,
    { long: "tensors", description: "List every tensor" },
    { long: "json", description: "Print one JSON document instead of tables" },
  ],
  examples: [
    {
      description: "Whether a checkpoint is the model that its name says",
      command: "mdm inspect vis_model_64x64.pth --config cc12m_64x64",
    },
    {
      description: "How a picture was made",
      command: "mdm inspect a-red-circle-7.png",
    },
  ],
} as const satisfies Command;

/** Lines of each kind that are printed of what does not fit; JSON has all. */
const LISTED = 10;

/** Describes a model's files, or how a picture was made. */
export async function run(argv: readonly string[]): Promise<number> {
  const { values, positionals } = parse(COMMAND, argv);
  const [path, ...more] = positionals;
  if (path === undefined || more.length > 0) {
    throw new UsageError(`Give one file or folder, as in "mdm inspect vis_model.pth".`);
  }
  if (await isPicture(path)) {
    const parameters = parametersIn(await readPng(path), path);
    if (values.json) printJson({ path, format: "PNG", recipe: parameters });
    else print(parametersText(path, parameters));
    return 0;
  }
  const { tensors, ...found } = await inspectModel(path, modelOptions(values));
  if (values.json) {
    printJson({ ...found, tensors: values.tensors ? tensors : tensors.length });
    return 0;
  }
  print(inspectionText({ tensors, ...found }));
  if (values.tensors) {
    const rows = tensors.map(({ name, dtype, shape }) => [shown(name), dtype, shape.join(" x ")]);
    print(`\nTensors\n${table(rows, { left: 3 })}`);
  }
  return 0;
}

/** Whether a file begins as a PNG does. */
async function isPicture(path: string): Promise<boolean> {
  const info = await Deno.stat(path).catch(() => null);
  if (!info?.isFile) return false;
  using file = (await openFile(path)).file;
  const start = new Uint8Array(SIGNATURE.length);
  await file.read(start);
  return isPng(start);
}

function parametersText(path: string, parameters: PngParameters | null): string {
  if (parameters === null) return `${path}\n  A PNG that does not say how it was made`;
  const rows = Object.entries(parameters).map(([name, value]) => [
    name,
    typeof value === "string" && !/^[\w.+-]+$/.test(value) ? quoted(value, 2000) : String(value),
  ]);
  return `${path}\n${table([["PNG", "made by mdm"], ...rows], { left: 2 })}`;
}

function inspectionText(found: Inspection): string {
  const { path, format, files, bytes, tensors, parameters, dtypes } = found;
  const { unreadable, unknownRecords } = found;
  const number = (value: number) => value.toLocaleString("en");
  const records = Object.entries(unknownRecords)
    .map(([name, count]) => `${shown(name)} (${count})`);
  const rows = [
    ["Format", format],
    ["Size", `${formatBytes(bytes)} in ${files.length} ${files.length === 1 ? "file" : "files"}`],
    ["Tensors", number(tensors.length)],
    ["Parameters", number(parameters)],
    ...Object.entries(dtypes).map(([dtype, { tensors, parameters }]) => [
      `  ${dtype}`,
      `${number(parameters)} in ${number(tensors)} ${tensors === 1 ? "tensor" : "tensors"}`,
    ]),
    ...Object.keys(unreadable).length === 0 ? [] : [["Cannot be read", listed(unreadable)]],
    ...records.length === 0 ? [] : [["Unknown records, not run", records.join(", ")]],
    ...configurationRows(found),
  ];
  return [`${path}\n${table(rows, { left: 2 })}`, ...differenceLines(found)].join("\n");
}

/** Names and what is said of each. */
function listed(problems: Readonly<Record<string, string>>): string {
  const all = Object.entries(problems).map(([name, problem]) => `${shown(name)} ${problem}`);
  const rest = all.length > LISTED ? ` and ${all.length - LISTED} more` : "";
  return all.slice(0, LISTED).join("; ") + rest;
}

function configurationRows({ configuration, problem }: Inspection): string[][] {
  if (configuration === null) return [["Configuration", `none: ${problem}`]];
  const { source, kind, parameters, channels, imageSize, textWidth } = configuration;
  return [
    ["Configuration", source],
    ["  Kind", kind],
    ["  Parameters", parameters.toLocaleString("en")],
    ["  Channels", channels.map((unet) => unet.join(", ")).join("; inside it ")],
    ...imageSize === null ? [] : [["  Pictures", `${imageSize}x${imageSize}`]],
    ["  Text features", textWidth === 0 ? "none" : `of width ${textWidth}`],
  ];
}

function differenceLines({ differences }: Inspection): string[] {
  if (differences === null) return [];
  const { missing, surplus, misshapen } = differences;
  const part = (title: string, names: readonly string[]) =>
    names.length === 0 ? [] : [
      `  ${title}: ${names.slice(0, LISTED).join(", ")}${
        names.length > LISTED ? ` and ${names.length - LISTED} more` : ""
      }`,
    ];
  const lines = [
    ...part("Missing", missing.map(shown)),
    ...part("Not part of the model", surplus.map(shown)),
    ...part(
      "Misshapen",
      misshapen.map(({ name, shape, needed }) =>
        `${shown(name)} is [${shape.join(", ")}] and should be [${needed.join(", ")}]`
      ),
    ),
  ];
  const count = missing.length + surplus.length + misshapen.length;
  return count === 0
    ? ["The tensors fit the configuration."]
    : [`${count} of the tensors do not fit the configuration.`, ...lines];
}

/** A name out of a file, quoted where it is not a plain one. */
function shown(name: string): string {
  return /^[\w.-]{1,200}$/.test(name) ? name : quoted(name, 120);
}
