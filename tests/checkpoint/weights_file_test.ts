import assert from "node:assert/strict";
import { encodeSafetensors } from "../../src/checkpoint/safetensors.ts";
import { openWeights } from "../../src/checkpoint/weights_file.ts";

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
  await assert.rejects(read({ [SHARD]: 6 }), /has no weights \(model.safetensors, or several/);
});
