import assert from "../assert.ts";
import { Buffer } from "node:buffer";
import { encodeSafetensors, Safetensors } from "../../src/checkpoint/safetensors.ts";
import { MdmError } from "../../src/errors.ts";

const SHAPES32 = `${import.meta.dirname}/../../weights/shapes32/model.safetensors`;

/** Runs `use` on a file with these bytes. */
async function withFile(bytes: Uint8Array, use: (path: string) => Promise<void>): Promise<void> {
  const path = await Deno.makeTempFile({ suffix: ".safetensors" });
  try {
    await Deno.writeFile(path, bytes);
    await use(path);
  } finally {
    await Deno.remove(path);
  }
}

/** A file with this header (an object, or JSON text) and data; `length` may lie about the header. */
function fileOf(header: unknown, data: ArrayBufferView, length?: bigint): Uint8Array {
  const json = typeof header === "string" ? header : JSON.stringify(header);
  const text = new TextEncoder().encode(json);
  const bytes = new Uint8Array(8 + text.length + data.byteLength);
  new DataView(bytes.buffer).setBigUint64(0, length ?? BigInt(text.length), true);
  bytes.set(text, 8);
  bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), 8 + text.length);
  return bytes;
}

async function assertRefused(bytes: Uint8Array, reason: RegExp): Promise<void> {
  await withFile(bytes, async (path) => {
    await assert.rejects(Safetensors.open(path), (error) => {
      assert.ok(error instanceof MdmError, String(error));
      assert.match(error.message, reason);
      assert.ok(error.message.startsWith(`Cannot load "${path}": `), error.message);
      assert.ok(error.message.endsWith(". Download or export it again."), error.message);
      return true;
    });
  });
}

const EIGHT = new Uint8Array(8);
const PAIR = { dtype: "F32", shape: [2], data_offsets: [0, 8] };

const HOSTILE: [name: string, bytes: Uint8Array, reason: RegExp][] = [
  ["seven bytes", new Uint8Array(7), /has only 7 bytes/],
  ["a header longer than the file", fileOf({ a: PAIR }, EIGHT, 1000n), /1000 bytes long but the/],
  ["a header of 2^64 - 1 bytes", fileOf({}, EIGHT, 2n ** 64n - 1n), /18446744073709551615 bytes/],
  [
    "a header over the limit",
    fileOf("{}", new Uint8Array(100_000_001), 100_000_001n),
    /over 100000000/,
  ],
  ["no header", fileOf("", new Uint8Array(0)), /not JSON in UTF-8/],
  ["bad JSON", fileOf('{"a":', new Uint8Array(0)), /not JSON in UTF-8/],
  ["bad UTF-8", fileOf('{"', Uint8Array.of(0xff, 0x22, 0x3a, 0x31, 0x7d), 7n), /not JSON in UTF-8/],
  ["a byte order mark", fileOf("\ufeff{}", new Uint8Array(0)), /not JSON in UTF-8/],
  ["a list for a header", fileOf([], new Uint8Array(0)), /not a JSON object/],
  ["null for a header", fileOf("null", new Uint8Array(0)), /not a JSON object/],
  ["a number for a tensor", fileOf({ a: 1 }, EIGHT), /tensor "a" is not described/],
  ["metadata not text", fileOf({ __metadata__: { a: 1 } }, new Uint8Array(0)), /metadata are not/],
  ["metadata a list", fileOf({ __metadata__: ["a"] }, new Uint8Array(0)), /metadata are not/],
  [
    "a dtype that is no name",
    fileOf({ a: { ...PAIR, dtype: "F 4" } }, EIGHT),
    /unknown dtype "F 4"/,
  ],
  ["a dtype that is a number", fileOf({ a: { ...PAIR, dtype: 4 } }, EIGHT), /unknown dtype "4"/],
  [
    "bytes of an unknown dtype that overlap",
    fileOf({ a: { ...PAIR, dtype: "F4" }, b: PAIR }, EIGHT),
    /overlaps/,
  ],
  ["no dtype", fileOf({ a: { ...PAIR, dtype: undefined } }, EIGHT), /unknown dtype "undefined"/],
  ["a negative side", fileOf({ a: { ...PAIR, shape: [-2] } }, EIGHT), /no valid shape/],
  ["a fractional side", fileOf({ a: { ...PAIR, shape: [0.5, 4] } }, EIGHT), /no valid shape/],
  ["an unsafe side", fileOf({ a: { ...PAIR, shape: [2 ** 53] } }, EIGHT), /no valid shape/],
  ["a side of text", fileOf({ a: { ...PAIR, shape: ["2"] } }, EIGHT), /no valid shape/],
  ["no shape", fileOf({ a: { ...PAIR, shape: undefined } }, EIGHT), /no valid shape/],
  ["too many sides", fileOf({ a: { ...PAIR, shape: Array(17).fill(1) } }, EIGHT), /no valid shape/],
  ["a product past 2^53", fileOf({ a: { ...PAIR, shape: [2 ** 32, 2 ** 32] } }, EIGHT), /not fit/],
  ["a shape too large", fileOf({ a: { ...PAIR, shape: [3] } }, EIGHT), /\[3\] and dtype F32 does/],
  ["one offset", fileOf({ a: { ...PAIR, data_offsets: [8] } }, EIGHT), /no valid data offsets/],
  ["end before begin", fileOf({ a: { ...PAIR, data_offsets: [8, 0] } }, EIGHT), /does not fit/],
  ["a negative begin", fileOf({ a: { ...PAIR, data_offsets: [-8, 0] } }, EIGHT), /no valid data/],
  ["data cut short", fileOf({ a: PAIR }, new Uint8Array(7)), /says 70 bytes but the file has 69/],
  ["data left over", fileOf({ a: PAIR }, new Uint8Array(9)), /last 1 bytes belong to no tensor/],
  ["data outside", fileOf({ a: { ...PAIR, data_offsets: [8, 16] } }, EIGHT), /8 bytes before/],
  [
    "an overlap",
    fileOf({ a: PAIR, b: { ...PAIR, data_offsets: [4, 12] } }, new Uint8Array(12)),
    /"b" overlaps/,
  ],
  ["the same bytes twice", fileOf({ a: PAIR, b: PAIR }, EIGHT), /"b" overlaps/],
  [
    "a gap",
    fileOf({ a: PAIR, b: { ...PAIR, data_offsets: [9, 17] } }, new Uint8Array(17)),
    /1 bytes before tensor "b"/,
  ],
  [
    "a name twice",
    fileOf(
      `{"a":${JSON.stringify(PAIR)},"a":{"dtype":"F32","shape":[1],"data_offsets":[8,12]}}`,
      new Uint8Array(12),
    ),
    /8 bytes before tensor "a"/,
  ],
  ["a terminal's control codes", fileOf({ "\x1b[2J": 1 }, EIGHT), /tensor "\\u001b\[2J" is not/],
  ["a long name", fileOf({ ["x".repeat(1e5)]: 1 }, EIGHT), /"x{120}\.\.\." is not/],
];

