import assert from "node:assert/strict";
import { chooseOutput, slug, writeLevels } from "../../src/cli/output_files.ts";
import { MdmError } from "../../src/errors.ts";
import { inFolder, names } from "./mdm.ts";

/** A grey picture. */
function level(side: number, grey = 128) {
  const data = new Uint8Array(side * side * 4).fill(grey);
  return { picture: { width: side, height: side, data }, text: {} };
}

Deno.test("slug: words of any script, short, never empty", () => {
  assert.equal(slug("A red circle, on a BLUE background!"), "a-red-circle-on-a-blue-background");
  assert.equal(slug("../../etc/passwd\0"), "etc-passwd");
  assert.equal(slug("ein Kreis für 2 €"), "ein-kreis-für-2");
  assert.equal(slug("e\u0301toile 赤い円"), "étoile-赤い円");
  assert.equal(slug("..."), "picture");
  assert.equal(slug(`${"a".repeat(47)} b`), "a".repeat(47));
  assert.equal(new TextEncoder().encode(slug("𝒂".repeat(99))).length, 192);
});

Deno.test("chooseOutput: a folder that exists, is to be made, or is none named", () =>
  inFolder(async (folder) => {
    for (const path of [folder, `${folder}/`, `${folder}/new/deep/`]) {
      assert.deepEqual(await chooseOutput(path, 2), { kind: "folder", path, format: "png" });
    }
    assert.equal((await chooseOutput(undefined, 2)).path, ".");
    const path = `${folder}/a.jpeg`;
    assert.deepEqual(await chooseOutput(path, 1), { kind: "file", path, format: "jpeg" });
    assert.deepEqual(names(folder), [], "a check leaves nothing");
  }));

Deno.test({
  name: "chooseOutput: a device is not written",
  ignore: Deno.build.os === "windows",
  fn: () =>
    inFolder(async (folder) => {
      await Deno.symlink("/dev/full", `${folder}/full.png`);
      const message = `Cannot write "${folder}/full.png": it is not a file. Give a file's path.`;
      await assert.rejects(chooseOutput(`${folder}/full.png`, 1), new MdmError(message));
    }),
});

Deno.test("writeLevels: a picture and its levels get one free name together", () =>
  inFolder(async (folder) => {
    const output = { kind: "folder", path: `${folder}/new`, format: "png" } as const;
    const [big, small] = [level(4), level(2)];
    assert.deepEqual(await writeLevels(output, "x", [big]), [`${folder}/new/x.png`]);
    await Deno.writeTextFile(`${folder}/new/x-2x2.png`, "another picture");
    const second = [`${folder}/new/x-2.png`, `${folder}/new/x-2-2x2.png`];
    assert.deepEqual(await writeLevels(output, "x", [big, small]), second);
    assert.deepEqual(await writeLevels(output, "x", [big, small]), second);
    assert.deepEqual(await writeLevels(output, "x", [level(4, 7)]), [`${folder}/new/x-3.png`]);
    assert.deepEqual(names(`${folder}/new`), [
      "x-2-2x2.png",
      "x-2.png",
      "x-2x2.png",
      "x-3.png",
      "x.png",
    ]);
    assert.equal(await Deno.readTextFile(`${folder}/new/x-2x2.png`), "another picture");
  }));

Deno.test("writeLevels: beside a file that was named", () =>
  inFolder(async (folder) => {
    const output = { kind: "file", path: `${folder}/a.b.JPG`, format: "jpeg" } as const;
    const paths = await writeLevels(output, "unused", [level(4), level(2)]);
    assert.deepEqual(paths, [`${folder}/a.b.JPG`, `${folder}/a.b-2x2.JPG`]);
    assert.deepEqual(names(folder), ["a.b-2x2.JPG", "a.b.JPG"]);
  }));
