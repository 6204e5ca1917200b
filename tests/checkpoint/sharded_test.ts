import assert from "../assert.ts";
import { matchTensors } from "../../src/checkpoint/match.ts";
import { encodeSafetensors } from "../../src/checkpoint/safetensors.ts";
import { openTensorFile } from "../../src/checkpoint/open_tensor_file.ts";
import { MdmError } from "../../src/errors.ts";

type Shards = Record<string, Record<string, number[]>>;

/** Writes shards (file, tensor, values) and an index into a folder, runs `use`, and removes it. */
async function withShards(
  shards: Shards,
  index: unknown,
  use: (path: string) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    for (const [file, tensors] of Object.entries(shards)) {
      const entries = Object.entries(tensors).map((
        [name, data],
      ): [string, { shape: number[]; data: Float32Array }] => [
        name,
        { shape: [data.length], data: Float32Array.from(data) },
      ]);
      await Deno.writeFile(`${folder}/${file}`, encodeSafetensors(new Map(entries)));
    }
    const path = `${folder}/model.safetensors.index.json`;
    await Deno.writeTextFile(path, JSON.stringify(index));
    await use(path);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const ONE = "model-00001-of-00002.safetensors";
const TWO = "model-00002-of-00002.safetensors";
const SHARDS: Shards = { [ONE]: { a: [1, 2, 3] }, [TWO]: { b: [4], c: [5, 6] } };
const MAP = { a: ONE, b: TWO, c: TWO };

Deno.test("tensors are read from the file that holds them", async () => {
  const index = { metadata: { total_size: 24 }, weight_map: MAP };
  await withShards(SHARDS, index, async (path) => {
    using file = await openTensorFile(path);
    assert.deepEqual([...file.tensors.keys()], ["a", "b", "c"]);
    assert.deepEqual(file.tensors.get("c")!.shape, [2]);
    assert.deepEqual(await file.readFloat32("a"), Float32Array.of(1, 2, 3));
    assert.deepEqual(await file.readFloat32("c"), Float32Array.of(5, 6));
    assert.deepEqual(await file.readFloat32Range("a", 1, 2), Float32Array.of(2, 3));
    await assert.rejects(file.readFloat32("d"), /holds no tensor "d"/);
    await assert.rejects(file.readFloat32Range("b", 0, 2), RangeError);
  });
});

const DISAGREEING: [
  name: string,
  shards: Shards,
  index: unknown,
  tensor: string,
  reason: RegExp,
][] = [
  [
    "a tensor that its file lacks",
    SHARDS,
    { weight_map: { ...MAP, d: ONE } },
    "d",
    /tensor "d" is not in "model-00001-of-00002.safetensors", where the index has it/,
  ],
  [
    "a tensor in two files",
    { ...SHARDS, [TWO]: { a: [9], b: [4], c: [5, 6] } },
    { weight_map: MAP },
    "a",
    /tensor "a" is in "model-00002[^"]*" and in "model-00001/,
  ],
  [
    "a tensor that the index leaves out",
    SHARDS,
    { weight_map: { a: ONE, b: TWO } },
    "c",
    /tensor "c" of "model-00002[^"]*" is not in the index/,
  ],
  [
    "a tensor in another file",
    SHARDS,
    { weight_map: { ...MAP, c: ONE } },
    "c",
    /tensor "c" is not in "model-00001/,
  ],
];

for (const [name, shards, index, tensor, reason] of DISAGREEING) {
  Deno.test(`an index and its files may disagree on what is not read: ${name}`, async () => {
    await withShards(shards, index, async (path) => {
      using file = await openTensorFile(path);
      assert.deepEqual([...file.unreadable.keys()], [tensor]);
      assert.deepEqual(await file.readFloat32("b"), Float32Array.of(4));
      await assert.rejects(file.readFloat32(tensor), reason);
      const needed = (...names: string[]) => new Map(names.map((name) => [name, { shape: [1] }]));
      matchTensors(file, needed("b"), { allowSurplus: true });
      assert.throws(() => matchTensors(file, needed("b", tensor), { allowSurplus: true }), reason);
    });
  });
}

const REFUSED: [name: string, shards: Shards, index: unknown, reason: RegExp][] = [
  ["a list", SHARDS, [], /no "weight_map"/],
  ["an index without a map", SHARDS, { metadata: {} }, /no "weight_map"/],
  ["a map that is a list", SHARDS, { weight_map: [ONE] }, /no "weight_map"/],
  ["a missing file", { [ONE]: { a: [1] } }, { weight_map: MAP }, /00002.*there is no such file/],
  ["a path upwards", SHARDS, { weight_map: { a: `../${ONE}` } }, /"a" is in "\.\.\/model/],
  [
    "an absolute path",
    SHARDS,
    { weight_map: { a: "/dev/zero" } },
    /not the name of a file of weights/,
  ],
  ["a hidden file", SHARDS, { weight_map: { a: "..safetensors" } }, /not the name of a file of w/],
  ["a number for a file", SHARDS, { weight_map: { a: 1 } }, /"a" is in "1"/],
  ["no file", SHARDS, { weight_map: {} }, /it names no file/],
  [
    "very many files",
    {},
    {
      weight_map: Object.fromEntries(
        Array.from({ length: 300 }, (_, i) => [i, `${i}.safetensors`]),
      ),
    },
    /names 300 files, over 256/,
  ],
];

for (const [name, shards, index, reason] of REFUSED) {
  Deno.test(`an index is refused: ${name}`, async () => {
    await withShards(shards, index, async (path) => {
      await assert.rejects(openTensorFile(path), (error) => {
        assert.ok(error instanceof MdmError, String(error));
        assert.match(error.message, reason);
        assert.match(error.message, /^Cannot load ".*\.$/);
        return true;
      });
    });
  });
}
