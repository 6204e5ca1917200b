import assert from "../../assert.ts";
import { crc32 } from "node:zlib";
import { Safetensors } from "../../../src/checkpoint/safetensors.ts";
import { TorchFile } from "../../../src/checkpoint/torch/torch_file.ts";
import { parseDiffusionConfig } from "../../../src/diffusion/config.ts";
import { parseModelConfig } from "../../../src/model/config.ts";
import { assertRefused, withFile } from "../refused.ts";
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
  uint64,
  type View,
} from "./write_pickle.ts";
import { checkpointOf, zipOf } from "./write_zip.ts";

const FIXTURES = `${import.meta.dirname}/../../fixtures`;
const GOLDEN = `${FIXTURES}/golden/checkpoint_pth`;

async function assertSameTensors(torch: string, safetensors: string): Promise<void> {
  using file = await TorchFile.open(torch);
  using expected = await Safetensors.open(safetensors);
  assert.deepEqual([...file.tensors.keys()].sort(), [...expected.tensors.keys()].sort());
  for (const [name, { shape }] of expected.tensors) {
    assert.deepEqual(file.tensors.get(name)!.shape, shape, name);
    // As arrays, since NaN has many bit patterns.
    const [found, wanted] = [await file.readFloat32(name), await expected.readFloat32(name)];
    assert.deepEqual(Array.from(found), Array.from(wanted), name);
  }
}

Deno.test("TorchFile reads what the reference saves, exactly", async () => {
  await assertSameTensors(`${GOLDEN}/vis_model_f16.pth`, `${GOLDEN}/weights.safetensors`);
  using file = await TorchFile.open(`${GOLDEN}/vis_model_f16.pth`);
  assert.equal(file.tensors.size, 173);
  assert.equal(file.tensors.get("temb_layer1.weight")!.dtype, "F16");
  assert.equal(file.configuration(), undefined);
  assert.equal(file.unknownRecords.size, 0);
});

for (const name of ["odd", "legacy"]) {
  Deno.test(`TorchFile reads every dtype and layout of ${name}.pth`, async () => {
    await assertSameTensors(`${FIXTURES}/pth/${name}.pth`, `${FIXTURES}/pth/odd.safetensors`);
  });
}

for (const name of ["attributes", "attributes_legacy", "attributes_deflated"]) {
  Deno.test(`TorchFile reads tensors with attributes, of own classes and of 8 bits in ${name}.pth`, async () => {
    const path = `${FIXTURES}/pth/${name}.pth`;
    await assertSameTensors(path, `${FIXTURES}/pth/attributes.safetensors`);
    using file = await TorchFile.open(path);
    assert.equal(file.tensors.get("float8_e4m3fn")!.dtype, "F8_E4M3");
    assert.equal(file.unreadable.size, 0);
  });
}

for (const name of ["unreadable", "unreadable_legacy"]) {
  Deno.test(`TorchFile names what cannot be read in ${name}.pth, and reads the rest`, async () => {
    using file = await TorchFile.open(`${FIXTURES}/pth/${name}.pth`);
    assert.deepEqual(await file.readFloat32("plain"), Float32Array.of(0, 1));
    const turned = "is a tensor whose numbers are still to be negated or conjugated";
    assert.deepEqual(Object.fromEntries(file.unreadable), {
      sparse: "is a sparse tensor",
      rows: "is a sparse tensor",
      quantized: "is a quantized tensor",
      channels: "is a quantized tensor",
      meta: "is a tensor without numbers (on the meta device)",
      nested: "is a nested tensor",
      jagged: "is a nested tensor",
      complex: 'has elements of type "torch.ComplexFloatStorage"',
      conjugated: turned,
      negated: turned,
      float4: 'has elements of type "torch.float4_e2m1fn_x2"',
      number: "is no tensor",
    });
    await assert.rejects(async () => await file.readFloat32("sparse"), {
      name: "MdmError",
      message: `Cannot load "${file.path}": tensor "sparse" is a sparse tensor. ` +
        "Get the file again, or save its tensors as F32, F16 or BF16.",
    });
  });
}

/** What torch calls to make a tensor of a subclass. */
const subclassed = (rebuild: Part, args: Part, type = "torchao.dtypes.Own") => [
  named("torch._tensor._rebuild_from_type_v2"),
  tuple(rebuild, named(type), args, "}"),
  "R",
];

