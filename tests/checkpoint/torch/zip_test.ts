import { TorchFile } from "../../../src/checkpoint/torch/torch_file.ts";
import assert from "../../assert.ts";
import { Buffer } from "node:buffer";
import { assertRefused, withFile } from "../refused.ts";
import {
  bytesOf,
  dict,
  integer,
  type Part,
  pickleOf,
  storage,
  tensor,
  text,
  tuple,
  uint32,
  uint64,
} from "./write_pickle.ts";
import { type Entry, uint16, zipOf } from "./write_zip.ts";

const FIXTURES = `${import.meta.dirname}/../../fixtures`;

const PICKLE: Entry = {
  name: "archive/data.pkl",
  bytes: pickleOf(dict([text("weight"), tensor()])),
};
const DATA: Entry = { name: "archive/data/0", bytes: new Uint8Array(8) };

const zip64 = (...values: bigint[]) => [uint16(1), uint16(8 * values.length), values.map(uint64)];
const order = (text: string): Entry => ({ name: "archive/byteorder", bytes: bytesOf(text) });

Deno.test("TorchFile opens the zip files that these tests damage", async () => {
  const long = { ...DATA, packed: 2 ** 32 - 1, extra: ["zz\0\0", zip64(8n)] };
  const empty = { name: "\xff\xfe", bytes: new Uint8Array(0) };
  const files = [
    zipOf([PICKLE, DATA]),
    zipOf([DATA, PICKLE, order("little")]),
    zipOf([PICKLE, long]),
    zipOf([PICKLE, DATA, empty]),
    zipOf([PICKLE, { ...DATA, deflated: true }]),
    zipOf([{ ...PICKLE, deflated: true }, { ...DATA, deflated: true }]),
    // Directories, and what other systems put beside them.
    zipOf([{ ...empty, name: "archive/" }, PICKLE, DATA, { ...empty, deflated: true }]),
  ];
  for (const bytes of files) {
    await withFile(bytes, async (path) => {
      using file = await TorchFile.open(path);
      assert.deepEqual(await file.readFloat32("weight"), Float32Array.of(0, 0));
    });
  }
});

const whole = zipOf([PICKLE, DATA]);
const HOSTILE: [name: string, bytes: Uint8Array, reason: RegExp][] = [
  ["four bytes", whole.subarray(0, 4), /no directory, so it is cut short/],
  ["its last byte missing", whole.subarray(0, -1), /no directory/],
  ["a byte too many", bytesOf(whole, "x"), /no directory/],
  ["a directory past the end", zipOf([PICKLE, DATA], { directoryOffset: 1e6 }), /does not lie/],
  ["a directory of 4 GB", zipOf([PICKLE, DATA], { directoryBytes: 2 ** 32 - 1 }), /does not lie/],
  ["a directory of nothing", zipOf([], {}), /no directory|not a file/],
  ["a directory of pickles", zipOf([PICKLE, DATA], { directoryOffset: 30 }), /not valid at byte 0/],
  ["more entries than there are", zipOf([PICKLE, DATA], { entries: 9 }), /2 entries instead of 9/],
  ["fewer entries", zipOf([PICKLE, DATA], { entries: 1 }), /2 entries instead of 1/],
  ["no checkpoint", zipOf([DATA]), /with 0 torch checkpoints/],
  ["two checkpoints", zipOf([PICKLE, { ...PICKLE, name: "b/data.pkl" }]), /with 2 torch/],
  ["a checkpoint in a folder", zipOf([{ ...PICKLE, name: "a/b/data.pkl" }]), /with 0 torch/],
  ["an entry twice", zipOf([PICKLE, DATA, DATA]), /two entries "archive\/data\/0"/],
  [
    "two names that are not UTF-8",
    zipOf(["\xff", "\xfe"].map((name) => ({ ...DATA, name }))),
    /two/,
  ],
  [
    "an entry compressed otherwise",
    zipOf([PICKLE, { ...DATA, method: 12 }]),
    /"archive\/data\/0" is encrypted, or compressed in a way that torch does not read/,
  ],
  [
    "an entry that is deflated by its directory alone",
    zipOf([{ ...PICKLE, method: 8 }, DATA]),
    /"archive\/data.pkl" has no valid header/,
  ],
  [
    "a pickle of 2 GB",
    zipOf([{ ...PICKLE, deflated: true, unpacked: 2 ** 31 }, DATA]),
    /"archive\/data.pkl" has 2147483648 bytes, over 33554432/,
  ],
  [
    "a pickle longer than its bytes can become",
    zipOf([{ ...PICKLE, deflated: true, unpacked: 1 << 20 }, DATA]),
    /says that it has 1048576 bytes, more than its \d+ can become/,
  ],
  [
    "a pickle longer than it says",
    zipOf([{ ...PICKLE, deflated: true, unpacked: PICKLE.bytes.length - 1 }, DATA]),
    /"archive\/data.pkl" is damaged/,
  ],
  [
    "a deflated pickle with a wrong checksum",
    zipOf([{ ...PICKLE, deflated: true, crc: 1 }, DATA]),
    /"archive\/data.pkl" is damaged/,
  ],
  ["two sizes", zipOf([{ ...PICKLE, unpacked: 2 ** 31 }, DATA]), /is encrypted, or compressed/],
  ["an encrypted entry", zipOf([PICKLE, { ...DATA, flags: 1 }]), /encrypted/],
  [
    "an entry of 2 GB",
    zipOf([PICKLE, { ...DATA, packed: 2 ** 31, unpacked: 2 ** 31 }]),
    /overlaps/,
  ],
  [
    "an entry of 2^63 bytes",
    zipOf([PICKLE, {
      ...DATA,
      packed: 2 ** 32 - 1,
      unpacked: 2 ** 32 - 1,
      extra: zip64(2n ** 63n, 2n ** 63n),
    }]),
    /overlaps/,
  ],
  ["a zip64 field without a value", zipOf([PICKLE, { ...DATA, packed: 2 ** 32 - 1 }]), /not valid/],
  ["entries at one place", zipOf([PICKLE, { ...DATA, offset: 0 }]), /overlaps what follows/],
  ["an entry in another", zipOf([PICKLE, { ...DATA, offset: 60 }]), /overlaps what follows/],
  [
    "an entry in the directory",
    zipOf([PICKLE, { ...DATA, offset: whole.length - 60 }]),
    /overlaps/,
  ],
  ["an entry past the end", zipOf([PICKLE, { ...DATA, offset: 1e9 }]), /overlaps what follows/],
  ["a local header of nothing", zipOf([{ ...PICKLE, offset: 1 }, DATA]), /no valid header/],
  ["a long local header", zipOf([{ ...PICKLE, localExtraLength: 1000 }, DATA]), /overlaps what/],
  ["a wrong checksum", zipOf([{ ...PICKLE, crc: 1 }, DATA]), /"archive\/data.pkl" is damaged/],
  ["big-endian numbers", zipOf([PICKLE, DATA, order("big")]), /byte order is "big"/],
  ["a long byte order", zipOf([PICKLE, DATA, order("x".repeat(999))]), /999 bytes, over 6/],
  [
    "a long pickle",
    zipOf([{ ...PICKLE, bytes: new Uint8Array((32 << 20) + 1) }, DATA]),
    /33554433 bytes, over 33554432/,
  ],
  [
    "a large directory",
    zipOf(Array.from({ length: 260 }, (_, i) => ({ ...DATA, name: `${i}`.padStart(65535, "x") }))),
    /bytes, over 16777216/,
  ],
];

