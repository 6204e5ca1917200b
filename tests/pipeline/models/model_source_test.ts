import assert from "../../assert.ts";
import { Buffer } from "node:buffer";
import { dirname } from "node:path";
import { readJson } from "../../../src/checkpoint/json.ts";
import { encodeSafetensors, Safetensors } from "../../../src/checkpoint/safetensors.ts";
import { convert } from "../../../src/pipeline/models/convert.ts";
import { ModelSource } from "../../../src/pipeline/models/model_source.ts";

const CASE = "tests/fixtures/golden/unet_class";

/** A copy of a model whose tensors were changed. */
async function copy(
  change: (tensors: Map<string, { shape: number[]; data: Float32Array }>) => void,
) {
  const folder = await Deno.makeTempDir();
  using file = await Safetensors.open(`${CASE}/weights.safetensors`);
  const tensors = new Map<string, { shape: number[]; data: Float32Array }>();
  for (const [name, { shape }] of file.tensors) {
    tensors.set(name, { shape: [...shape], data: await file.readFloat32(name) });
  }
  change(tensors);
  await Deno.writeFile(`${folder}/model.safetensors`, encodeSafetensors(tensors, "F16"));
  await Deno.copyFile(`${CASE}/config.json`, `${folder}/config.json`);
  return { folder, [Symbol.asyncDispose]: () => Deno.remove(folder, { recursive: true }) };
}

Deno.test("a checkpoint that fits is opened", async () => {
  using model = await ModelSource.open("weights/shapes32");
  assert.equal(model.parameterCount, 3_577_606);
  assert.equal(model.text?.maxTokens, 32);
  assert.equal(model.network.levels, 2);
});

Deno.test("the published models have the reference's tensors and parameter counts", async (t) => {
  const { Network } = await import("../../../src/model/network.ts");
  const { parseModelConfig } = await import("../../../src/model/config.ts");
  for (const size of [64, 256, 1024]) {
    await t.step(`cc12m_${size}x${size}`, async () => {
      const source = `tests/fixtures/golden/cc12m_${size}x${size}.json`;
      const json = await readJson(source) as {
        parameters: number;
        state_dict: Record<string, number[]>;
      };
      const { parameters } = new Network(parseModelConfig(json, source));
      const shapes = Object.fromEntries(
        [...parameters].map(([name, { shape }]) => [name, [...shape]]),
      );
      assert.deepEqual(shapes, json.state_dict);
      const count = Object.values(shapes)
        .reduce((sum, shape) => sum + shape.reduce((product, n) => product * n, 1), 0);
      assert.equal(count, json.parameters);
    });
  }
});

Deno.test("tensors that are missing, surplus or misshapen are all listed", async () => {
  await using changed = await copy((tensors) => {
    tensors.delete("conv_out.bias");
    tensors.set("conv_out.extra", { shape: [2], data: new Float32Array(2) });
    tensors.set("norm_out.weight", { shape: [16], data: new Float32Array(16) });
  });
  const path = `${changed.folder}/model.safetensors`;
  await assert.rejects(ModelSource.open(changed.folder), {
    name: "MdmError",
    message: `Cannot load "${path}": 3 of its tensors do not fit the configuration: ` +
      `"norm_out.weight" has shape [16] but the configuration needs [32]; ` +
      `"conv_out.bias" is missing; "conv_out.extra" is not part of the model. ` +
      `Use the config.json that belongs to it.`,
  });
});

Deno.test("a folder that is not a model is said to be none", async () => {
  await assert.rejects(ModelSource.open("docs"), {
    name: "MdmError",
    message:
      `Cannot load the model "docs": it is not a folder with a config.json and a model.safetensors. Give a model's folder.`,
  });
  await assert.rejects(ModelSource.open("nowhere"), {
    message: `Cannot load the model "nowhere": there is no such file or folder. Check the path.`,
  });
});

Deno.test("a text encoder outside the model's folder is refused", async () => {
  const json = await readJson("weights/shapes32/config.json") as { text: Record<string, unknown> };
  for (const encoder of ["../other", "/etc", "a/b", "..", ""]) {
    await using changed = await copy(() => {});
    const config = {
      ...await readJson(`${CASE}/config.json`) as object,
      text: { ...json.text, encoder },
    };
    await Deno.writeTextFile(`${changed.folder}/config.json`, JSON.stringify(config));
    await assert.rejects(
      ModelSource.open(changed.folder),
      /"text\.encoder" is "[^"]*" but must be the name of a folder/,
    );
  }
});

