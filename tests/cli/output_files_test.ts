import assert from "../assert.ts";
import {
  chooseFramesOutput,
  choosePictureOutput,
  chooseVideoOutput,
  slug,
  writeLevels,
} from "../../src/cli/output_files.ts";
import { MdmError } from "../../src/errors.ts";
import { inFolder, names } from "./mdm.ts";

/** A grey picture, or a video of several that are the same. */
function level(side: number, { grey = 128, frames = 1 } = {}) {
  const data = new Uint8Array(side * side * 4).fill(grey);
  const frame = { width: side, height: side, data };
  return { frames: Array<typeof frame>(frames).fill(frame), textOf: () => ({}) };
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

Deno.test("an output is a folder that exists, is to be made, or is none named", () =>
  inFolder(async (folder) => {
    for (const path of [folder, `${folder}/`, `${folder}/new/deep/`]) {
      const place = { kind: "folder", path } as const;
      assert.deepEqual(
        await choosePictureOutput(path, 2),
        { ...place, medium: "image", format: "png", extension: ".png" },
      );
      assert.deepEqual(
        await chooseVideoOutput(path, 2, { fps: 8, standard: "mp4" }),
        { ...place, medium: "video", format: "mp4", extension: ".mp4", fps: 8 },
      );
      assert.deepEqual(
        await chooseFramesOutput(path, 2),
        { ...place, medium: "frames", extension: "" },
      );
    }
    assert.equal((await choosePictureOutput(undefined, 2)).path, ".");
    assert.deepEqual(names(folder), [], "a check leaves nothing");
  }));

Deno.test("an output is a file, in the format of its name", () =>
  inFolder(async (folder) => {
    const file = (path: string) => ({ kind: "file", path } as const);
    const [picture, video, frames] = [`${folder}/a.jpeg`, `${folder}/a.PNG`, `${folder}/a.b`];
    assert.deepEqual(
      await choosePictureOutput(picture, 1),
      { ...file(picture), medium: "image", format: "jpeg", extension: ".jpeg" },
    );
    assert.deepEqual(
      await chooseVideoOutput(video, 1, { fps: 8, standard: "mp4" }),
      { ...file(video), medium: "video", format: "png", extension: ".PNG", fps: 8 },
    );
    assert.deepEqual(
      await chooseFramesOutput(frames, 1),
      { ...file(frames), medium: "frames", extension: "" },
    );
    assert.deepEqual(names(folder), [], "a check leaves nothing");
  }));

Deno.test({
  name: "choosePictureOutput: a device is not written",
  ignore: Deno.build.os === "windows",
  fn: () =>
    inFolder(async (folder) => {
      await Deno.symlink("/dev/full", `${folder}/full.png`);
      const message = `Cannot write "${folder}/full.png": it is not a file. Give a file's path.`;
      await assert.rejects(choosePictureOutput(`${folder}/full.png`, 1), new MdmError(message));
    }),
});

Deno.test("writeLevels: a picture and its levels get one free name together", () =>
  inFolder(async (folder) => {
    const output = {
      medium: "image",
      kind: "folder",
      path: `${folder}/new`,
      extension: ".png",
      format: "png",
    } as const;
    const [big, small] = [level(4), level(2)];
    assert.deepEqual(await writeLevels(output, "x", [big]), [`${folder}/new/x.png`]);
    await Deno.writeTextFile(`${folder}/new/x-2x2.png`, "another picture");
    const second = [`${folder}/new/x-2.png`, `${folder}/new/x-2-2x2.png`];
    assert.deepEqual(await writeLevels(output, "x", [big, small]), second);
    assert.deepEqual(await writeLevels(output, "x", [big, small]), second);
    assert.deepEqual(await writeLevels(output, "x", [level(4, { grey: 7 })]), [
      `${folder}/new/x-3.png`,
    ]);
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
    const output = await choosePictureOutput(`${folder}/a.b.JPG`, 1);
    const paths = await writeLevels(output, "unused", [level(4), level(2)]);
    assert.deepEqual(paths, [`${folder}/a.b.JPG`, `${folder}/a.b-2x2.JPG`]);
    assert.deepEqual(names(folder), ["a.b-2x2.JPG", "a.b.JPG"]);
  }));

Deno.test("writeLevels: frames in a folder that takes no other one's place", () =>
  inFolder(async (folder) => {
    const output = await chooseFramesOutput(`${folder}/x`, 1);
    const video = [level(4, { frames: 4 }), level(2, { frames: 4 }), level(2)];
    const ending = ["", "-2x2x4", "-2x2.png"];
    const first = ending.map((end) => `${folder}/x${end}`);
    assert.deepEqual(await writeLevels(output, "unused", video), first);
    assert.deepEqual(await writeLevels(output, "unused", video), first, "the same");
    await Deno.writeTextFile(`${folder}/x-2x2x4/frame-5.png`, "another");
    const second = ending.map((end) => `${folder}/x-2${end}`);
    assert.deepEqual(await writeLevels(output, "unused", video), second);
    assert.equal(names(`${folder}/x-2x2x4`).length, 5);
    assert.deepEqual(names(folder), [
      "x",
      "x-2",
      "x-2-2x2.png",
      "x-2-2x2x4",
      "x-2x2.png",
      "x-2x2x4",
    ]);
  }));
