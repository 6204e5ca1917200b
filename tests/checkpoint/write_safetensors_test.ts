import assert from "../assert.ts";
import { encodeSafetensors, Safetensors } from "../../src/checkpoint/safetensors.ts";
import { writeSafetensors, type WrittenDtype } from "../../src/checkpoint/write_safetensors.ts";

type Tensors = Record<string, { shape: number[]; data: Float32Array }>;

/** Gives tensors as a file, and a folder to write into. */
async function withTensors(
  tensors: Tensors,
  use: (source: Safetensors, folder: string) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    const path = `${folder}/source.safetensors`;
    await Deno.writeFile(path, encodeSafetensors(new Map(Object.entries(tensors))));
    using source = await Safetensors.open(path);
    await use(source, folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const all = (source: Safetensors, dtype: WrittenDtype) =>
  new Map([...source.tensors.keys()].map((name) => [name, dtype]));

Deno.test("tensors of both types are written and read back", async () => {
  const tensors = {
    half: { shape: [3], data: Float32Array.of(1, -65504, 6e-8) },
    scalar: { shape: [], data: Float32Array.of(0.1) },
    empty: { shape: [0, 4], data: new Float32Array(0) },
    full: { shape: [2, 2], data: Float32Array.of(1e30, -0, 0.1, 3) },
  };
  await withTensors(tensors, async (source, folder) => {
    const dtypes = all(source, "F32").set("half", "F16");
    let bytes = 0;
    await writeSafetensors(`${folder}/out`, source, dtypes, { onBytes: (n) => bytes += n });
    assert.equal(bytes, 6 + 4 + 16);
    using out = await Safetensors.open(`${folder}/out`);
    for (const [name, { shape, data }] of Object.entries(tensors)) {
      const info = out.tensors.get(name)!;
      assert.equal(info.dtype, name === "half" ? "F16" : "F32");
      assert.deepEqual(info.shape, shape);
      assert.equal(info.offset % (name === "half" ? 2 : 4), 0, "aligned");
      const expected = name === "half" ? new Float32Array(new Float16Array(data)) : data;
      assert.deepEqual(await out.readFloat32(name), expected);
    }
  });
});

Deno.test("a tensor of more than one piece is the same", async () => {
  const data = Float32Array.from({ length: (8 << 20) + 5 }, (_, i) => i % 2048);
  await withTensors({ big: { shape: [data.length], data } }, async (source, folder) => {
    for (const dtype of ["F16", "F32"] as const) {
      await writeSafetensors(`${folder}/out`, source, all(source, dtype));
      using out = await Safetensors.open(`${folder}/out`);
      const read = await out.readFloat32("big");
      assert.ok(read.every((value, i) => value === i % 2048));
    }
  });
});

Deno.test("what float16 cannot hold is refused, and nothing is left", async () => {
  const cases: [number, WrittenDtype, string][] = [
    [
      70000,
      "F16",
      `Cannot write tensor "w" as F16: it holds 70000, and F16 ends at 65504. Write F32 instead.`,
    ],
    [NaN, "F16", `Cannot write tensor "w": it holds NaN. Get the file again.`],
    [-Infinity, "F32", `Cannot write tensor "w": it holds -Infinity. Get the file again.`],
  ];
  for (const [value, dtype, message] of cases) {
    const tensors = { w: { shape: [2], data: Float32Array.of(1, value) } };
    await withTensors(tensors, async (source, folder) => {
      const writing = writeSafetensors(`${folder}/out`, source, all(source, dtype));
      await assert.rejects(writing, { name: "MdmError", message });
      assert.deepEqual([...Deno.readDirSync(folder)].map(({ name }) => name), [
        "source.safetensors",
      ]);
    });
  }
});

Deno.test("an aborted write keeps the file that was there", async () => {
  const tensors = { w: { shape: [1], data: Float32Array.of(1) } };
  await withTensors(tensors, async (source, folder) => {
    await Deno.writeTextFile(`${folder}/out`, "before");
    const signal = AbortSignal.abort();
    await assert.rejects(
      writeSafetensors(`${folder}/out`, source, all(source, "F32"), { signal }),
      { name: "AbortError" },
    );
    assert.equal(await Deno.readTextFile(`${folder}/out`), "before");
    assert.equal([...Deno.readDirSync(folder)].length, 2);
  });
});
