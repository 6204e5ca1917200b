import assert from "../../assert.ts";
import { table } from "../../../src/cli/terminal/table.ts";

Deno.test("table: the first column to the left, the others to the right", () => {
  const rows = [["", "work"], ["a step", "1.5"], ["b", "20"]];
  assert.equal(table(rows), "          work\n  a step   1.5\n  b         20");
  assert.equal(table(rows, { left: 2 }), "          work\n  a step  1.5\n  b       20");
});
