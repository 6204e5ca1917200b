/** mdm tune, and what other commands do with what it wrote. */

import assert from "../../assert.ts";
import { readTuned } from "../../../src/pipeline/planning/tuned_file.ts";
import { fail, inFolder, names, SHAPES32, succeed } from "../mdm.ts";

Deno.test("mdm tune writes what other commands take", () =>
  inFolder(async (cwd) => {
    const text = await succeed(["tune", SHAPES32, "--size", "8", "-o", "fast.json"], { cwd });
    assert.match(text, /^Another way is faster for \d+ of \d+ shapes: .*\nfast\.json\n$/);
    assert.deepEqual(names(cwd), ["fast.json"]);
    const { adapter, convolutions } = await readTuned(`${cwd}/fast.json`);
    assert.ok(text.includes(`${convolutions.size} of `));
    const info = await succeed(["info", "--tuned", "fast.json"], { cwd });
    assert.ok(info.includes(`Planned for ${adapter}: `));
    const generate = ["generate", "a star", "--size", "24", "--steps", "1", "--tuned", "fast.json"];
    assert.equal(await succeed([...generate, "-o", "star.png"], { cwd }), "star.png\n");
  }));

Deno.test("what cannot be tuned is said before anything is measured", async () => {
  const file = `${SHAPES32}/config.json`;
  await fail(["tune", "-o", `${file}/fast.json`], {
    code: 1,
    message: `Cannot write "${file}/fast.json": there is no folder "${file}". Create it first.`,
  });
  await fail(["tune", SHAPES32, SHAPES32], {
    code: 2,
    message: `Give one model's folder, as in "mdm tune weights/shapes32".`,
  });
  await fail(["tune", "--size", "9"], {
    code: 2,
    message: "The model cannot make pictures of size 9: give a multiple of 8 up to 4096.",
  });
});
