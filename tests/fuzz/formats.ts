import { stringify } from "yaml";
import { DiffusersFolder } from "../../src/checkpoint/diffusers/folder.ts";
import { writeDiffusersFolder } from "../checkpoint/diffusers/write.ts";
import { readJson } from "../../src/checkpoint/json.ts";
import { RangedFile } from "../../src/checkpoint/ranged_file.ts";
import { encodeSafetensors, Safetensors } from "../../src/checkpoint/safetensors.ts";
import { ShardedSafetensors } from "../../src/checkpoint/sharded.ts";
import { TorchFile } from "../../src/checkpoint/torch/torch_file.ts";
import { readZipDirectory } from "../../src/checkpoint/torch/zip.ts";
import { locateEntry } from "../../src/checkpoint/torch/zip.ts";
import { parseDiffusionConfig } from "../../src/diffusion/config.ts";
import { encodeImage } from "../../src/media/image.ts";
import { readText } from "../../src/media/png_text.ts";
import { parseModelConfig } from "../../src/model/config.ts";
import { presetConfig } from "../../src/model/presets.ts";
import { readYamlConfig } from "../../src/model/yaml_config.ts";
import { readConfiguration } from "../../src/pipeline/configuration.ts";
import { readTuned, tunedText } from "../../src/pipeline/tuned_file.ts";
import { MdmTokenizer } from "../../src/text/mdm_tokenizer.ts";
import { Tokenizer } from "../../src/text/tokenizer.ts";
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
    await shardIndexes("index of shards"),
    fromFiles("config.json", await files("golden/nested2/config.json", SHAPES32), readConfig),
    fromFiles("YAML", [encode(stringify(yamlOf("cc12m_256x256")))], readYaml),
    fromFiles("tokenizer.json", await files(TOKENIZER), readTokenizer),
    fromFiles("text of a PNG", [await pngWithText()], readPng),
    await diffusersConfigs("diffusers config.json"),
    fromFiles("tuned kernels", [encode(tunedText("A GPU", TUNED))], readTunedKernels),
  ];
}

const TUNED_SHAPE = { pixels: 64, outputs: 70, depth: 144, sources: 1, half: false };
const TUNED = [
  { shape: TUNED_SHAPE, choice: { variant: "workgroup", cut: { tile: 32, parts: 4 } } },
  { shape: { ...TUNED_SHAPE, half: true }, choice: { variant: "register" } },
] as const;
const SHAPES32 = "../../weights/shapes32/config.json";
const TOKENIZER = "../../weights/shapes32/tokenizer/tokenizer.json";
function encode(text: string): Bytes {
  return new TextEncoder().encode(text);
}

/** A built-in configuration in the reference's YAML fields. */
function yamlOf(preset: string): unknown {
  const { model, diffusion, text } = presetConfig(preset);
  return {
    ...model,
    text_model: "google/flan-t5-xl",
    diffusion_config: diffusion,
    reader_config: { max_token_length: text.maxTokens },
  };
}

async function pngWithText(): Promise<Bytes> {
  const picture = { width: 2, height: 2, data: new Uint8Array(16).fill(200) };
  return await encodeImage(picture, "png", { mdm: '{"prompt":"a ring"}', other: "\u00fc" });
}

/** A folder for as long as the process runs. */
async function temporaryFolder(): Promise<string> {
  const folder = await Deno.makeTempDir({ prefix: "mdm-fuzz-" });
  addEventListener("unload", () => Deno.removeSync(folder, { recursive: true }));
  return folder;
}

/** Two files of safetensors whose index is spoilt. */
async function shardIndexes(name: string): Promise<Format> {
  const folder = await temporaryFolder();
  const shards: Record<string, string> = {
    "a.weight": "1-of-2.safetensors",
    b: "2-of-2.safetensors",
  };
  for (const [tensor, file] of Object.entries(shards)) {
    const tensors = new Map([[tensor, { shape: [1], data: Float32Array.of(1) }]]);
    await Deno.writeFile(`${folder}/${file}`, encodeSafetensors(tensors));
  }
  const index = { metadata: { total_size: 8 }, weight_map: shards };
  return fromFiles(name, [encode(JSON.stringify(index))], async (spoilt) => {
    await Deno.copyFile(spoilt, `${folder}/model.safetensors.index.json`);
    using _ = await ShardedSafetensors.open(`${folder}/model.safetensors.index.json`);
  });
}

/** A folder in diffusers' layout whose configuration is spoilt. */
async function diffusersConfigs(name: string): Promise<Format> {
  const config = await readJson(`${FIXTURES}/golden/nested2/config.json`);
  const diffusion = await readJson(`${FIXTURES}/../../weights/shapes32/config.json`) as {
    diffusion_config: unknown;
  };
  const folder = await temporaryFolder();
  using file = await Safetensors.open(`${FIXTURES}/golden/nested2/weights.safetensors`);
  await writeDiffusersFolder(folder, {
    config: parseModelConfig(config, name),
    diffusion: parseDiffusionConfig(diffusion.diffusion_config, true),
    file,
  }, "F16");
  const path = `${folder}/unet/nesting_level_1/config.json`;
  return fromFiles(name, [await Deno.readFile(path)], async (spoilt) => {
    await Deno.copyFile(spoilt, path);
    using opened = await DiffusersFolder.open(folder, 1);
    parseModelConfig(opened.model, folder);
    parseDiffusionConfig(opened.diffusion, true);
  });
}

async function readConfig(path: string): Promise<void> {
  const { model, diffusion } = await readConfiguration(path);
  parseModelConfig(model, path);
  if (diffusion !== undefined) parseDiffusionConfig(diffusion, true);
}

async function readYaml(path: string): Promise<void> {
  const { model, diffusion } = await readYamlConfig(path);
  parseModelConfig(model, path);
  if (diffusion !== null) parseDiffusionConfig(diffusion, true);
}

/** Both readers of the file, and a text through each. */
async function readTokenizer(path: string): Promise<void> {
  await Deno.copyFile(path, `${path}.d/tokenizer.json`).catch(async () => {
    await Deno.mkdir(`${path}.d`);
    await Deno.copyFile(path, `${path}.d/tokenizer.json`);
  });
  try {
    for (
      const tokenizer of [await MdmTokenizer.load(`${path}.d`), await Tokenizer.load(`${path}.d`)]
    ) {
      tokenizer.encode("a red circle on a \u{1f534} background", 32);
    }
  } finally {
    await Deno.remove(`${path}.d`, { recursive: true });
  }
}

async function readTunedKernels(path: string): Promise<void> {
  await readTuned(path);
}

async function readPng(path: string): Promise<void> {
  readText(await Deno.readFile(path));
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
