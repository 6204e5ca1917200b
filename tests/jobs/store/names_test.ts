import assert from "../../assert.ts";
import { UsageError } from "../../../src/errors.ts";
import { storedPath } from "../../../src/jobs/store/names.ts";

Deno.test("ids and names of ours are a path", () => {
  assert.equal(storedPath("a"), "a");
  assert.equal(storedPath("01J-x_Y", "0-16x16.png"), "01J-x_Y/0-16x16.png");
  assert.equal(storedPath("-", "a..b"), "-/a..b");
  assert.equal(storedPath("a".repeat(128), "b".repeat(128)).length, 257);
});

Deno.test("no other id is taken", () => {
  const ids = [
    "",
    ".",
    "..",
    "a.b",
    "a/b",
    "/",
    "\\",
    "a\n",
    "a\0",
    "é",
    "a b",
    "%2e%2e",
    "a".repeat(129),
  ];
  for (const id of ids) {
    assert.throws(() => storedPath(id), UsageError, id);
    assert.throws(() => storedPath(id, "0.png"), UsageError, id);
  }
});

Deno.test("no other name is taken", () => {
  const names = [
    "",
    ".",
    "..",
    ".a",
    "../a",
    "a/b",
    "a\\b",
    "/a",
    "a\n",
    "a\0",
    "é",
    "a b",
    "%2e",
    "a".repeat(129),
  ];
  for (const name of names) assert.throws(() => storedPath("a", name), UsageError, name);
});
