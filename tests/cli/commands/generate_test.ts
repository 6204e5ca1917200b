import assert from "../../assert.ts";
import { readText } from "../../../src/media/png_text.ts";
import {
  argumentsOf,
  command,
  decode,
  fail,
  inFolder,
  mdm,
  names,
  quiet,
  succeed,
} from "../mdm.ts";

const STAR = ["generate", "a green star", "--seed", "7", "--steps", "2"];

async function equalFiles(a: string, b: string): Promise<void> {
  const [left, right] = [await Deno.readFile(a), await Deno.readFile(b)];
  assert.deepEqual(new Uint8Array(left), new Uint8Array(right));
}

Deno.test("the same command twice writes the same bytes", () =>
  inFolder(async (cwd) => {
    assert.equal(await succeed([...STAR, "-o", "a.png"], { cwd }), "a.png\n");
    assert.equal(await succeed([...STAR, "-o", "b.png"], { cwd }), "b.png\n");
    await equalFiles(`${cwd}/a.png`, `${cwd}/b.png`);
    // ... and another seed others.
    await succeed([...STAR, "--seed", "8", "-o", "c.png"], { cwd });
    assert.notDeepEqual(await Deno.readFile(`${cwd}/a.png`), await Deno.readFile(`${cwd}/c.png`));
  }));

Deno.test("picture k of several is the one that its seed gives alone, noise and levels too", () =>
  inFolder(async (cwd) => {
    const noisy = ["--sampler", "ddim", "--eta", "1", "--steps", "3", "--levels"];
    const star = ["generate", "a green star", ...noisy];
    // Three at a time: the last batch has one.
    await succeed([...star, "--seed", "7", "-n", "4", "--batch", "3", "-o", "all/"], { cwd });
    assert.equal(names(`${cwd}/all`).length, 8);
    for (const seed of [7, 9, 10]) {
      await succeed([...star, "--seed", `${seed}`, "-o", "alone/"], { cwd });
    }
    assert.equal(names(`${cwd}/alone`).length, 6);
    for (const name of names(`${cwd}/alone`)) {
      await equalFiles(`${cwd}/all/${name}`, `${cwd}/alone/${name}`);
    }
  }));

Deno.test("names come from the prompt and the seed, and take no other picture's place", () =>
  inFolder(async (cwd) => {
    assert.equal(await succeed(STAR, { cwd }), "a-green-star-7.png\n");
    const first = await Deno.readFile(`${cwd}/a-green-star-7.png`);
    assert.equal(await succeed(STAR, { cwd }), "a-green-star-7.png\n", "the same picture");
    const stronger = [...STAR, "--guidance", "1", "--levels"];
    const paths = "a-green-star-7-2.png\na-green-star-7-2-16x16.png\n";
    assert.equal(await succeed(stronger, { cwd }), paths);
    assert.equal(await succeed(stronger, { cwd }), paths);
    assert.deepEqual(await Deno.readFile(`${cwd}/a-green-star-7.png`), first);
    assert.equal(names(cwd).length, 3);
  }));

Deno.test("a file that is named is written over, in the format of its name", () =>
  inFolder(async (cwd) => {
    const starts: Record<string, number[]> = {
      "x.png": [0x89, 0x50],
      "x.JPG": [0xff, 0xd8],
      "x.webp": [0x52, 0x49],
    };
    for (const [name, start] of Object.entries(starts)) {
      await Deno.writeTextFile(`${cwd}/${name}`, "before");
      await succeed([...STAR, "--steps", "1", "-o", name], { cwd });
      assert.deepEqual([...(await Deno.readFile(`${cwd}/${name}`)).subarray(0, 2)], start);
    }
    assert.deepEqual(names(cwd), Object.keys(starts).sort());
  }));