for (const [name, bytes, reason] of HOSTILE) {
  Deno.test({
    name: `Safetensors.open() refuses ${name}`,
    sanitizeResources: true, // What is refused is also closed.
    fn: () => assertRefused(bytes, reason),
  });
}

Deno.test("Safetensors.open() refuses a missing file and a folder", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const missing = `${folder}/no/model.safetensors`;
    await assert.rejects(
      Safetensors.open(missing),
      new MdmError(`Cannot load "${missing}": there is no such file. Check the path.`),
    );
    await assert.rejects(
      Safetensors.open(folder),
      new MdmError(`Cannot load "${folder}": it is not a file. Give a file's path.`),
    );
  } finally {
    await Deno.remove(folder);
  }
});

Deno.test({
  name: "Safetensors.open() refuses a file it may not read",
  permissions: { read: false },
  fn: async () => {
    await assert.rejects(Safetensors.open("model.safetensors"), {
      name: "MdmError",
      message: /Cannot load "model.safetensors": reading it is not permitted\. Check its mode\./,
    });
  },
});

Deno.test("Safetensors.open() accepts names of prototypes, empty tensors, scalars and padding", async () => {
  const names = `"__proto__":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},` +
    `"constructor":{"dtype":"I8","shape":[],"data_offsets":[2,3]},` +
    `"empty":{"dtype":"F32","shape":[3,0],"data_offsets":[2,2]}`;
  const metadata = `"__metadata__":{"__proto__":"kept"}`;
  await withFile(fileOf(`{${names},${metadata}}   `, Uint8Array.of(7, 9, 254)), async (path) => {
    using file = await Safetensors.open(path);
    assert.deepEqual([...file.tensors.keys()], ["__proto__", "constructor", "empty"]);
    assert.deepEqual([...file.metadata], [["__proto__", "kept"]]);
    assert.deepEqual(await file.readFloat32("__proto__"), Float32Array.of(7, 9));
    assert.deepEqual(await file.readFloat32("constructor"), Float32Array.of(-2));
    assert.deepEqual(await file.readFloat32("empty"), new Float32Array(0));
  });
});