Deno.test("TorchFile reads a subclass one level deep, and names one that it cannot read", async () => {
  const rebuild = named("torch._utils._rebuild_tensor_v2");
  const args = tuple(storage("0", 2), integer(0), tuple(integer(2)), tuple(integer(1)), "\x89}");
  const values = dict(
    [text("read"), subclassed(rebuild, args)],
    [text("deep"), subclassed(named("torch._tensor._rebuild_from_type_v2"), args)],
    [text("unknown"), subclassed(named("torchao.rebuild"), ")")],
    [text("itself"), subclassed(rebuild, "]q\x01h\x01a")],
  );
  await withFile(checkpointOf(pickleOf(values), { 0: new Uint8Array(8) }), async (path) => {
    using file = await TorchFile.open(path);
    assert.deepEqual([...file.tensors.keys()], ["read"]);
    assert.deepEqual([...file.unreadable.keys()], ["deep", "unknown", "itself"]);
    assert.equal(file.unreadable.get("unknown"), 'is a tensor of class "torchao.dtypes.Own"');
  });
});

Deno.test("TorchFile reads ranges of tensors of any layout, at the same time", async () => {
  using file = await TorchFile.open(`${FIXTURES}/pth/odd.pth`);
  const names = ["contiguous", "transposed", "channels_last", "sliced", "expanded", "second_half"];
  await Promise.all(names.map(async (name) => {
    const all = await file.readFloat32(name);
    for (let start = 0; start <= all.length; start++) {
      const count = Math.min(7, all.length - start);
      const part = await file.readFloat32Range(name, start, count);
      assert.deepEqual(part, all.slice(start, start + count), `${name} from ${start}`);
    }
    for (const [start, count] of [[-1, 2], [0, all.length + 1], [all.length, 1], [0.5, 1]]) {
      await assert.rejects(file.readFloat32Range(name, start!, count!), RangeError);
    }
  }));
  await assert.rejects(async () => await file.readFloat32("missing"), {
    name: "MdmError",
    message:
      `Cannot load "${file.path}": it holds no tensor "missing". Download or export it again.`,
  });
});

Deno.test("TorchFile reads a tensor of several pieces, whole and in part", async () => {
  const count = (1 << 20) + 1000;
  const data = Float32Array.from({ length: count }, (_, i) => (i * 37) % 65521);
  const view = (shape: number[], strides: number[], offset = 0) =>
    tensor({
      storage: storage("0", count),
      shape: tuple(...shape.map(integer)),
      strides: tuple(...strides.map(integer)),
      offset: integer(offset),
    });
  const pickle = pickleOf(dict(
    [text("whole"), view([count], [1])],
    [text("tail"), view([count - 5], [1], 5)],
    [text("turned"), view([2, count / 2], [1, 2])],
  ));
  await withFile(checkpointOf(pickle, { 0: data }), async (path) => {
    using file = await TorchFile.open(path);
    // Slices, since deepEqual of a million elements takes seconds.
    const same = (a: Float32Array, b: Float32Array) =>
      a.length === b.length && a.every((x, i) => x === b[i]);
    assert.ok(same(await file.readFloat32("whole"), data));
    assert.ok(same(await file.readFloat32("tail"), data.slice(5)));
    const odd = data.filter((_, i) => i % 2 === 1);
    assert.ok(same(await file.readFloat32Range("turned", count / 2, count / 2), odd));
  });
});

