import assert from "../../assert.ts";
import { unpickle } from "../../../src/checkpoint/torch/pickle.ts";
import type { PickleValue } from "../../../src/checkpoint/torch/values.ts";
import { MdmError } from "../../../src/errors.ts";
import {
  bytesOf,
  dict,
  integer,
  named,
  type Part,
  pickleOf,
  storage,
  tensor,
  text,
  tuple,
  uint32,
  uint64,
} from "./write_pickle.ts";

const load = (...operations: Part[]) => unpickle("x.pth", pickleOf(...operations));

const VALUES: [name: string, operations: Part, value: PickleValue][] = [
  ["None, True and False", "(N\x88\x89t", [null, true, false]],
  ["integers of 1, 2 and 4 bytes", "(K\xffM\x34\x12J\xfe\xff\xff\xfft", [255, 0x1234, -2]],
  ["long integers", ["(\x8a\x00\x8a\x01\xff\x8b\x02\0\0\0\x00\x80", integer(2 ** 53 - 1), "t"], [
    0,
    -1,
    -32768,
    2 ** 53 - 1,
  ]],
  ["an integer past 2^53", ["\x8a\x09", uint64(0n), "\x01"], 2n ** 64n],
  ["a float", "G\x3f\xb9\x99\x99\x99\x99\x99\x9a", 0.1],
  ["text of each length", [
    "(",
    text("é\0\u{1f600}"),
    "\x8c\x02ab\x8d",
    uint64(1n),
    "cT",
    uint32(1),
    "\xe9U\x01ft",
  ], ["é\0\u{1f600}", "ab", "c", "é", "f"]],
  ["bytes of each length", ["(B", uint32(1), "\xffC\x01\xfe\x8e", uint64(1n), "\xfdt"], [
    Uint8Array.of(255),
    Uint8Array.of(254),
    Uint8Array.of(253),
  ]],
  ["bytes as protocol 2 writes them", [
    named("_codecs.encode"),
    tuple(text("é"), text("latin1")),
    "R",
  ], Uint8Array.of(0xe9)],
  ["lists", "](K\x01K\x02eK\x03a", [1, 2, 3]],
  ["tuples", ["(", ")K\x01\x85K\x01K\x02\x86K\x01K\x02K\x03\x87", "t"], [[], [1], [1, 2], [
    1,
    2,
    3,
  ]]],
  [
    "dictionaries",
    "}(K\x01K\x02uNK\x03s",
    new Map<PickleValue, PickleValue>([["1", 2], [null, 3]]),
  ],
  ["sets", ["(\x8f(K\x01\x90(K\x02\x91", named("__builtin__.set"), tuple("](K\x03e"), "Rt"], [
    [1],
    [2],
    [3],
  ]],
  ["an ordered dictionary", [named("collections.OrderedDict"), ")RNK\x01s"], new Map([[null, 1]])],
  ["a default dictionary", [
    named("collections.defaultdict"),
    tuple(named("builtins.list")),
    "RK\x01K\x02s",
  ], new Map([["1", 2]])],
  ["what is kept and recalled", [
    ["(K\x01q\x07", "K\x02r", uint32(300), "K\x03\x94"],
    ["h\x07j", uint32(300), "h\x02t"],
  ], [1, 2, 3, 1, 2, 3]],
  ["what is dropped and doubled", "(K\x01K\x020(N12t", [1, 1]],
  ["a class that is named only", named("os.system"), { kind: "class", name: "os.system" }],
];

const NUMBERS: [code: string, order: string, bytes: ArrayBufferView, value: PickleValue][] = [
  ["f8", "<", Float64Array.of(0.1), 0.1],
  ["f4", "<", Float32Array.of(0.5), 0.5],
  ["f2", "<", Float16Array.of(-1.5), -1.5],
  ["i8", "<", BigInt64Array.of(-7n), -7],
  ["u8", "<", BigUint64Array.of(2n ** 63n), 2n ** 63n],
  ["i4", ">", Uint8Array.of(0xff, 0xff, 0xff, 0xfe), -2],
  ["u2", ">", Uint8Array.of(1, 2), 0x102],
  ["i1", "|", Int8Array.of(-1), -1],
  ["b1", "|", Uint8Array.of(1), true],
];

for (const [code, order, { buffer }, value] of NUMBERS) {
  Deno.test(`unpickle() reads numpy's ${order}${code}`, () => {
    const dtype = [named("numpy.dtype"), tuple(text(code), "\x89\x88"), "R"];
    const state = [tuple("K\x03", text(order), "NNN"), "b"];
    const bytes = new Uint8Array(buffer);
    const data = ["C", Uint8Array.of(bytes.length), bytes];
    for (const module of ["numpy.core", "numpy._core"]) {
      const call = [named(`${module}.multiarray.scalar`), tuple([dtype, state], data), "R"];
      const { value: read, records } = load(call);
      assert.deepEqual(read, value);
      assert.equal(records.size, 0);
    }
    const long = [named("numpy.core.multiarray.scalar"), tuple([dtype, state], data, "N"), "R"];
    assert.deepEqual(load(long).value, value);
  });
}

