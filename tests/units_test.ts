import assert from "./assert.ts";
import { formatBytes, formatFlops, parseBytes } from "../src/units.ts";

Deno.test("formatBytes and formatFlops: the largest unit that leaves a whole part", () => {
  assert.deepEqual([0, 1023, 1024, 1.5 * 2 ** 20, 3 * 2 ** 40].map(formatBytes), [
    "0 bytes",
    "1023 bytes",
    "1.0 KiB",
    "1.5 MiB",
    "3072.0 GiB",
  ]);
  assert.deepEqual([999, 1e3, 8.877e8].map(formatFlops), ["999 FLOP", "1.0 kFLOP", "887.7 MFLOP"]);
});

Deno.test("parseBytes: sizes as people write them", () => {
  const sizes: [string, number][] = [
    ["4GB", 4e9],
    ["512MiB", 512 * 2 ** 20],
    ["1.5 gib", 1.5 * 2 ** 30],
    ["2T", 2e12],
    ["100", 100],
    ["7B", 7],
    [".5k", 500],
  ];
  for (const [text, bytes] of sizes) assert.equal(parseBytes(text), bytes, text);
  for (const text of ["", "GB", "-1GB", "1e9", "4 GB of it", "1..5G", "0x10"]) {
    assert.equal(parseBytes(text), null, text);
  }
});
