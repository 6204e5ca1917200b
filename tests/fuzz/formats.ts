import { Safetensors } from "../../src/checkpoint/safetensors.ts";
import { TorchFile } from "../../src/checkpoint/torch/torch_file.ts";
import { readZipDirectory } from "../../src/checkpoint/torch/zip.ts";
import { RangedFile } from "../../src/checkpoint/ranged_file.ts";
import { locateEntry } from "../../src/checkpoint/torch/zip.ts";
import { zipOf } from "../checkpoint/torch/write_zip.ts";
import { mutate } from "./mutate.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** A format of files, and how they are spoilt and read. */
export interface Format {
  readonly name: string;
  /** A valid file, with random changes. */
  mutated(random: () => number): Bytes;
  /** Reads all that is in a file. */
  read(path: string): Promise<void>;
}

const FIXTURES = `${import.meta.dirname}/../fixtures`;
const ARGS = [2, 3, 4, 5].map((protocol) => `pth/args_protocol${protocol}.pth`);

/** All formats whose files may come from strangers. */
export async function allFormats(): Promise<Format[]> {
  return [
    fromFiles("torch zip", await files("pth/odd.pth", ...ARGS), readTorch),
    fromFiles("torch legacy", await files("pth/legacy.pth"), readTorch),
    await torchPickles("torch pickle", ["pth/odd.pth", ...ARGS]),
    fromFiles("safetensors", await files("pth/odd.safetensors"), readSafetensors),
  ];
}

function fromFiles(name: string, valid: Bytes[], read: Format["read"]): Format {
  return { name, mutated: (random) => mutate(pick(valid, random), random), read };
}

/** Zip files that are whole, around pickles that are not: a checksum would stop most mutations. */
async function torchPickles(name: string, paths: string[]): Promise<Format> {
  const valid = await Promise.all(paths.map((path) => entriesOf(`${FIXTURES}/${path}`)));
  const mutated = (random: () => number) =>
    zipOf(
      pick(valid, random).map(({ name, bytes }) => ({
        name,
        bytes: name.endsWith(".pkl") ? mutate(bytes, random) : bytes,
      })),
    );
  return { name, mutated, read: readTorch };
}

async function entriesOf(path: string): Promise<{ name: string; bytes: Bytes }[]> {
  using file = await RangedFile.open(path);
  const entries = [...(await readZipDirectory(file)).values()];
  return await Promise.all(entries.map(async (entry) => ({
    name: entry.name,
    bytes: await file.read(await locateEntry(file, entry), entry.byteLength),
  })));
}

async function files(...paths: string[]): Promise<Bytes[]> {
  return await Promise.all(paths.map((path) => Deno.readFile(`${FIXTURES}/${path}`)));
}

async function readTorch(path: string): Promise<void> {
  using file = await TorchFile.open(path);
  JSON.stringify(file.configuration());
  for (const name of file.tensors.keys()) await file.readFloat32(name);
}

async function readSafetensors(path: string): Promise<void> {
  using file = await Safetensors.open(path);
  for (const name of file.tensors.keys()) await file.readFloat32(name);
}

function pick<T>(values: readonly T[], random: () => number): T {
  return values[Math.floor(random() * values.length)]!;
}