for (const [name, bytes, reason] of HOSTILE) {
  Deno.test({
    name: `TorchFile.open() refuses a zip file with ${name}`,
    sanitizeResources: true, // What is refused is also closed.
    fn: () => assertRefused(bytes, TorchFile.open, reason),
  });
}

Deno.test("TorchFile.open() checks the zip64 directory that torch writes", async () => {
  const bytes = await Deno.readFile(`${FIXTURES}/pth/odd.pth`);
  const locator = bytes.length - 42;
  const record = locator - 56;
  const damage = (at: number, patch: Uint8Array) => {
    const copy = bytes.slice();
    copy.set(patch, at);
    return copy;
  };
  assert.deepEqual(bytes.subarray(locator, locator + 4), bytesOf("PK\x06\x07"));
  const cases: [number, Uint8Array, RegExp][] = [
    [locator + 8, uint64(2n ** 63n), /zip64 directory does not lie inside/],
    [locator + 8, uint64(BigInt(record + 1)), /zip64 directory does not lie inside/],
    [locator + 8, uint64(BigInt(record - 1)), /zip64 directory has no valid end/],
    [record, uint32(0), /zip64 directory has no valid end/],
    [record + 32, uint64(2n ** 64n - 1n), /entries instead of 18446744073709552000/],
    [record + 40, uint64(2n ** 60n), /does not lie inside the file/],
    [record + 48, uint64(2n ** 60n), /does not lie inside the file/],
  ];
  for (const [at, patch, reason] of cases) {
    await assertRefused(damage(at, patch), TorchFile.open, reason);
  }
});

Deno.test("TorchFile.open() refuses a checkpoint cut short at any byte", async () => {
  const bytes = await Deno.readFile(`${FIXTURES}/pth/args_protocol2.pth`);
  for (let length = 0; length < bytes.length; length += 7) {
    await assertRefused(bytes.subarray(0, length), TorchFile.open, /no directory|not a file that/);
  }
});

Deno.test("TorchFile unpacks a storage within limits, and once for reads that follow each other", async () => {
  const count = 300_000;
  const values = Float32Array.from({ length: count }, (_, i) => i % 977);
  const view = tensor({ storage: storage("0", count), shape: tuple(integer(count)) });
  const pickle: Entry = { ...PICKLE, bytes: pickleOf(dict([text("weight"), view])) };
  const data: Entry = { ...DATA, bytes: new Uint8Array(values.buffer), deflated: true };
  await withFile(zipOf([pickle, data]), async (path) => {
    using file = await TorchFile.open(path);
    const parts = await Promise.all([
      file.readFloat32Range("weight", 0, 100_000),
      file.readFloat32Range("weight", 100_000, count - 100_000),
    ]);
    assert.equal(
      Buffer.compare(Buffer.concat(parts.map((part) => new Uint8Array(part.buffer))), data.bytes),
      0,
    );
  });
  const read = async (path: string) => {
    using file = await TorchFile.open(path);
    await file.readFloat32("weight");
  };
  const huge = 2 ** 28;
  const wide = tensor({ storage: storage("0", huge), shape: tuple(integer(huge)) });
  const refused: [pickle: Part, data: Partial<Entry>, reason: RegExp][] = [
    [view, { crc: 1 }, /"archive\/data\/0" is damaged/],
    [wide, { unpacked: 4 * huge }, /"archive\/data\/0" has 1073741824 bytes, over 536870912/],
  ];
  for (const [view, change, reason] of refused) {
    const pickle = { ...PICKLE, bytes: pickleOf(dict([text("weight"), view])) };
    await assertRefused(zipOf([pickle, { ...data, ...change }]), read, reason);
  }
});
