import assert from "../assert.ts";
import { readOptions } from "../../bench/command.ts";
import { UsageError } from "../../src/errors.ts";

const names = (...argv: string[]) => readOptions(argv).cases.map(({ name }) => name);

Deno.test("bench: cases are chosen by parts of their names", () => {
  assert.deepEqual(names("--only", "MATMUL,shapes32"), ["matmul 1024", "matmul 2048", "shapes32"]);
  assert(names().includes("cc12m_64x64"));
  assert(!names("--quick").includes("cc12m_64x64"));
  assert.throws(() => readOptions(["--only", "nothing"]), UsageError);
});

Deno.test("bench: peers are measured in the order in which they are named, once", () => {
  assert.deepEqual(readOptions(["--peers", "tfjs,mdm,tfjs"]).peers, ["tfjs", "mdm"]);
  assert.throws(() => readOptions(["--peers", "tensorflow"]), UsageError);
});

Deno.test("bench: what cannot be meant is refused", () => {
  assert.throws(() => readOptions(["matmul"]), UsageError);
  assert.throws(() => readOptions(["--json", "--markdown"]), UsageError);
});