for (const protocol of [2, 3, 4, 5]) {
  Deno.test(`TorchFile finds the configuration in a checkpoint of protocol ${protocol}`, async () => {
    using file = await TorchFile.open(`${FIXTURES}/pth/args_protocol${protocol}.pth`);
    assert.deepEqual([...file.tensors.keys()], ["inner_unet.lm_proj.weight", "bias"]);
    const expected = JSON.parse(await Deno.readTextFile(`${FIXTURES}/pth/args.json`));
    const configuration = file.configuration()!;
    assert.deepEqual(configuration, expected);
    assert.equal(parseModelConfig(configuration, file.path).kind, "nested_unet");
    const { samplerConfig } = parseDiffusionConfig(configuration.diffusion_config, true);
    assert.equal(samplerConfig.scheduleType, "DEEPFLOYD");
    const array = protocol === 5 ? "numeric._frombuffer" : "multiarray._reconstruct";
    assert.deepEqual(
      Object.fromEntries(file.unknownRecords),
      {
        "argparse.Namespace": 1,
        "models.nested_unet.NestedUNetConfig": 1,
        "models.unet.UNetConfig": 1,
        "models.unet.ResNetConfig": 2,
        "diffusion.NestedDiffusionConfig": 1,
        "samplers.SamplerConfig": 1,
        "samplers.ScheduleType": 1,
        "samplers.PredictionType": 2,
        "samplers.ThresholdType": 1,
        "reader.ReaderConfig": 1,
        "language_models.factory.Unheard": 1,
        "torch.device": 1,
        "pathlib.PurePosixPath": 1,
        [`numpy.core.${array}`]: 1,
      },
    );
  });
}

/** A checkpoint of `{"state_dict": {"weight": ...}, "args": Namespace(unet_config=...)}`. */
function withConfiguration(...unetConfig: Part[]): Uint8Array {
  const args = [named("argparse.Namespace"), ")R", dict([text("unet_config"), unetConfig]), "b"];
  return checkpointOf(
    pickleOf(dict([text("state_dict"), dict([text("weight"), tensor()])], [text("args"), args])),
    { 0: new Uint8Array(8) },
  );
}

Deno.test("TorchFile.configuration() reads members of enumerations as Python 3.11 writes them", async () => {
  const member = [named("builtins.getattr"), tuple(named("samplers.ScheduleType"), text("DDPM"))];
  const unknown = [named("samplers.OtherType"), tuple("K\x07"), "R"];
  const fields = dict(
    [text("schedule_type"), [member, "R"]],
    [text("other"), unknown],
    [text("__proto__"), "K\x01"],
    [text("list"), tuple("NC\x01x", tensor(), integer(-1))],
  );
  await withFile(withConfiguration(fields), async (path) => {
    using file = await TorchFile.open(path);
    assert.equal(
      JSON.stringify(file.configuration()),
      '{"unet_config":{"schedule_type":"DDPM","other":"samplers.OtherType","__proto__":1,' +
        '"list":[null,null,null,-1]}}',
    );
  });
});

const laughs: Part[] = ["]q\x01", "0"];
for (let i = 1; i < 30; i++) {
  laughs.push(["](", `h${String.fromCharCode(i)}`.repeat(10), `eq${String.fromCharCode(i + 1)}0`]);
}
const CONFIGURATIONS: [name: string, configuration: Part][] = [
  ["lists shared a billion times over", [laughs, "h\x1e"]],
  ["a list in itself", "]q\x01h\x01a"],
  ["a dictionary in itself", ["}q\x01", text("inner_config"), "h\x01s"]],
  ["a hundred thousand lists in lists", ["]".repeat(1e5), "a".repeat(1e5 - 1)]],
  ["a hundred thousand values", ["](", "N".repeat(1e5), "e"]],
];

for (const [name, configuration] of CONFIGURATIONS) {
  Deno.test(`TorchFile.configuration() refuses ${name}`, async () => {
    const bytes = withConfiguration(configuration);
    await assertRefused(bytes, async (path) => {
      using file = await TorchFile.open(path);
      assert.deepEqual(await file.readFloat32("weight"), Float32Array.of(0, 0));
      file.configuration();
    }, /configuration in it is too large or nests too deep/);
  });
}

const EIGHT = new Uint8Array(8);
const ones = dict([text("weight"), tensor()]);
const otherOnes = dict([text("other"), tensor()]);