Deno.test("unpickle() keeps numpy's text and dates on record", () => {
  const dtype = [named("numpy.dtype"), tuple(text("M8"), "\x89\x88"), "R"];
  const { value } = load(named("numpy.core.multiarray.scalar"), tuple(dtype, "C\x01x"), "R");
  assert.equal((value as { class: string }).class, "numpy.core.multiarray.scalar");
});

for (const [name, operations, value] of VALUES) {
  Deno.test(`unpickle() reads ${name}`, () => {
    const read = load(operations).value;
    assert.deepEqual(plainBytes(read), value);
  });
}

Deno.test("unpickle() reads a tensor, a parameter and their storage as data", () => {
  const data = { kind: "storage", key: "0", type: "torch.FloatStorage", dtype: "F32", count: 2 };
  const place = { offset: 0, shape: [2], strides: [1] };
  const view = { kind: "tensor", storage: data, ...place, dtype: undefined };
  const { value, storages, records } = load(
    tuple(tensor(), named("torch._utils._rebuild_parameter"), tuple(tensor(), "\x88N"), "R"),
  );
  assert.deepEqual(value, [view, view]);
  assert.deepEqual([...storages], [["0", data]]);
  assert.equal(records.size, 0);
});

Deno.test("unpickle() keeps every other class on record, with arguments and state", () => {
  const object = [named("models.unet.UNetConfig"), ")\x81", dict([text("dim"), "K\x08"]), "b"];
  const { value, records } = load(
    tuple(object, object, [named("some.Dict"), ")}\x92K\x01K\x02sK\x03a(K\x04\x90"]),
  );
  const config = {
    kind: "record",
    class: "models.unet.UNetConfig",
    args: [],
    state: new Map([["dim", 8]]),
  };
  const custom = { kind: "record", class: "some.Dict", args: [], state: null };
  assert.deepEqual(value, [config, config, custom]);
  assert.deepEqual([...records], [["models.unet.UNetConfig", 2], ["some.Dict", 1]]);
});

