import assert from "../../assert.ts";
import { writeDiffusersFolder } from "../../checkpoint/diffusers/write.ts";
import { encodeSafetensors, Safetensors } from "../../../src/checkpoint/safetensors.ts";
import { parseDiffusionConfig } from "../../../src/diffusion/config.ts";
import { presetConfig } from "../../../src/model/presets.ts";
import { convert, type ConvertOptions } from "../../../src/pipeline/models/convert.ts";
import { type ModelOptions, ModelSource } from "../../../src/pipeline/models/model_source.ts";

const SHAPES32 = "weights/shapes32";
const GOLDEN = "tests/fixtures/golden";
const T5 = "tests/fixtures/t5";

/** Converts a model in an empty folder, which is removed after. */
async function withConverted(
  path: string,
  options: ModelOptions & ConvertOptions,
  use: (converted: ModelSource, source: ModelSource, folder: string) => Promise<void>,
): Promise<void> {
  await inFolder(async (folder) => {
    using source = await ModelSource.open(path, options);
    const { dtype } = options;
    await convert(source, `${folder}/out`, { ...dtype !== undefined && { dtype } });
    assert.deepEqual(names(folder), ["out"]);
    using converted = await ModelSource.open(`${folder}/out`);
    assert.deepEqual(converted.config, source.config);
    assert.deepEqual(converted.diffusion, source.diffusion);
    assert.equal(converted.classes, source.classes);
    await use(converted, source, folder);
  });
}

