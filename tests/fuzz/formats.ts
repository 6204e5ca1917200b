import { deflateSync } from "node:zlib";
import { stringify } from "../../src/deps/yaml.ts";
import { DiffusersFolder } from "../../src/checkpoint/diffusers/folder.ts";
import { writeDiffusersFolder } from "../checkpoint/diffusers/write.ts";
import { readJson } from "../../src/checkpoint/json.ts";
import { RangedFile } from "../../src/checkpoint/ranged_file.ts";
import { encodeSafetensors, Safetensors } from "../../src/checkpoint/safetensors.ts";
import { openTensorFile } from "../../src/checkpoint/open_tensor_file.ts";
import { TorchFile } from "../../src/checkpoint/torch/torch_file.ts";
import { readEntry, readZipDirectory } from "../../src/checkpoint/torch/zip.ts";
import { parseDiffusionConfig } from "../../src/diffusion/config.ts";
import { encodeImage } from "../../src/media/image.ts";
import { chunk, SIGNATURE } from "../../src/media/png_chunks.ts";
import { readText } from "../../src/media/png_text.ts";
import { parseModelConfig } from "../../src/model/config.ts";
import { presetConfig } from "../../src/model/presets.ts";
import { readYamlConfig } from "../../src/model/yaml_config.ts";
import { readConfiguration } from "../../src/pipeline/models/configuration.ts";
import { readTuned, tunedText } from "../../src/pipeline/planning/tuned_file.ts";
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
const TORCH = ["odd", "attributes", "unreadable"].map((name) => `pth/${name}.pth`);
const LEGACY = ["legacy", "attributes_legacy", "unreadable_legacy"].map((name) =>
  `pth/${name}.pth`
);
const MODELS = ["rules", "symbols", "bytes", "spaces", "suffix"]
  .map((name) => `sentencepiece/${name}.model`);

/** All formats whose files may come from strangers. */
export async function allFormats(): Promise<Format[]> {
  return [
    fromFiles("torch zip", await files(...TORCH, DEFLATED, ...ARGS), readTorch),
    fromFiles("torch legacy", await files(...LEGACY), readTorch),
    await torchPickles("torch pickle", [...TORCH, ...ARGS]),
    fromFiles("other files", await otherFiles(), readTensors),
    fromFiles("safetensors", await files("pth/odd.safetensors"), readSafetensors),
    await shardIndexes("index of shards"),
    fromFiles("config.json", await files("golden/nested2/config.json", SHAPES32), readConfig),
    fromFiles("YAML", [encode(stringify(yamlOf("cc12m_256x256")))], readYaml),
    fromFiles("JSON of Python", PYTHON_JSON.map(encode), readAnyJson),
    fromFiles("tokenizer.json", await files(TOKENIZER, RULES, BYTES), readTokenizer),
    await charsmaps("rules of normalization"),
    fromFiles("spiece.model", await files(...MODELS), readPieceModel),
    fromFiles("text of a PNG", [await pngWithText()], readPng),
    compressedTexts("compressed text of a PNG"),
    await diffusersConfigs("diffusers config.json"),
    fromFiles("tuned kernels", [encode(tunedText("A GPU", TUNED))], readTunedKernels),
  ];
}

const TUNED_SHAPE = { pixels: 64, outputs: 70, depth: 144, sources: 1, half: false };
const TUNED = [
  { shape: TUNED_SHAPE, choice: { algorithm: "workgroup", tiling: { tile: 32, splitK: 4 } } },
  { shape: { ...TUNED_SHAPE, half: true }, choice: { algorithm: "register" } },
] as const;
const SHAPES32 = "../../weights/shapes32/config.json";
const TOKENIZER = "../../weights/shapes32/tokenizer/tokenizer.json";
const RULES = "sentencepiece/rules.json";
const BYTES = "sentencepiece/bytes.json";
const DEFLATED = "pth/attributes_deflated.pth";
const PYTHON_JSON = [
  '\ufeff{"a": [NaN, -Infinity, 1.5e3], "b\\"": "Infinity\\\\"}',
  '{\r\n  "NaN": Infinity,\r\n  "c": {"d": null}\r\n}',
];
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

/** What is given as weights, and weights with the names of a wrapper. */
async function otherFiles(): Promise<Bytes[]> {
  const tensors = new Map([["module._orig_mod.a", { shape: [1], data: Float32Array.of(1) }]]);
  return [
    encodeSafetensors(tensors),
    encode("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 123\n"),
    encode("\ufeff<!DOCTYPE html><html></html>"),
    await pngWithText(),
  ];
}

/** A tokenizer.json whose rules of normalization are spoilt. */
async function charsmaps(name: string): Promise<Format> {
  const json = await readJson(`${FIXTURES}/${RULES}`) as {
    normalizer: { precompiled_charsmap: string };
  };
  const rules = Uint8Array.fromBase64(json.normalizer.precompiled_charsmap);
  const mutated = (random: () => number) => {
    const charsmap = mutate(rules, random).toBase64();
    const normalizer = { type: "Precompiled", precompiled_charsmap: charsmap };
    return encode(JSON.stringify({ ...json, normalizer }));
  };
  return { name, mutated, read: readTokenizer };
}

/** Pictures that are whole, around compressed texts that are not. */
function compressedTexts(name: string): Format {
  const before = { zTXt: "mdm\0\0", iTXt: "mdm\0\x01\0de\0\0" };
  const texts = Object.entries(before).map(([type, head]): [string, Bytes] => [
    type,
    new Uint8Array([...encode(head), ...deflateSync(`{"prompt":"${"a ring ".repeat(200)}"}`)]),
  ]);
  const mutated = (random: () => number) => {
    const [type, data] = pick(texts, random);
    const spoilt = [mutate(data, random), mutate(data, random)].map((data) => chunk(type, data));
    const png = Uint8Array.from([...SIGNATURE, ...spoilt.flatMap((bytes) => [...bytes]), ...END]);
    return random() < 0.2 ? mutate(png, random) : png;
  };
  return { name, mutated, read: readPng };
}

const END = chunk("IEND", new Uint8Array(0));

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
    using _ = await openTensorFile(`${folder}/model.safetensors.index.json`);
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

async function readPieceModel(path: string): Promise<void> {
  await Deno.copyFile(path, `${path}.model`);
  try {
    const file = `${path}.model`;
    for (const tokenizer of [await Tokenizer.load(file), await MdmTokenizer.load(file)]) {
      tokenizer.encode("A red circle  on a \u{1f534} E\u0301 <sep> background", 32);
    }
  } finally {
    await Deno.remove(`${path}.model`);
  }
}

async function readAnyJson(path: string): Promise<void> {
  await readJson(path);
}

async function readTensors(path: string): Promise<void> {
  using file = await openTensorFile(path);
  for (const name of file.tensors.keys()) await file.readFloat32(name);
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
    bytes: await readEntry(file, entry),
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