Deno.test("prompts come from a file too, and --json tells all that was made and how", () =>
  inFolder(async (cwd) => {
    await Deno.writeTextFile(`${cwd}/p.txt`, "# two\n\na red ring\r\n  a cross \n");
    const args = ["generate", "a star", "--prompts", "p.txt", "-s", "5", "--steps", "1", "--json"];
    const told = JSON.parse(
      await succeed([...args, "--negative", "blue", "-o", "out/"], { cwd }),
    );
    const files = ["a-star-5.png", "a-red-ring-6.png", "a-cross-7.png"];
    assert.deepEqual(
      told.pictures,
      ["a star", "a red ring", "a cross"].map((prompt, i) => ({
        prompt,
        seed: `${5 + i}`,
        files: [{ path: `out/${files[i]}`, width: 32, height: 32 }],
      })),
    );
    assert.deepEqual(names(`${cwd}/out`), files.toSorted());
    const { weights, ...settings } = told.settings;
    assert.match(weights, /^[0-9a-f]{64}$/);
    assert.deepEqual(settings, {
      negative: "blue",
      sampler: "dpm++",
      steps: 1,
      eta: 0,
      guidance: 4,
      threshold: "CLIP",
      size: 32,
      batch: 4,
      model: "shapes32",
    });
    assert.ok(told.timings.loadMs > 0 && told.timings.generateMs > 0);
    const text = readText(await Deno.readFile(`${cwd}/out/a-red-ring-6.png`)).mdm!;
    assert.partialDeepStrictEqual(JSON.parse(text), {
      version: "0.1.0",
      model: "shapes32",
      weights,
      prompt: "a red ring",
      negative: "blue",
      seed: "6",
      sampler: "dpm++",
      steps: 1,
      guidance: 4,
      threshold: "CLIP",
      size: 32,
      level: 0,
    });
  }));

Deno.test("a prompt that is too long is cut, and that is said", () =>
  inFolder(async (cwd) => {
    const prompt = Array(20).fill("a red circle").join(" and ");
    const { code, stdout, stderr } = await mdm(
      ["generate", prompt, "--seed", "1", "--steps", "1"],
      { cwd },
    );
    assert.equal(code, 0);
    assert.match(
      stderr,
      /^mdm: The prompt "a red circle and .{30,50}\.\.\." has \d+ tokens, and the model takes 32: the rest was cut off\. Say it in fewer words\.\n$/,
    );
    assert.deepEqual(names(cwd), [stdout.trim()]);
  }));

Deno.test("a seed is drawn where none is given, and told by the name", () =>
  inFolder(async (cwd) => {
    for (let i = 0; i < 2; i++) await succeed(["generate", "a star", "--steps", "1"], { cwd });
    assert.equal(names(cwd).length, 2);
    for (const name of names(cwd)) assert.match(name, /^a-star-\d+\.png$/);
  }));

Deno.test("the largest seed is taken, and the next begins at 0", () =>
  inFolder(async (cwd) => {
    const seed = `${(1n << 64n) - 1n}`;
    await succeed(["generate", "a", "--seed", seed, "-n", "2", "--steps", "1"], { cwd });
    assert.deepEqual(names(cwd), ["a-0.png", `a-${seed}.png`]);
    const range = "from 0 to 2^64 - 1";
    await fail(["generate", "a", "--seed", "18446744073709551616"], {
      code: 2,
      message: `Cannot use seed 18446744073709551616: give a whole number ${range}.`,
    });
  }));

Deno.test("folders of a file that is named are made, and a link that is named is followed", () =>
  inFolder(async (cwd) => {
    assert.equal(await succeed([...STAR, "-o", "a/b/x.png"], { cwd }), "a/b/x.png\n");
    const made = await Deno.readFile(`${cwd}/a/b/x.png`);
    await Deno.symlink("a/y.png", `${cwd}/link.png`);
    assert.equal(await succeed([...STAR, "-o", "link.png"], { cwd }), "link.png\n");
    assert.deepEqual(await Deno.readFile(`${cwd}/a/y.png`), made);
    assert.equal(await Deno.readLink(`${cwd}/link.png`), "a/y.png");
  }));

Deno.test("an image goes to the standard output by two names, and prompts come from the input", () =>
  inFolder(async (cwd) => {
    await succeed([...STAR, "-o", "x.png"], { cwd });
    const expected = await Deno.readFile(`${cwd}/x.png`);
    const { stdout } = await command([...STAR, "-o", "-"], { cwd }).output();
    assert.deepEqual(stdout, expected);
    const child = command(
      ["generate", "--prompts", "-", "--seed", "7", "--steps", "2", "-o", "/dev/stdout"],
      { cwd, stdin: "piped" },
    ).spawn();
    const writer = child.stdin.getWriter();
    await writer.write(new TextEncoder().encode("# one\na green "));
    await writer.write(new TextEncoder().encode("star\n"));
    await writer.close();
    assert.deepEqual((await child.output()).stdout, expected);
    assert.deepEqual(names(cwd), ["x.png"]);
  }));

