/** mdm as a package: what it is made of, and that others can import it. */

import assert from "./assert.ts";
import { join } from "node:path";
import bench from "../bench/deno.json" with { type: "json" };
import project from "../deno.json" with { type: "json" };
import tests from "./deno.json" with { type: "json" };
import { decode, inFolder, SHAPES32 } from "./cli/mdm.ts";

const ROOT = join(import.meta.dirname!, "..");

/** All of our TypeScript, by path. */
function* sources(folder: string): Generator<[string, string]> {
  for (const { name, isDirectory } of Deno.readDirSync(join(ROOT, folder))) {
    const path = `${folder}/${name}`;
    if (isDirectory) yield* sources(path);
    else if (name.endsWith(".ts")) yield [path, Deno.readTextFileSync(join(ROOT, path))];
  }
}

/** What a file imports that is neither its own nor Deno's. */
function packagesOf(text: string): string[] {
  return [...text.matchAll(/\b(?:from |import |import\()"([\w@:][^"]*)"/g)].map(([, name]) => name!)
    .filter((name) => !/^(\.|node:)/.test(name));
}

Deno.test("packages that src needs are named in src/deps alone, each with one version everywhere", () => {
  const versions = new Map<string, Set<string>>();
  const note = (specifier: string) => {
    const [, name, version] =
      /^npm:\/?((?:@[^/]+\/)?[^@/]+)@(\d+\.\d+\.\d+)(?:\/|$)/.exec(specifier) ??
        assert.fail(`${specifier} has no version`);
    versions.set(name!, (versions.get(name!) ?? new Set()).add(version!));
  };
  for (const [path, text] of sources("src")) {
    const names = packagesOf(text);
    if (!path.startsWith("src/deps/")) assert.deepEqual(names, [], path);
    names.forEach(note);
  }
  assert.ok(versions.size > 10);
  for (const folder of ["tests", "tools", "bench"]) {
    for (const [path, text] of sources(folder)) {
      if (path === "tests/package_test.ts") continue;
      packagesOf(text).filter((name) => name.startsWith("npm:")).forEach(note);
    }
  }
  [...Object.values(tests.imports), ...Object.values(bench.imports)].forEach(note);
  for (const [name, found] of versions) assert.equal(found.size, 1, `${name}: ${[...found]}`);
});

Deno.test("tests and the bench run our code with our own settings", () => {
  assert.deepEqual(bench.compilerOptions, project.compilerOptions);
  const { compilerOptions, unstable, allowScripts } = project;
  const { imports: _, ...settings } = tests;
  assert.deepEqual(settings, { compilerOptions, unstable, allowScripts });
});

Deno.test("what only tests need is not downloaded with mdm", () => {
  const lock = Deno.readTextFileSync(join(ROOT, "deno.lock"));
  for (const name of Object.keys(tests.imports)) assert.ok(!lock.includes(`"${name}@`), name);
});

/** Runs Deno in a folder that has no settings. */
async function deno(cwd: string, ...args: string[]) {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [args[0]!, "--quiet", ...args.slice(1)],
    cwd,
    env: { NO_COLOR: "1" },
  }).output();
  return { code, stdout: decode(stdout), stderr: decode(stderr) };
}

Deno.test("a file outside of the repository imports mod.ts without any flag", () =>
  inFolder(async (folder) => {
    await Deno.writeTextFile(
      `${folder}/program.ts`,
      `import { encodeImage, Pipeline } from "${ROOT}/mod.ts";

console.log(typeof Pipeline.load, typeof encodeImage);
if (Deno.args[0] === "make") {
  await using pipeline = await Pipeline.load("${SHAPES32}");
  for await (const event of pipeline.generate({ prompt: "a star", seed: 7, steps: 1 })) {
    if (event.kind === "image") {
      for (const format of ["png", "jpeg", "webp"] as const) {
        const image = await encodeImage(event.image.levels[0]!, format);
        console.log(format, image.length > 100);
      }
    }
  }
}
`,
    );
    const loaded = "function function\n";
    assert.deepEqual(await deno(folder, "run", "program.ts"), {
      code: 0,
      stdout: loaded,
      stderr: "",
    });
    const { stdout } = await deno(folder, "run", "--allow-read", "program.ts", "make");
    assert.equal(stdout, `${loaded}png true\njpeg true\nwebp true\n`);
    assert.deepEqual(await deno(folder, "check", "program.ts"), {
      code: 0,
      stdout: "",
      stderr: "",
    });
  }));

Deno.test("the package can be published, with all that mod.ts needs and nothing else", async () => {
  const { code, stderr } = await deno(ROOT, "publish", "--dry-run", "--allow-dirty");
  assert.equal(code, 0, stderr);
});