Deno.test("Safetensors reads every dtype that becomes float32", async () => {
  const cases: [dtype: string, data: ArrayBufferView, expected: number[]][] = [
    ["F32", Float32Array.of(0.1, -0, Infinity), [Math.fround(0.1), -0, Infinity]],
    // The least subnormal, the largest finite and infinity of each 16-bit format.
    ["F16", Uint16Array.of(0x0001, 0x7bff, 0xfc00), [2 ** -24, 65504, -Infinity]],
    ["BF16", Uint16Array.of(0x0001, 0x7f7f, 0xc049), [
      2 ** -133,
      2 ** 127 * (2 - 2 ** -7),
      -3.140625,
    ]],
    ["F64", Float64Array.of(0.1, 1e300, -2), [Math.fround(0.1), Infinity, -2]],
    ["BOOL", Uint8Array.of(0, 1, 1), [0, 1, 1]],
    ["U8", Uint8Array.of(0, 1, 255), [0, 1, 255]],
    ["I8", Int8Array.of(-128, 1, 127), [-128, 1, 127]],
    ["U16", Uint16Array.of(0, 1, 65535), [0, 1, 65535]],
    ["I16", Int16Array.of(-32768, 1, 32767), [-32768, 1, 32767]],
    ["U32", Uint32Array.of(0, 1, 2 ** 31), [0, 1, 2 ** 31]],
    ["I32", Int32Array.of(-(2 ** 31), 1, 7), [-(2 ** 31), 1, 7]],
    ["I64", BigInt64Array.of(-5n, 1n, 2n ** 40n), [-5, 1, 2 ** 40]],
  ];
  for (const [dtype, data, expected] of cases) {
    const header = { x: { dtype, shape: [3], data_offsets: [0, data.byteLength] } };
    await withFile(fileOf(header, data), async (path) => {
      using file = await Safetensors.open(path);
      assert.deepEqual(await file.readFloat32("x"), Float32Array.from(expected), dtype);
    });
  }
});

Deno.test("Safetensors names the tensor and dtype that do not become float32, and reads the others", async () => {
  const header = {
    scales: { dtype: "F4", shape: [8], data_offsets: [0, 4] },
    inherited: { dtype: "toString", shape: [2 ** 40], data_offsets: [4, 8] },
    weight: { ...PAIR, data_offsets: [8, 16] },
  };
  await withFile(fileOf(header, new Uint8Array(16)), async (path) => {
    using file = await Safetensors.open(path);
    assert.deepEqual([...file.unreadable], [
      ["scales", "has dtype F4"],
      ["inherited", "has dtype toString"],
    ]);
    assert.deepEqual(await file.readFloat32("weight"), Float32Array.of(0, 0));
    await assert.rejects(file.readFloat32("scales"), {
      name: "MdmError",
      message: `Cannot load "${path}": tensor "scales" has dtype F4. ` +
        "Get the file again, or save its tensors as F32, F16 or BF16.",
    });
  });
});

/** A file whose header is `json`, filled up with spaces to be `length` bytes long. */
function longHeader(json: string, length: number, data: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(8 + length + data.length).fill(0x20);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(length), true);
  new TextEncoder().encodeInto(json, bytes.subarray(8));
  bytes.set(data, 8 + length);
  return bytes;
}

Deno.test("Safetensors.open() reads headers up to the format's 100 MB", async () => {
  const notes = 'a \\"note\\", '.repeat(1.5e6);
  const json = `{"__metadata__":{"notes":"${notes}"},"a":${JSON.stringify(PAIR)}}`;
  for (const length of [json.length, 100_000_000]) {
    await withFile(longHeader(json, length, EIGHT), async (path) => {
      using file = await Safetensors.open(path);
      assert.equal(file.metadata.get("notes")!.length, 15e6);
      assert.deepEqual(await file.readFloat32("a"), Float32Array.of(0, 0));
    });
  }
  const lists = `{"a":[${"[],".repeat(2_100_000)}0]}`;
  await assertRefused(longHeader(lists, lists.length, EIGHT), /has more than 2000000 values/);
});

