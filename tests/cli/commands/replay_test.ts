import assert from "../../assert.ts";
import { readText, withText } from "../../../src/media/png_text.ts";
import { command, fail, inFolder, mdm, names, succeed } from "../mdm.ts";

const NOISY = ["--sampler", "ddim", "--eta", "0.5", "--steps", "2", "--negative", "a ring"];
/** Of both steps the first is guided, and runs the inner UNet. */
const SAVING = ["--guidance-interval", "0.5,1", "--cache", "2"];

Deno.test("a replay has the bytes of the original, an inner level too", () =>
  inFolder(async (cwd) => {
    await succeed(["generate", "a star", "--seed", "7", ...NOISY, ...SAVING, "--levels"], { cwd });
    const recipe = JSON.parse(readText(await Deno.readFile(`${cwd}/a-star-7.png`)).mdm!);
    assert.deepEqual(recipe.guidanceInterval, [0.5, 1]);
    assert.deepEqual(recipe.cache, { every: 2 });
    for (const name of ["a-star-7", "a-star-7-16x16"]) {
      const path = `${name}-replay.png`;
      assert.equal(await succeed(["replay", `${name}.png`], { cwd }), `${path}\n`);
      assert.deepEqual(
        await Deno.readFile(`${cwd}/${path}`),
        await Deno.readFile(`${cwd}/${name}.png`),
      );
    }
    assert.equal(await succeed(["replay", "a-star-7.png", "-o", "x.jpg"], { cwd }), "x.jpg\n");
    assert.equal(names(cwd).length, 5);
  }));

Deno.test("a replay with changes is what generate makes of them, without a warning", () =>
  inFolder(async (cwd) => {
    await succeed(["generate", "a star", "--seed", "7", ...NOISY, "-o", "a.png"], { cwd });
    const changes = ["--seed", "8", "--steps", "3", "--guidance", "2"];
    const replay = await mdm(["replay", "a.png", ...changes, "-o", "b.png"], { cwd });
    assert.deepEqual(replay, { code: 0, stdout: "b.png\n", stderr: "" });
    await succeed(["generate", "a star", ...NOISY, ...changes, "-o", "c.png"], { cwd });
    assert.deepEqual(await Deno.readFile(`${cwd}/b.png`), await Deno.readFile(`${cwd}/c.png`));
    // The share of noise is DDIM's: another sampler has none.
    await succeed(["replay", "a.png", "--sampler", "dpm++", "-o", "d.png"], { cwd });
    const made = JSON.parse(readText(await Deno.readFile(`${cwd}/d.png`)).mdm!);
    assert.deepEqual([made.sampler, made.eta, made.steps], ["dpm++", undefined, 2]);
    await fail(["replay", "a.png", "--count", "2"], {
      code: 2,
      message: `Unknown option "--count". See "mdm replay --help".`,
    });
  }));

Deno.test("a replay with another seed or other steps is what generate makes of them", () =>
  inFolder(async (cwd) => {
    const star = ["generate", "a star", ...NOISY];
    await succeed([...star, "--seed", "7", "-o", "7.png"], { cwd });
    await succeed([...star, "--seed", "8", "--steps", "3", "-o", "8.png"], { cwd });
    const args = ["replay", "7.png", "--seed", "8", "--steps", "3", "-o", "new/x.png", "--json"];
    const { pictures, settings, isSame } = JSON.parse(await succeed(args, { cwd }));
    assert.deepEqual(pictures, [{
      prompt: "a star",
      seed: "8",
      files: [{ path: "new/x.png", width: 32, height: 32 }],
    }]);
    assert.partialDeepStrictEqual(settings, { steps: 3, eta: 0.5, negative: "a ring" });
    assert.equal(isSame, null);
    assert.deepEqual(await Deno.readFile(`${cwd}/new/x.png`), await Deno.readFile(`${cwd}/8.png`));
    const same = JSON.parse(await succeed(["replay", "7.png", "--json"], { cwd }));
    assert.equal(same.isSame, true);
    const { stdout } = await command(["replay", "7.png", "-o", "-"], { cwd }).output();
    assert.deepEqual(stdout, await Deno.readFile(`${cwd}/7.png`));
  }));

