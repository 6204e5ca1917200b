import assert from "node:assert/strict";
import { readJson } from "../../src/checkpoint/json.ts";
import { encodeSafetensors, Safetensors } from "../../src/checkpoint/safetensors.ts";
import { ModelSource } from "../../src/pipeline/model_source.ts";

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
  const { Network } = await import("../../src/model/network.ts");
  const { parseModelConfig } = await import("../../src/model/config.ts");
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
      /"text" needs "encoder" and "tokenizer"/,
    );
  }
});
