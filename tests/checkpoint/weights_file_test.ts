import assert from "../assert.ts";
import { encodeSafetensors } from "../../src/checkpoint/safetensors.ts";
import { openWeights } from "../../src/checkpoint/weights_file.ts";
import { dict, pickleOf, tensor, text } from "./torch/write_pickle.ts";
import { checkpointOf } from "./torch/write_zip.ts";

const SHARD = "model-00001-of-00001.safetensors";

/** What the tensor "a" of a folder with these files is; each safetensors file holds its own number. */
async function read(files: Record<string, number>): Promise<number> {
  const folder = await Deno.makeTempDir();
  try {
    for (const [name, value] of Object.entries(files)) {
      const tensors = new Map([["a", { shape: [1], data: Float32Array.of(value) }]]);
      const bytes = name.endsWith(".json")
        ? new TextEncoder().encode(JSON.stringify({ weight_map: { a: SHARD } }))
        : encodeSafetensors(tensors);
      await Deno.writeFile(`${folder}/${name}`, bytes);
    }
    using file = await openWeights(folder, "model");
    return (await file.readFloat32("a"))[0]!;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("weights are one file or several, in full precision where there is a choice", async () => {
  const [one, half, index] = ["model.safetensors", "model.fp16.safetensors", "model.safetensors"];
  assert.equal(await read({ [one]: 1, [half]: 2 }), 1);
  assert.equal(await read({ [half]: 2 }), 2);
  assert.equal(await read({ [`${index}.index.json`]: 0, [SHARD]: 3, [half]: 2 }), 3);
  assert.equal(await read({ [`${index}.index.fp16.json`]: 0, [SHARD]: 4 }), 4);
  assert.equal(await read({ [`${half}.index.json`]: 0, [SHARD]: 5 }), 5);
  const brain = "model.bf16.safetensors";
  assert.equal(await read({ [half]: 1, [brain]: 2 }), 2);
  assert.equal(await read({ "model.int7.safetensors": 1, [half]: 2 }), 2);
  assert.equal(await read({ "model.int7.safetensors": 1 }), 1);
  assert.equal(await read({ [`${index}.index.bf16.json`]: 0, [SHARD]: 3 }), 3);
  await assert.rejects(read({ "model.fp16-00001-of-00002.x.safetensors": 1 }), /has no weights/);
  await assert.rejects(read({ [SHARD]: 6 }), /has no weights \(model.safetensors, or several/);
});

Deno.test("weights of torch are read where there are no safetensors", async () => {
  const folder = await Deno.makeTempDir();
  const read = async () => {
    using file = await openWeights(folder, "model");
    return [file.format, await file.readFloat32("weight")];
  };
  const pickle = pickleOf(dict([text("weight"), tensor()]));
  const torch = (...values: number[]) => checkpointOf(pickle, { 0: Float32Array.from(values) });
  try {
    await Deno.writeFile(`${folder}/pytorch_model-00001-of-00001.bin`, torch(1, 2));
    await Deno.writeTextFile(
      `${folder}/pytorch_model.bin.index.json`,
      JSON.stringify({ weight_map: { weight: "pytorch_model-00001-of-00001.bin" } }),
    );
    assert.deepEqual(await read(), ["torch checkpoint (zip) in 1 file", Float32Array.of(1, 2)]);
    await Deno.writeFile(`${folder}/pytorch_model.bin`, torch(3, 4));
    assert.deepEqual(await read(), ["torch checkpoint (zip)", Float32Array.of(3, 4)]);
    const tensors = new Map([["weight", { shape: [2], data: Float32Array.of(5, 6) }]]);
    await Deno.writeFile(`${folder}/model.fp16.safetensors`, encodeSafetensors(tensors));
    assert.deepEqual(await read(), ["safetensors", Float32Array.of(5, 6)]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