Deno.test("TorchFile finds the state dict where training scripts put it", async () => {
  const found: [name: string, root: Part, tensors: string[]][] = [
    ["alone", ones, ["weight"]],
    ["the reference's", dict([text("other"), tensor()], [text("state_dict"), ones]), ["weight"]],
    ["the average", dict([text("model_state_dict"), otherOnes], [text("ema"), ones]), ["weight"]],
    ["of a model", dict([text("epoch"), "K\x01"], [text("model"), ones]), ["weight"]],
    ["of averaging", dict([text("params_ema"), ones], [text("params"), otherOnes]), ["weight"]],
    [
      "within what another script saved",
      dict([text("model"), dict([text("state_dict"), ones], [text("lr"), "K\x01"])]),
      ["weight"],
    ],
    ["one that is empty", dict([text("state_dict"), "}"], [text("w"), tensor()]), ["w"]],
    [
      "beside other values",
      dict([text("a"), "N"], ["K\x05", tensor()], [text("w"), tensor()], [text("b"), "]"]),
      ["5", "w"],
    ],
  ];
  for (const [name, root, tensors] of found) {
    await withFile(checkpointOf(pickleOf(root), { 0: EIGHT }), async (path) => {
      using file = await TorchFile.open(path);
      assert.deepEqual([...file.tensors.keys()], tensors, name);
    });
  }
});

const viewed = (view: View) => pickleOf(dict([text("weight"), tensor(view)]));
const HUGE = 2 ** 40;

const HOSTILE: [name: string, pickle: Uint8Array, reason: RegExp][] = [
  ["a number", pickleOf("K\x01"), /holds no state dict/],
  ["an empty dictionary", pickleOf("}"), /holds no state dict/],
  ["one tensor", pickleOf(tensor()), /holds no state dict/],
  [
    "a tensor that is no view",
    pickleOf(dict([text("w"), [named("torch._utils._rebuild_tensor_v2"), ")R"]])),
    /no state dict/,
  ],
  ["a call", pickleOf(named("os.system"), tuple(text("ls")), "R"), /object of class "os.system"/],
  ["a negative side", viewed({ shape: tuple(integer(-2)) }), /"weight" has no valid shape/],
  ["a side of text", viewed({ shape: tuple(text("2")) }), /no valid shape/],
  ["a fractional side", viewed({ shape: tuple("G\x3f\xe0\0\0\0\0\0\0") }), /no valid shape/],
  ["a side past 2^53", viewed({ shape: tuple(integer(2 ** 60)) }), /no valid shape/],
  ["no shape", viewed({ shape: "N" }), /no valid shape/],
  [
    "too many sides",
    viewed({ shape: tuple("K\x01".repeat(17)), strides: tuple("K\x01".repeat(17)) }),
    /no valid shape/,
  ],
  ["a negative stride", viewed({ strides: tuple(integer(-1)) }), /no valid strides/],
  ["too few strides", viewed({ strides: ")" }), /no valid strides/],
  ["a negative offset", viewed({ offset: integer(-1) }), /no valid offset/],
  ["an offset of None", viewed({ offset: "N" }), /no valid offset/],
  ["an offset past the end", viewed({ offset: integer(1) }), /\[2\] does not fit its storage of 2/],
  ["a stride past the end", viewed({ strides: tuple(integer(2)) }), /does not fit its storage/],
  ["a side past the end", viewed({ shape: tuple(integer(3)) }), /\[3\] does not fit its storage/],
  ["2^40 elements", viewed({ shape: tuple(integer(HUGE)) }), /does not fit its storage/],
  [
    "2^40 equal elements",
    viewed({ shape: tuple(integer(HUGE)), strides: tuple("K\0") }),
    /not fit/,
  ],
  [
    "sides whose product is past 2^53",
    viewed({ shape: tuple(integer(HUGE), integer(HUGE)), strides: tuple("K\0K\0") }),
    /not fit/,
  ],
  ["a storage that is not there", viewed({ storage: storage("7", 2) }), /"7", which is not there/],
  ["a storage outside its folder", viewed({ storage: storage("../data.pkl", 2) }), /not there/],
  ["a storage of too many elements", viewed({ storage: storage("0", 3) }), /of 8 bytes, which/],
  ["a storage of too few elements", viewed({ storage: storage("0", 1) }), /of 8 bytes, which/],
  ["a storage of 2^40 elements", viewed({ storage: storage("0", HUGE) }), /of 8 bytes, which/],
];

for (const [name, pickle, reason] of HOSTILE) {
  Deno.test({
    name: `TorchFile.open() refuses a checkpoint of ${name}`,
    sanitizeResources: true, // What is refused is also closed.
    fn: () => assertRefused(checkpointOf(pickle, { 0: EIGHT }), TorchFile.open, reason),
  });
}

