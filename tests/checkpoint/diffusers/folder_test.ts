import assert from "../../assert.ts";
import { DiffusersFolder } from "../../../src/checkpoint/diffusers/folder.ts";
import { diffusersUNet, writeDiffusersFolder } from "./write.ts";
import { Mismatches, referenceModel } from "../../../src/checkpoint/diffusers/config.ts";
import { matchTensors } from "../../../src/checkpoint/match.ts";
import { encodeSafetensors, Safetensors } from "../../../src/checkpoint/safetensors.ts";
import type { TensorFile } from "../../../src/checkpoint/tensor_file.ts";
import { parseDiffusionConfig } from "../../../src/diffusion/config.ts";
import { MdmError } from "../../../src/errors.ts";
import { parseModelConfig } from "../../../src/model/config.ts";
import { Network } from "../../../src/model/network.ts";
import { PRESET_NAMES, presetConfig } from "../../../src/model/presets.ts";

const NESTED2 = `${import.meta.dirname}/../../fixtures/golden/nested2`;
const WEIGHTS = "diffusion_pytorch_model.fp16.safetensors";

function goldenConfig() {
  return parseModelConfig(JSON.parse(Deno.readTextFileSync(`${NESTED2}/config.json`)), NESTED2);
}

const DIFFUSION = parseDiffusionConfig(presetConfig("cc12m_256x256").diffusion, true);

/** Writes the golden model in diffusers' layout, runs `use` on the folder, and removes it. */
async function withFolder(use: (path: string, golden: Safetensors) => Promise<void>) {
  const path = await Deno.makeTempDir();
  using golden = await Safetensors.open(`${NESTED2}/weights.safetensors`);
  try {
    const source = { config: goldenConfig(), diffusion: DIFFUSION, file: golden };
    await writeDiffusersFolder(path, source, "F16");
    await use(path, golden);
  } finally {
    await Deno.remove(path, { recursive: true });
  }
}

async function assertSame(file: TensorFile, golden: Safetensors): Promise<void> {
  assert.deepEqual([...file.tensors.keys()].sort(), [...golden.tensors.keys()].sort());
  for (const [name, { shape }] of golden.tensors) {
    assert.deepEqual(file.tensors.get(name)!.shape, shape, name);
    assert.deepEqual(await file.readFloat32(name), await golden.readFloat32(name), name);
  }
}

/** Changes a JSON file. */
async function edit(path: string, change: (json: Record<string, unknown>) => void): Promise<void> {
  const json = JSON.parse(await Deno.readTextFile(path));
  change(json);
  await Deno.writeTextFile(path, JSON.stringify(json));
}

/** Reads all tensors of a file, names mapped; undefined leaves one out. */
async function remapped(
  path: string,
  rename: (name: string) => string | undefined,
): Promise<Uint8Array> {
  using file = await Safetensors.open(path);
  const tensors = new Map<string, { shape: number[]; data: Float32Array }>();
  for (const [name, { shape }] of file.tensors) {
    const other = rename(name);
    if (other === undefined) continue;
    tensors.set(other, { shape: [...shape], data: await file.readFloat32(name) });
  }
  return encodeSafetensors(tensors, "F16");
}

Deno.test("a model written in diffusers' layout is read back as it was", async () => {
  await withFolder(async (path, golden) => {
    assert.equal(await DiffusersFolder.isOne(path), true);
    using folder = await DiffusersFolder.open(path);
    assert.equal(folder.level, 1);
    assert.deepEqual(folder.levels, [1]);
    await assertSame(folder.file, golden);
    const config = parseModelConfig(folder.model, path);
    assert.deepEqual(config, goldenConfig());
    assert.deepEqual(parseDiffusionConfig(folder.diffusion, true), DIFFUSION);
    const { parameters } = new Network(config);
    matchTensors(folder.file, parameters);
    const range = await folder.file.readFloat32Range("in_adapter.bias", 3, 5);
    assert.deepEqual(range, (await golden.readFloat32("in_adapter.bias")).slice(3, 8));
    await assert.rejects(folder.file.readFloat32("in_adapter"), /holds no tensor "in_adapter"/);
  });
});