Deno.test("what a replay cannot be asked for", async () => {
  await inFolder(async (cwd) => {
    await succeed(["generate", "a star", "--steps", "1", "-o", "x.png"], { cwd });
    const cases = [
      [["--seed", "-1"], `Option "--seed" needs a whole number from 0 to 2^64 - 1, not "-1".`],
      [["--steps", "0"], `Option "--steps" needs an integer from 1 to 100000, not "0".`],
      [
        ["-o", "-", "--json"],
        "The image goes to the standard output, alone: leave out --json.",
      ],
    ] as const;
    for (const [options, message] of cases) {
      await fail(["replay", `${cwd}/x.png`, ...options], { code: 2, message });
    }
  });
});

/** The text is the chunk after the header, which ends at byte 33. */
function withoutText(png: Uint8Array): Uint8Array {
  const length = new DataView(png.buffer).getUint32(33);
  return new Uint8Array([...png.subarray(0, 33), ...png.subarray(33 + 12 + length)]);
}

/** Makes a picture if there is none, and gives it with other settings in its text. */
async function edited(cwd: string, edit: (recipe: Record<string, unknown>) => void) {
  const name = "x.png";
  if (!names(cwd).includes(name)) {
    await succeed(["generate", "a star", "--steps", "1", "-o", name], { cwd });
  }
  const png = await Deno.readFile(`${cwd}/${name}`);
  const recipe = JSON.parse(readText(png).mdm!);
  edit(recipe);
  const path = `${cwd}/edited.png`;
  await Deno.writeFile(path, withText(withoutText(png), { mdm: JSON.stringify(recipe) }));
  return path;
}

Deno.test("a picture of other weights names the model that made it", () =>
  inFolder(async (cwd) => {
    const path = await edited(cwd, (recipe) => {
      recipe.weights = "ab".repeat(32);
      recipe.model = "castles";
    });
    const { code, stdout, stderr } = await mdm(["replay", path], { cwd });
    assert.equal(code, 1);
    assert.equal(stdout, "");
    assert.match(
      stderr,
      /^mdm: Cannot replay ".*edited\.png": the model "castles" with the hash "(ab){32}" made it, and ".*shapes32" has the hash "[0-9a-f]{64}"\. Give that model with --model\.\n$/,
    );
    assert.deepEqual(names(cwd), ["edited.png", "x.png"]);
  }));

Deno.test("a picture that comes out otherwise is written, and that is said", () =>
  inFolder(async (cwd) => {
    const path = await edited(cwd, (recipe) => recipe.prompt = "a ring");
    const { code, stdout, stderr } = await mdm(["replay", path, "-o", "new.png"], { cwd });
    assert.deepEqual({ code, stdout }, { code: 0, stdout: "new.png\n" });
    assert.match(stderr, /^mdm: The new picture differs from ".*edited\.png": .*\.\n$/);
  }));

Deno.test("settings that are damaged, and pictures without any", () =>
  inFolder(async (folder) => {
    for (
      const edit of [
        (recipe: Record<string, unknown>) => recipe.steps = "2",
        (recipe: Record<string, unknown>) => recipe.sampler = "toString",
        (recipe: Record<string, unknown>) => recipe.seed = "-1",
        (recipe: Record<string, unknown>) => recipe.guidanceInterval = [0.5],
        (recipe: Record<string, unknown>) => recipe.cache = { every: 2, error: 1 },
        (recipe: Record<string, unknown>) => recipe.threshold = "__proto__",
        (recipe: Record<string, unknown>) => delete recipe.prompt,
      ]
    ) {
      const path = await edited(folder, edit);
      await fail(["replay", path], {
        code: 1,
        message:
          `Cannot read how "${path}" was made: its settings are damaged. Give the picture as mdm wrote it.`,
      });
    }
    const path = await edited(folder, (recipe) => recipe.level = 2);
    await fail(["replay", path], {
      code: 1,
      message:
        `Cannot replay "${path}": it is level 2, and the model has 2. Give the picture as mdm wrote it.`,
    });
    const sample = new URL("../../../weights/shapes32/samples.png", import.meta.url).pathname;
    await fail(["replay", sample], {
      code: 1,
      message:
        `Cannot replay "${sample}": it does not say how it was made. Give a PNG that mdm wrote.`,
    });
    await fail(["replay", "none.png"], {
      code: 1,
      message: `Cannot load "none.png": there is no such file. Check the path.`,
    });
    await fail(["replay"], {
      code: 2,
      message: `Give one picture, as in "mdm replay a-red-circle-7.png".`,
    });
  }));