Deno.test("encodeSafetensors() round-trips F32 exactly and F16 rounded to nearest even", async () => {
  const data = Float32Array.of(0.1, 1 + 2 ** -11, 1 + 3 * 2 ** -11, -65519, 65520, 3);
  const tensors = new Map([
    ["10", { shape: [2, 3], data }],
    ["__proto__", { shape: [], data: Float32Array.of(-1.5) }],
    ["2", { shape: [0], data: new Float32Array(0) }],
  ]);
  await withFile(encodeSafetensors(tensors), async (path) => {
    using file = await Safetensors.open(path);
    assert.deepEqual([...file.tensors.keys()].sort(), ["10", "2", "__proto__"]);
    assert.deepEqual(file.tensors.get("10")!.shape, [2, 3]);
    assert.equal(file.tensors.get("10")!.offset % 8, 0);
    for (const [name, { data }] of tensors) assert.deepEqual(await file.readFloat32(name), data);
  });
  await withFile(encodeSafetensors(tensors, "F16"), async (path) => {
    using file = await Safetensors.open(path);
    assert.equal(file.tensors.get("10")!.byteLength, 12);
    const rounded = Float32Array.of(0.0999755859375, 1, 1 + 2 ** -9, -65504, Infinity, 3);
    assert.deepEqual(await file.readFloat32("10"), rounded);
    assert.deepEqual(await file.readFloat32("__proto__"), Float32Array.of(-1.5));
  });
  assert.deepEqual(encodeSafetensors(tensors), encodeSafetensors(tensors));
});

Deno.test("encodeSafetensors() refuses a shape that does not fit its data", () => {
  const tensors = new Map([["a", { shape: [2, 2], data: new Float32Array(3) }]]);
  assert.throws(() => encodeSafetensors(tensors), RangeError);
});

Deno.test("Safetensors reads ranges, across the pieces it reads a tensor in", async () => {
  const count = (1 << 20) + 1000;
  const data = Float32Array.from({ length: count }, (_, i) => (i * 37) % 2039);
  const before = { shape: [3], data: Float32Array.of(1, 2, 3) };
  const tensors = new Map([["before", before], ["x", { shape: [count], data }]]);
  await withFile(encodeSafetensors(tensors, "F16"), async (path) => {
    using file = await Safetensors.open(path);
    assert.ok(Buffer.compare(bytesOf(await file.readFloat32("x")), bytesOf(data)) === 0);
    const last = await file.readFloat32Range("x", count - 5, 5);
    assert.deepEqual(last, data.slice(count - 5));
    const long = await file.readFloat32Range("x", 7, 1 << 20);
    assert.ok(Buffer.compare(bytesOf(long), bytesOf(data.slice(7, 7 + (1 << 20)))) === 0);
    assert.deepEqual(await file.readFloat32Range("x", count, 0), new Float32Array(0));
    for (const [start, length] of [[-1, 2], [0, count + 1], [count, 1], [0.5, 1], [0, NaN]]) {
      await assert.rejects(file.readFloat32Range("x", start!, length!), RangeError);
    }
    await assert.rejects(async () => await file.readFloat32("y"), {
      name: "MdmError",
      message: `Cannot load "${path}": it holds no tensor "y". Download or export it again.`,
    });
  });
});

Deno.test("Safetensors reads many tensors at the same time", async () => {
  const tensors = new Map(Array.from({ length: 64 }, (_, i) => {
    const data = Float32Array.from({ length: 5000 + i }, (_, j) => i * 10000 + j);
    return [`t${i}`, { shape: [data.length], data }];
  }));
  await withFile(encodeSafetensors(tensors), async (path) => {
    using file = await Safetensors.open(path);
    const reads = [...tensors.keys()].map((name) => file.readFloat32(name));
    for (const [i, read] of (await Promise.all(reads)).entries()) {
      assert.deepEqual(read, tensors.get(`t${i}`)!.data);
    }
  });
});

Deno.test("Safetensors says that a file became shorter, and reads on what is left", async () => {
  const ones = { shape: [1000], data: new Float32Array(1000).fill(1) };
  await withFile(encodeSafetensors(new Map([["a", ones], ["b", ones]])), async (path) => {
    using file = await Safetensors.open(path);
    await Deno.truncate(path, file.tensors.get("b")!.offset + 10);
    const [lost, kept] = await Promise.allSettled([file.readFloat32("b"), file.readFloat32("a")]);
    assert.equal(lost.status, "rejected");
    assert.ok(lost.reason instanceof MdmError);
    assert.match(lost.reason.message, /became shorter while it was read/);
    assert.equal(kept.status, "fulfilled");
  });
});

Deno.test("Safetensors reads the shapes32 checkpoint", async () => {
  using file = await Safetensors.open(SHAPES32);
  let parameters = 0;
  for (const { name, dtype } of file.tensors.values()) {
    assert.equal(dtype, "F16");
    const values = await file.readFloat32(name);
    assert.ok(values.every(Number.isFinite), name);
    parameters += values.length;
  }
  assert.equal(parameters, 3_577_606);
  assert.equal(file.tensors.size + (file.metadata.size > 0 ? 1 : 0), 430);
});

function bytesOf(values: Float32Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}
