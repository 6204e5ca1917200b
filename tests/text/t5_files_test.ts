import assert from "../assert.ts";
import { readJson } from "../../src/checkpoint/json.ts";
import { Safetensors } from "../../src/checkpoint/safetensors.ts";
import { openT5 } from "../../src/text/t5_files.ts";
import {
  dict,
  integer,
  pickleOf,
  storage,
  tensor,
  text,
  tuple,
} from "../checkpoint/torch/write_pickle.ts";
import { checkpointOf } from "../checkpoint/torch/write_zip.ts";

const T5 = `${import.meta.dirname}/../fixtures/t5`;

/** Opens a folder with T5's configuration, changed as text, and other files. */
async function open(
  files: Record<string, Uint8Array>,
  change: (config: string) => string = (config) => config,
): Promise<Float32Array> {
  const folder = await Deno.makeTempDir();
  try {
    const config = await Deno.readTextFile(`${T5}/config.json`);
    await Deno.writeTextFile(`${folder}/config.json`, change(config));
    for (const [name, bytes] of Object.entries(files)) {
      await Deno.writeFile(`${folder}/${name}`, bytes);
    }
    using opened = await openT5(folder);
    return await opened.file.readFloat32("encoder.final_layer_norm.weight");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** The encoder as torch.save writes it. */
async function torchModel(): Promise<Uint8Array> {
  using file = await Safetensors.open(`${T5}/model.safetensors`);
  const storages: Record<string, Float32Array> = {};
  const entries: Parameters<typeof dict> = [];
  for (const [i, [name, { shape }]] of [...file.tensors].entries()) {
    const data = await file.readFloat32(name);
    storages[i] = data;
    const strides = shape.map((_, axis) => shape.slice(axis + 1).reduce((a, b) => a * b, 1));
    entries.push([
      text(`module.${name}`),
      tensor({
        storage: storage(String(i), data.length),
        shape: tuple(...shape.map(integer)),
        strides: tuple(...strides.map(integer)),
      }),
    ]);
  }
  return checkpointOf(pickleOf(dict(...entries)), storages);
}

Deno.test("a T5 encoder is read in the ways in which people have it", async () => {
  const weights = await Deno.readFile(`${T5}/model.safetensors`);
  const expected = await open({ "model.safetensors": weights });
  assert.ok(expected.length > 0);
  const nan = (config: string) => config.replace("{", '{"dropout_rate": NaN, "x": -Infinity,');
  assert.deepEqual(await open({ "model.safetensors": weights }, nan), expected);
  assert.deepEqual(
    await open({ "model.bf16.safetensors": weights }, (c) => `\ufeff${c}`),
    expected,
  );
  assert.deepEqual(await open({ "pytorch_model.bin": await torchModel() }), expected);
});

Deno.test("a number that no JSON has is refused where it is read", async () => {
  const weights = await Deno.readFile(`${T5}/model.safetensors`);
  const json = await readJson(`${T5}/config.json`) as { d_ff: number };
  await assert.rejects(
    open(
      { "model.safetensors": weights },
      (config) => config.replace(new RegExp(`"d_ff": ?${json.d_ff}`), '"d_ff": NaN'),
    ),
    /"d_ff" is NaN but must be an integer from 1 to/,
  );
});
