import assert from "../../assert.ts";
import { fail, inFolder, mdm, NO_GPU, SHAPES32, succeed } from "../mdm.ts";

/** Files that hold a compiled kernel each, in the cache of Mesa's software driver. */
async function compiled(folder: string): Promise<string[]> {
  const found: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    const path = `${folder}/${name}`;
    if (isDirectory) found.push(...await compiled(path));
    else if (/^[0-9a-f]{38}$/.test(name)) found.push(path);
  }
  return found.sort();
}

Deno.test("after mdm warmup a picture's process finds all that it needs in the driver's cache", () =>
  inFolder(async (folder) => {
    const env = { MESA_SHADER_CACHE_DIR: `${folder}/cache` };
    const { model, size, pipelines, compileMs, assumed } = JSON.parse(
      await succeed(["warmup", SHAPES32, "--json"], { env }),
    );
    assert.deepEqual({ model, size, assumed }, { model: SHAPES32, size: 32, assumed: null });
    assert.ok(pipelines > 5 && compileMs > 0);
    const kept = await compiled(folder);
    const choices = ["--steps", "2", "--sampler", "ddpm", "--threshold", "dynamic"];
    await succeed(["generate", "a star", ...choices, "-o", `${folder}/`], { env });
    assert.deepEqual(await compiled(folder), kept);
    // Mesa from version 24 on keeps all in one file instead, and drivers of GPUs have folders of their own.
    if (kept.length > 0) assert.ok(kept.length >= pipelines, `${kept.length} of ${pipelines}`);
  }));

Deno.test("mdm warmup says what it did in a sentence", async () => {
  assert.match(
    await succeed(["warmup"]),
    /^\d+ pipelines for 32x32 of .*shapes32 compiled in \d+\.\d s on .+\.\n$/,
  );
});

Deno.test("mdm warmup of what cannot be", async () => {
  await fail(["warmup", "a", "b"], {
    code: 2,
    message: `Give one model's folder, as in "mdm warmup weights/shapes32".`,
  });
  await fail(["warmup", "nowhere"], {
    code: 1,
    message: /^mdm: Cannot load the model "nowhere": there is no such file or folder\./,
  });
  await fail(["warmup", "--size", "33"], {
    code: 2,
    message: /^mdm: The model cannot make pictures of size 33: give a multiple of /,
  });
  const { code, stderr } = await mdm(["warmup"], { env: NO_GPU });
  assert.equal(code, 1);
  assert.match(stderr, /^mdm: No WebGPU adapter was found\./);
});