async function inFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await use(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function names(folder: string): string[] {
  return [...Deno.readDirSync(folder)].map(({ name }) => name).sort();
}

function dtypes(file: { tensors: ReadonlyMap<string, { dtype: string }> }): string[] {
  return [...new Set(file.tensors.values().map(({ dtype }) => dtype))].sort();
}

async function assertSameTensors(a: ModelSource, b: ModelSource): Promise<void> {
  for (const name of b.file.tensors.keys()) {
    assert.deepEqual(await a.file.readFloat32(name), await b.file.readFloat32(name), name);
  }
}

Deno.test("a model of ours is converted to itself, in the other type and back", async () => {
  await withConverted(SHAPES32, {}, async (same, source, folder) => {
    assert.deepEqual(names(`${folder}/out`), [
      "config.json",
      "model.safetensors",
      "text_encoder",
      "tokenizer",
    ]);
    assert.deepEqual(dtypes(same.file), ["F16"]);
    await assertSameTensors(same, source);
    const { encoder, tokenizer, ...reading } = same.text!;
    assert.deepEqual([encoder, tokenizer], [
      `${folder}/out/text_encoder`,
      `${folder}/out/tokenizer`,
    ]);
    const { encoder: _, tokenizer: __, ...expected } = source.text!;
    assert.deepEqual(reading, expected);
    for (const file of ["tokenizer/tokenizer.json", "tokenizer/tokenizer_config.json"]) {
      assert.deepEqual(
        await Deno.readFile(`${folder}/out/${file}`),
        await Deno.readFile(`${SHAPES32}/${file}`),
      );
    }
    await convert(same, `${folder}/wide`, { dtype: "F32" });
    using wide = await ModelSource.open(`${folder}/wide`);
    assert.deepEqual(dtypes(wide.file), ["F32"]);
    await assertSameTensors(wide, source);
    await convert(wide, `${folder}/back`, { dtype: "F16" });
    using back = await ModelSource.open(`${folder}/back`);
    await assertSameTensors(back, source);
  });
});

Deno.test("T5's wo stays in float32, and a decoder is left behind", async () => {
  await inFolder(async (folder) => {
    {
      using t5 = await Safetensors.open(`${T5}/model.safetensors`);
      const tensors = new Map<string, { shape: number[]; data: Float32Array }>();
      for (const [name, { shape }] of t5.tensors) {
        tensors.set(name, { shape: [...shape], data: await t5.readFloat32(name) });
      }
      tensors.set("decoder.final_layer_norm.weight", { shape: [1], data: Float32Array.of(1) });
      await Deno.mkdir(`${folder}/t5`);
      await Deno.writeFile(`${folder}/t5/model.safetensors`, encodeSafetensors(tensors));
    }
    const json = JSON.parse(await Deno.readTextFile(`${T5}/config.json`));
    await Deno.writeTextFile(`${folder}/t5/config.json`, JSON.stringify(json));
    const { text } = JSON.parse(await Deno.readTextFile(`${SHAPES32}/config.json`));
    // A plain UNet that takes features as wide as this encoder's.
    const { Network } = await import("../../../src/model/network.ts");
    const { parseModelConfig } = await import("../../../src/model/config.ts");
    const config = {
      unet_config: { resolution_channels: [32], attention_levels: [], masked_cross_attention: 0 },
      conditioning_feature_dim: json.d_model,
      text,
    };
    const { parameters } = new Network(parseModelConfig(config, "test"));
    await Deno.writeTextFile(`${folder}/config.json`, JSON.stringify(config));
    await Deno.writeFile(
      `${folder}/model.safetensors`,
      encodeSafetensors(
        new Map([...parameters].map(([name, { shape }]) => {
          const data = new Float32Array(shape.reduce((a, b) => a * b, 1)).fill(0.25);
          return [name, { shape: [...shape], data }];
        })),
      ),
    );
    const options = {
      textEncoder: `${folder}/t5`,
      tokenizer: `${SHAPES32}/tokenizer`,
      dtype: "F16",
    } as const;
    await withConverted(folder, options, async (converted) => {
      assert.deepEqual(dtypes(converted.file), ["F16"]);
      using encoder = await Safetensors.open(`${converted.text!.encoder}/model.safetensors`);
      const wide = [...encoder.tensors.values()].filter(({ dtype }) => dtype === "F32");
      assert.ok(wide.length > 0 && wide.every(({ name }) => name.endsWith(".wo.weight")));
      assert.equal(encoder.tensors.has("decoder.final_layer_norm.weight"), false);
      const narrow = [...encoder.tensors.keys()].filter((name) => !name.endsWith(".wo.weight"));
      assert.ok(narrow.every((name) => encoder.tensors.get(name)!.dtype === "F16"));
    });
  });
});

Deno.test("a torch checkpoint becomes a folder; what reads its text may come later", async () => {
  const path = `${GOLDEN}/checkpoint_pth/vis_model_f16.pth`;
  await withConverted(path, {}, async (converted, source) => {
    assert.deepEqual(dtypes(converted.file), ["F16"]);
    await assertSameTensors(converted, source);
  });
  const json = JSON.parse(await Deno.readTextFile(`${GOLDEN}/checkpoint_pth/config.json`));
  await inFolder(async (folder) => {
    const text = { max_token_length: 77, max_caption_length: 512, tokenizer_mode: "mdm" };
    const named = `${folder}/with_text.json`;
    await Deno.writeTextFile(named, JSON.stringify({ ...json, text }));
    await withConverted(path, { config: named, dtype: "F32" }, (converted) => {
      assert.equal(converted.text, null);
      const { maxTokens, maxCharacters, tokenizerMode } = converted.reading;
      assert.deepEqual([maxTokens, maxCharacters, tokenizerMode], [77, 512, "mdm"]);
      assert.deepEqual(dtypes(converted.file), ["F32"]);
      return Promise.resolve();
    });
  });
});

Deno.test("a folder in diffusers' layout becomes one of ours", async () => {
  await inFolder(async (folder) => {
    using golden = await ModelSource.open(`${GOLDEN}/nested2`);
    const diffusion = parseDiffusionConfig(presetConfig("cc12m_256x256").diffusion, true);
    const { config, file } = golden;
    await writeDiffusersFolder(`${folder}/diffusers`, { config, diffusion, file }, "F16");
    await withConverted(`${folder}/diffusers`, {}, async (converted) => {
      await assertSameTensors(converted, golden);
      assert.deepEqual(converted.diffusion, diffusion);
      assert.equal(converted.reading.tokenizerMode, "sentencepiece");
    });
  });
});

Deno.test("progress counts every byte", async () => {
  await inFolder(async (folder) => {
    using source = await ModelSource.open(SHAPES32);
    const seen: [number, number][] = [];
    await convert(source, `${folder}/out`, { onProgress: (...done) => seen.push(done) });
    const [done, total] = seen.at(-1)!;
    // Every parameter of the model and of the text encoder, in 16 bits.
    assert.deepEqual([done, total], [2 * (3_577_606 + 88_512), 2 * (3_577_606 + 88_512)]);
    assert.ok(seen.every(([done], i) => i === 0 || done > seen[i - 1]![0]));
  });
});

Deno.test("what cannot be converted leaves nothing behind", async () => {
  await inFolder(async (folder) => {
    using source = await ModelSource.open(SHAPES32);
    await Deno.mkdir(`${folder}/full`);
    await Deno.writeTextFile(`${folder}/full/note`, "mine");
    const taken = `Cannot write "${folder}/full": something is there. Give a new folder's name.`;
    await assert.rejects(convert(source, `${folder}/full`), { name: "MdmError", message: taken });
    await assert.rejects(convert(source, `${folder}/full/note`), /something is there/);
    await assert.rejects(convert(source, `${folder}/none/out`), {
      name: "MdmError",
      message:
        `Cannot write "${folder}/none/out": there is no folder "${folder}/none". Create it first.`,
    });
    const abort = new AbortController();
    await assert.rejects(
      convert(source, `${folder}/out`, {
        signal: abort.signal,
        onProgress: () => abort.abort(),
      }),
      { name: "AbortError" },
    );
    using other = await ModelSource.open(SHAPES32, { textEncoder: T5 });
    await assert.rejects(convert(other, `${folder}/out`), /gives \d+ features, but the model/);
    assert.deepEqual(names(folder), ["full"]);
    await Deno.mkdir(`${folder}/empty`);
    await convert(source, `${folder}/empty/`);
    assert.equal(names(`${folder}/empty`).length, 4);
  });
});
