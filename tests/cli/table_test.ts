import assert from "node:assert/strict";
import { formatBytes, formatFlops, table } from "../../src/cli/table.ts";

Deno.test("table: the first column to the left, the others to the right", () => {
  const rows = [["", "work"], ["a step", "1.5"], ["b", "20"]];
  assert.equal(table(rows), "          work\n  a step   1.5\n  b         20");
  assert.equal(table(rows, { left: 2 }), "          work\n  a step  1.5\n  b       20");
});

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