Deno.test("more prompts on the standard input than can be meant are not all read", async () => {
  const child = command(["generate", "--prompts", "-"], { stdin: "piped" }).spawn();
  const writer = child.stdin.getWriter();
  const write = async () => {
    for (let i = 0; i < 8; i++) await writer.write(new Uint8Array(1 << 18).fill(0x0a));
    await writer.close();
  };
  await write().catch(() => {}); // The reader goes away.
  const { code, stderr } = await child.output();
  assert.equal(
    decode(stderr),
    "mdm: Cannot read the standard input: it has over 1048576 bytes, too many for a file of prompts.\n",
  );
  assert.equal(code, 1);
});

Deno.test("what does nothing, or nothing good, is said and done", () =>
  inFolder(async (cwd) => {
    const run = async (...args: string[]) => {
      const { code, stderr } = await mdm([...STAR, "--steps", "1", "-o", "x.png", ...args], {
        cwd,
      });
      assert.equal(code, 0);
      return stderr;
    };
    const negative =
      "mdm: Without guidance the negative prompt does nothing: give --guidance a number over 1, or leave out --negative.\n";
    const size = (side: number) =>
      `mdm: The model was trained at 32x32; images of ${side}x${side} will hardly show what was asked for. Leave out --size for its own.\n`;
    assert.equal(await run("--negative", "a ring", "--guidance", "1"), negative);
    assert.equal(await run("--size", "64"), size(64));
    assert.equal(await run("--size", "16"), size(16));
    assert.equal(await run("--size", "48", "--negative", "a ring"), "");
    assert.equal(await run("--negative", "", "--guidance", "1"), "");
  }));

/** Runs `mdm` with a terminal for its input and output; gives all that it shows there. */
async function onTerminal(args: readonly string[], cwd: string, env: Record<string, string>) {
  const words = [Deno.execPath(), ...argumentsOf(args)].map((word) => `'${word}'`).join(" ");
  const { stdout } = await new Deno.Command("script", {
    args: ["--quiet", "--return", "--command", words, "/dev/null"],
    cwd,
    env: { NO_COLOR: "1", COLUMNS: "80", ...env },
    stdin: "null",
  }).output();
  return decode(stdout).replaceAll("\x1b[K", "<clear>");
}

/** Without the lines of progress that slow machines show. */
const quietly = (text: string) => quiet(text.replaceAll("\r\n", "\n"));

Deno.test({
  name: "a terminal shows a bar unless it is quiet, and one that is dumb shows no bar",
  ignore: Deno.build.os !== "linux",
  fn: () =>
    inFolder(async (cwd) => {
      const args = [...STAR, "-o", "x.png"];
      const xterm = { TERM: "xterm" };
      const shown = await onTerminal(args, cwd, xterm);
      assert.match(shown, /\rSampling \[=+\] 2\/2.*<clear>/);
      assert.ok(shown.endsWith("x.png\r\n"), JSON.stringify(shown));
      assert.equal(await onTerminal([...args, "--quiet"], cwd, xterm), "x.png\r\n");
      assert.equal(quietly(await onTerminal(args, cwd, { TERM: "dumb" })), "x.png\n");
      // What is said, too.
      const wrong = [...args, "--steps", "0"];
      assert.match(await onTerminal(wrong, cwd, xterm), /^\r<clear>mdm: Option "--steps" /);
      assert.match(await onTerminal(wrong, cwd, { TERM: "dumb" }), /^mdm: Option "--steps" /);
      const refused = await onTerminal([...STAR, "-o", "-"], cwd, { TERM: "dumb" });
      assert.match(
        refused,
        /^mdm: Cannot show a picture in a terminal: .* "-o - > file\.png"\.\r\n$/,
      );
    }),
});