Deno.test("TorchFile.open() says what to do with a whole module", async () => {
  const bytes = await Deno.readFile(`${FIXTURES}/pth/module.pth`);
  await assertRefused(bytes, TorchFile.open, /"torch.nn.modules.linear.Linear" instead of a state/);
});

Deno.test("TorchFile reads a damaged storage not at all, whole or in part", async () => {
  const half = tensor({ shape: tuple("K\x01") });
  const bytes = zipOf([
    { name: "a/data.pkl", bytes: pickleOf(dict([text("whole"), tensor()], [text("half"), half])) },
    { name: "a/data/0", bytes: EIGHT, crc: 1 },
  ]);
  for (const name of ["whole", "half"]) {
    await assertRefused(bytes, async (path) => {
      using file = await TorchFile.open(path);
      await file.readFloat32(name);
    }, /storage "0" is damaged: the checksum does not fit/);
  }
});

Deno.test("TorchFile compares the checksum of a storage that is read in several pieces", async () => {
  const count = (17 << 20) / 4;
  const values = Float32Array.from({ length: count }, (_, i) => i % 4099);
  const stored = new Uint8Array(values.buffer);
  const part = (shape: number) =>
    tensor({ storage: storage("0", count), shape: tuple(integer(shape)) });
  const pickle = pickleOf(dict([text("whole"), part(count)], [text("part"), part(3)]));
  for (const [name, length] of [["whole", count], ["part", 3]] as const) {
    await withFile(checkpointOf(pickle, { 0: stored }), async (path) => {
      using file = await TorchFile.open(path);
      const read = await file.readFloat32(name);
      assert.equal(read.length, length);
      assert.ok(read.every((value, i) => value === values[i]));
    });
    // Only its last byte is another one.
    const entries = [{ name: "a/data.pkl", bytes: pickle }, {
      name: "a/data/0",
      bytes: stored.with(-1, 1),
      crc: crc32(stored),
    }];
    await assertRefused(zipOf(entries), async (path) => {
      using file = await TorchFile.open(path);
      await file.readFloat32(name);
    }, /storage "0" is damaged: the checksum does not fit/);
  }
});

const MAGIC = "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";
const VERSION = pickleOf("M\xe9\x03");
const LITTLE = pickleOf(dict([text("little_endian"), "\x88"]));
const STORED = bytesOf(uint64(2n), EIGHT);
const KEYS = pickleOf("]", text("0"), "a");

const LEGACY: [name: string, bytes: Uint8Array, reason: RegExp][] = [
  ["its magic number alone", bytesOf(MAGIC), /cut short/],
  ["another version", bytesOf(MAGIC, pickleOf("K\x01"), LITTLE), /version is not 1001/],
  ["no facts of the machine", bytesOf(MAGIC, VERSION, pickleOf("N")), /not little-endian/],
  [
    "big-endian numbers",
    bytesOf(MAGIC, VERSION, pickleOf(dict([text("little_endian"), "\x89"]))),
    /not little-endian/,
  ],
  ["no keys", bytesOf(MAGIC, VERSION, LITTLE, pickleOf(ones), pickleOf("N")), /has no list/],
  [
    "a key of no tensor",
    bytesOf(MAGIC, VERSION, LITTLE, pickleOf(ones), pickleOf("]", text("1"), "a"), STORED),
    /storage of no tensor/,
  ],
  [
    "a storage cut short",
    bytesOf(MAGIC, VERSION, LITTLE, pickleOf(ones), KEYS, STORED.subarray(0, 15)),
    /storage "0" is cut short/,
  ],
  [
    "a storage of another length",
    bytesOf(MAGIC, VERSION, LITTLE, pickleOf(ones), KEYS, uint64(2n ** 63n), EIGHT),
    /9223372036854775808 elements instead of 2/,
  ],
  [
    "a storage left out",
    bytesOf(MAGIC, VERSION, LITTLE, pickleOf(ones), pickleOf("]")),
    /"0", which is not there/,
  ],
];

for (const [name, bytes, reason] of LEGACY) {
  Deno.test({
    name: `TorchFile.open() refuses a file of the old format with ${name}`,
    sanitizeResources: true,
    fn: () => assertRefused(bytes, TorchFile.open, reason),
  });
}