Deno.test("the file has diffusers' names, and matrices for 1x1 convolutions", async () => {
  await withFolder(async (path) => {
    using file = await Safetensors.open(`${path}/unet/nesting_level_1/${WEIGHTS}`);
    const shape = (name: string) => file.tensors.get(`inner_unet.${name}`)?.shape;
    const layer = "down_blocks.2.attentions.0.transformer_blocks.1";
    assert.deepEqual(shape(`${layer}.attn1.to_qkv.weight`), [192, 64]);
    assert.deepEqual(shape(`${layer}.ff.linear_out.weight`), [64, 256]);
    assert.deepEqual(shape("down_blocks.2.resnets.0.conv_shortcut.weight"), [64, 32, 1, 1]);
    assert.deepEqual(shape("encoder_hid_proj.weight"), [64, 48]);
  });
});

Deno.test("1x1 convolutions may be stored as they are in the reference", async () => {
  await withFolder(async (path, golden) => {
    const weights = `${path}/unet/nesting_level_1/${WEIGHTS}`;
    const shapes = new Map<string, { shape: number[]; data: Float32Array }>();
    {
      using file = await Safetensors.open(weights);
      for (const [name, { shape }] of file.tensors) {
        const isPointwise = /to_qkv|proj_out|linear_(out|gelu)/.test(name) && shape.length === 2 &&
          !name.includes("lm_head");
        const sides = isPointwise ? [...shape, 1, 1] : [...shape];
        shapes.set(name, { shape: sides, data: await file.readFloat32(name) });
      }
    }
    await Deno.writeFile(weights, encodeSafetensors(shapes, "F16"));
    using folder = await DiffusersFolder.open(path, 1);
    await assertSame(folder.file, golden);
  });
});

Deno.test("a pipeline saved with one UNet has it in unet/ itself", async () => {
  await withFolder(async (path, golden) => {
    await Deno.rename(`${path}/unet/nesting_level_1`, `${path}/moved`);
    await Deno.remove(`${path}/unet`);
    await Deno.rename(`${path}/moved`, `${path}/unet`);
    assert.equal(await DiffusersFolder.isOne(path), true);
    using folder = await DiffusersFolder.open(path);
    assert.equal(folder.level, 1);
    await assertSame(folder.file, golden);
  });
});

Deno.test("inner UNets are taken from the level below where a file lacks them", async () => {
  await withFolder(async (path, golden) => {
    const [outer, inner] = [1, 0].map((level) => `${path}/unet/nesting_level_${level}`);
    const isInner = (name: string) => name.startsWith("inner_unet.");
    const weights = `${outer}/${WEIGHTS}`;
    await Deno.mkdir(inner!);
    await Deno.writeTextFile(`${inner}/config.json`, "{}");
    await Deno.writeFile(
      `${inner}/${WEIGHTS}`,
      await remapped(weights, (name) => isInner(name) ? name.slice(11) : undefined),
    );
    const rest = await remapped(weights, (name) => isInner(name) ? undefined : name);
    await Deno.writeFile(weights, rest);
    using folder = await DiffusersFolder.open(path, 1);
    assert.deepEqual(folder.levels, [0, 1]);
    await assertSame(folder.file, golden);
    await Deno.remove(inner!, { recursive: true });
    await assert.rejects(DiffusersFolder.open(path), /there is no nesting level 0 to take them/);
  });
});

for (const name of PRESET_NAMES) {
  Deno.test(`the configuration of ${name} goes to diffusers and comes back`, () => {
    const config = parseModelConfig(presetConfig(name).model, name);
    const mismatches = new Mismatches(name);
    const json = JSON.parse(JSON.stringify(diffusersUNet(config)));
    const model = referenceModel(json, "config.json", mismatches);
    mismatches.check();
    const back = parseModelConfig(model, name);
    assert.deepEqual(new Network(back).parameters, new Network(config).parameters);
    assert.deepEqual(back.nestRatio, config.nestRatio);
  });
}

const UNET = "unet/nesting_level_1/config.json";