Deno.test("unpickle() runs nothing that a pickle names", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const command = text(`touch ${folder}/ran`);
    const code = text(`Deno.writeTextFileSync("${folder}/ran", "")`);
    const attacks: Part[] = [
      [named("os.system"), tuple(command), "R"],
      [named("posix.system"), tuple(command), "R"],
      [named("subprocess.Popen"), tuple(command), "\x81"],
      [named("builtins.eval"), tuple(code), "R"],
      [named("globalThis.Function"), tuple(code), "R"],
      [named("constructor.constructor"), tuple(code), "R"],
      [text("os"), text("system"), "\x93", tuple(command), "R"],
      [named("torch.jit._script.unpackage_script_module"), ")R", dict([command, code]), "b"],
    ];
    for (const attack of attacks) {
      const { value, records } = load(attack);
      assert.equal((value as { kind: string }).kind, "record");
      assert.equal(records.size, 1);
    }
    // What a call returned cannot be called in its turn.
    assert.throws(() => load(attacks[3]!, tuple(command), "R"), /calls what is no class/);
    assert.deepEqual([...Deno.readDirSync(folder)], []);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("unpickle() takes names of prototypes for what they are", () => {
  const { value } = load(dict([text("__proto__"), "K\x01"], [text("constructor"), "K\x02"]));
  assert.deepEqual(value, new Map([["__proto__", 1], ["constructor", 2]]));
  const { records } = load(named("a.__proto__"), ")R");
  assert.deepEqual([...records], [["a.__proto__", 1]]);
});

Deno.test("unpickle() is not slowed by keys that a hash table puts in one place", () => {
  // V8 hashes a bigint by its lowest 64 bits.
  const keys = Array.from({ length: 100_000 }, (_, i) => ["\x8a\x0c", uint64(1n), uint32(i), "N"]);
  const { value } = load("}(", keys, "u");
  assert.equal((value as Map<PickleValue, PickleValue>).size, keys.length);
});

Deno.test("unpickle() reads values that contain themselves, and deep ones", () => {
  const { value: loop } = load("]q\x00h\x00a");
  assert.equal((loop as PickleValue[])[0], loop);
  const depth = 300_000;
  let { value } = load("]".repeat(depth), "a".repeat(depth - 1));
  for (let i = 1; i < depth; i++) value = (value as PickleValue[])[0]!;
  assert.deepEqual(value, []);
});

const shared = (value: Part) => [value, "q\x00"];
const call = (name: string, args: Part) => [named(name), tuple(args), "R0"];

const HOSTILE: [name: string, pickle: Uint8Array, reason: RegExp][] = [
  ["nothing", new Uint8Array(0), /cut short/],
  ["no end", bytesOf("\x80\x02N"), /cut short/],
  ["no value", pickleOf(""), /takes a value where there is none/],
  ["an operation of protocol 0", pickleOf("(ios\nsystem\n"), /operation 0x69/],
  ["an operation that is none", pickleOf("\xff"), /operation 0xff/],
  ["an extension", pickleOf("\x82\x01"), /operation 0x82/],
  ["a group that did not begin", pickleOf("t"), /ends a group/],
  ["a value from below a mark", pickleOf("N(0"), /takes a value where/],
  ["a value that was not kept", pickleOf("h\x05"), /refers to value 5/],
  ["text that is not UTF-8", pickleOf("X", uint32(1), "\xff"), /not in UTF-8/],
  ["half a surrogate pair", pickleOf("X", uint32(3), "\xed\xa0\x80"), /not in UTF-8/],
  ["text of 2^63 bytes", pickleOf("\x8d", uint64(2n ** 63n)), /cut short/],
  ["bytes of 2^64 - 1 bytes", pickleOf("\x8e", uint64(2n ** 64n - 1n)), /cut short/],
  ["an array of 2^40 bytes", pickleOf("\x96", uint64(2n ** 40n)), /cut short/],
  ["text of 4 GB", pickleOf("X", uint32(2 ** 32 - 1)), /cut short/],
  ["an integer of 4 GB", pickleOf("\x8b", uint32(2 ** 32 - 1)), /integer of 4294967295 bytes/],
  ["an integer of 1 MB", pickleOf("\x8b", uint32(1 << 20), "x".repeat(1 << 20)), /integer of/],
  ["a name without an end", pickleOf("c", "a".repeat(1e6)), /name without an end/],
  ["a long name", pickleOf(text("a"), text("b".repeat(1e6)), "\x93"), /more than 512 characters/],
  ["a name of numbers", pickleOf("NN\x93"), /names a class by what is no text/],
  ["a call of text", pickleOf(text("os.system"), ")R"), /calls what is no class/],
  ["arguments that are none", pickleOf(named("a.b"), "NR"), /with what are no arguments/],
  ["items of a number", pickleOf("K\x01K\x02K\x03s"), /no dictionary/],
  ["a key without a value", pickleOf("}(K\x01u"), /no dictionary/],
  ["an element of a number", pickleOf("K\x01K\x02a"), /no list/],
  ["a member of a number", pickleOf("K\x01(K\x02\x90"), /no list/],
  ["a storage of text", pickleOf(text("0"), "Q"), /no storage/],
  ["a storage of -1 elements", pickleOf(storage("0", -1)), /no storage/],
  ["one storage in two ways", pickleOf(storage("0", 1), storage("0", 2)), /in two ways/],
  ["a million lists in lists", pickleOf("]".repeat(1e6), "a".repeat(1e6 - 1)), /524288 objects/],
  ["a million dictionaries", pickleOf("(", "}".repeat(1e6), "t"), /524288 objects/],
  ["five million marks", pickleOf("(".repeat(5e6)), /4194304 operations/],
  ["a million kept values", pickleOf("N", "\x94".repeat(1e6)), /keeps more than/],
  ["a million empty groups", pickleOf("(t".repeat(1e6)), /524288 objects/],
  [
    "a thousand copies of 1 MB",
    pickleOf(
      shared(text("x".repeat(1e6))),
      Array(1e3).fill(
        call("_codecs.encode", ["h\x00", text("latin1")]),
      ),
    ),
    /524288 objects/,
  ],
];

for (const [name, pickle, reason] of HOSTILE) {
  Deno.test(`unpickle() refuses ${name}`, () => {
    assert.throws(() => unpickle("x.pth", pickle), (error) => {
      assert.ok(error instanceof MdmError, String(error));
      assert.match(error.message, reason);
      assert.match(error.message, /^Cannot load "x.pth": its pickle /);
      return true;
    });
  });
}

Deno.test("unpickle() refuses a pickle cut short at any byte", () => {
  const whole = pickleOf(dict([text("weight"), tensor()], [text("n"), integer(2 ** 40)]));
  assert.equal(unpickle("x.pth", whole).end, whole.length);
  for (let length = 0; length < whole.length; length++) {
    assert.throws(() => unpickle("x.pth", whole.subarray(0, length)), MdmError, `${length} bytes`);
  }
});

/** Buffers are Uint8Arrays too, but deepEqual tells them apart. */
function plainBytes(value: PickleValue): PickleValue {
  if (value instanceof Uint8Array) return Uint8Array.from(value);
  return Array.isArray(value) ? value.map(plainBytes) : value;
}