const PTH = "tests/fixtures/golden/checkpoint_pth";
const PIECES = "tests/fixtures/sentencepiece/rules.model";

/** A folder with files of others under new names. */
async function folderOf(files: Record<string, string>) {
  const folder = await Deno.makeTempDir();
  for (const [name, path] of Object.entries(files)) {
    await Deno.mkdir(dirname(`${folder}/${name}`), { recursive: true });
    await Deno.copyFile(path, `${folder}/${name}`);
  }
  return { folder, [Symbol.asyncDispose]: () => Deno.remove(folder, { recursive: true }) };
}

Deno.test("a folder's weights may have any name and any of the usual endings", async () => {
  const [config, weights, tensors] = ["config.json", "vis_model_f16.pth", "weights.safetensors"]
    .map((name) => `${PTH}/${name}`) as [string, string, string];
  const folders: [files: Record<string, string>, name: string][] = [
    [{ "vis_model.pt": weights }, "vis_model.pt"],
    [{ "vis_model.bin": weights }, "vis_model.bin"],
    [{ "last.ckpt": weights }, "last.ckpt"],
    [{ "pytorch_model.bin": weights }, "pytorch_model.bin"],
    [{ "unet.safetensors": tensors }, "unet.safetensors"],
    [{ "a.pth": weights, "b.pt": weights, "features.safetensors": tensors }, "a.pth"],
    [{ "a.pt": weights, "optimizer.pt": weights, "training_args.bin": weights }, "a.pt"],
  ];
  for (const [files, name] of folders) {
    await using made = await folderOf({ "config.json": config, ...files });
    using model = await ModelSource.open(made.folder);
    assert.equal(model.file.path, `${made.folder}/${name}`);
  }
  await using several = await folderOf({ "config.json": config, "a.pt": weights, "b.pt": weights });
  await assert.rejects(ModelSource.open(several.folder), {
    name: "MdmError",
    message: `Cannot load the model "${several.folder}": it has several files of weights ` +
      `("a.pt", "b.pt"). Name one with --weights.`,
  });
  using named = await ModelSource.open(several.folder, { weights: "b.pt" });
  assert.equal(named.file.path, `${several.folder}/b.pt`);
});

Deno.test("weights with the names of wrappers are those of the model", async () => {
  await using wrapped = await copy((tensors) => {
    for (const [name, tensor] of [...tensors]) {
      tensors.delete(name);
      tensors.set(`module._orig_mod.${name}`, tensor);
    }
  });
  using model = await ModelSource.open(wrapped.folder);
  using plain = await ModelSource.open(CASE, { weights: "weights.safetensors" });
  assert.deepEqual([...model.file.tensors.keys()].sort(), [...plain.file.tensors.keys()].sort());
});

Deno.test("tensors that a model needs and that cannot be read are named", async () => {
  await using changed = await copy(() => {});
  const path = `${changed.folder}/model.safetensors`;
  const bytes = await Deno.readFile(path);
  // As many characters, so that nothing moves.
  const spoilt = Buffer.from(bytes).toString("latin1")
    .replace(/("conv_out.bias":\{"dtype":)"F16"/, '$1"F_4"');
  await Deno.writeFile(path, Buffer.from(spoilt, "latin1"));
  await assert.rejects(ModelSource.open(changed.folder), {
    name: "MdmError",
    message: `Cannot load "${path}": tensor "conv_out.bias" has dtype F_4. ` +
      "Get the file again, or save its tensors as F32, F16 or BF16.",
  });
});

Deno.test("a tokenizer may be a spiece.model, which then tells the model apart", async () => {
  const encoder = Object.fromEntries(
    ["config.json", "model.safetensors"].map((name) => [
      `text_encoder/${name}`,
      `weights/shapes32/text_encoder/${name}`,
    ]),
  );
  const files = {
    "config.json": "weights/shapes32/config.json",
    "model.safetensors": "weights/shapes32/model.safetensors",
    ...encoder,
    "tokenizer/spiece.model": PIECES,
  };
  await using made = await folderOf(files);
  using model = await ModelSource.open(made.folder);
  assert.equal((await model.files()).at(-1), `${made.folder}/tokenizer/spiece.model`);
  await convert(model, `${made.folder}/out`);
  assert.deepEqual(
    await Deno.readFile(`${made.folder}/out/tokenizer/spiece.model`),
    await Deno.readFile(PIECES),
  );
});