const REFUSED: [name: string, spoil: (path: string) => Promise<void>, reason: RegExp][] = [
  [
    "the level that the index names is missing",
    (path) => edit(`${path}/model_index.json`, (json) => json.nesting_level = 2),
    /has no nesting level 2 \("unet\/nesting_level_2\/config.json"\); it has 1\. Download/,
  ],
  ["no weights", (path) => Deno.remove(`${path}/unet/nesting_level_1/${WEIGHTS}`), /no weights/],
  ["no scheduler", (path) => Deno.remove(`${path}/scheduler`, { recursive: true }), /no such file/],
  [
    "an index that is no JSON",
    (path) => Deno.writeTextFile(`${path}/model_index.json`, "{"),
    /JSON/,
  ],
  [
    "a UNet that is a list",
    (path) => Deno.writeTextFile(`${path}/${UNET}`, "[]"),
    /not a JSON obj/,
  ],
  [
    "settings that the reference lacks, all of them told",
    async (path) => {
      await edit(`${path}/${UNET}`, (json) => {
        json.act_fn = "gelu";
        delete json.block_out_channels;
        (json.inner_config as Record<string, unknown>).class_embed_type = "timestep";
      });
      await edit(`${path}/scheduler/scheduler_config.json`, (json) => {
        json.prediction_type = "sample";
      });
    },
    /"act_fn" "gelu" but .*no "block_out_channels".*inner_config" has "class_embed_type".*"v_pred/,
  ],
  [
    "UNets without end",
    (path) =>
      edit(`${path}/${UNET}`, (json) => {
        for (let depth = 0; depth < 100; depth++) {
          const { inner_config: inner } = json;
          json.inner_config = { ...json, inner_config: inner };
        }
      }),
    /nests more than 8 UNets/,
  ],
  [
    "two names for one tensor",
    async (path) => {
      const weights = `${path}/unet/nesting_level_1/${WEIGHTS}`;
      const bytes = await remapped(
        weights,
        (name) => name === "conv_in.bias" ? "norm_out.bias" : name,
      );
      await Deno.writeFile(weights, bytes);
    },
    /"norm_out.bias" and "conv_norm_out.bias" are both "norm_out.bias"|"conv_norm_out.bias" and "n/,
  ],
  [
    "a name of a kilobyte",
    async (path) => {
      const weights = `${path}/unet/nesting_level_1/${WEIGHTS}`;
      const long = `down_blocks.0.resnets.${"1".repeat(1000)}`;
      const bytes = await remapped(weights, (name) => name === "conv_in.bias" ? long : name);
      await Deno.writeFile(weights, bytes);
    },
    /over 512 characters/,
  ],
];

for (const [name, spoil, reason] of REFUSED) {
  Deno.test(`a diffusers folder is refused: ${name}`, async () => {
    await withFolder(async (path) => {
      await spoil(path);
      await assert.rejects(DiffusersFolder.open(path), (error) => {
        assert.ok(error instanceof MdmError, String(error));
        assert.match(error.message, reason);
        return true;
      });
    });
  });
}

Deno.test("a level that is not there is refused; other folders are not this layout", async () => {
  await withFolder(async (path) => {
    await assert.rejects(DiffusersFolder.open(path, 0), /no nesting level 0 .* it has 1\./);
    await Deno.remove(`${path}/model_index.json`);
    assert.equal(await DiffusersFolder.isOne(path), false);
  });
  assert.equal(await DiffusersFolder.isOne(NESTED2), false);
  assert.equal(await DiffusersFolder.isOne("/nowhere"), false);
});

Deno.test("a tensor in neither source is left for the comparison with the model", async () => {
  await withFolder(async (path) => {
    const weights = `${path}/unet/nesting_level_1/${WEIGHTS}`;
    const bytes = await remapped(weights, (name) => name === "conv_in.bias" ? "conv_in.odd" : name);
    await Deno.writeFile(weights, bytes);
    using folder = await DiffusersFolder.open(path);
    const { parameters } = new Network(parseModelConfig(folder.model, path));
    assert.throws(
      () => matchTensors(folder.file, parameters),
      /"conv_in.bias" is missing; "conv_in.odd" is not part of the model/,
    );
  });
});
