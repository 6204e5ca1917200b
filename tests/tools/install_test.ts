import assert from "../assert.ts";
import { fileURLToPath } from "node:url";
import project from "../../deno.json" with { type: "json" };
import { decode, inFolder, quiet } from "../cli/mdm.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url)).replace(/\/$/, "");

/** Stands in for Deno and for npx: prints what it is given, a word a line. */
const ECHO = `#!/bin/sh\necho "$0"\nprintf '%s\\n' "$@"\n`;

/** Installs the command, with what its task permits. */
async function install(args: readonly string[], env: Record<string, string> = {}) {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "--quiet", "--no-prompt", "--allow-write", "--allow-env=HOME,PATH"],
      ...[`${ROOT}/tools/install.ts`, ...args],
    ],
    env: { NO_COLOR: "1", ...env },
  }).output();
  return { code, stdout: decode(stdout), stderr: decode(stderr) };
}

/** What the installed command runs, as words: its Deno is replaced by one that prints them. */
async function wordsOf(script: string, args: readonly string[], folder: string) {
  const text = await Deno.readTextFile(script);
  await Deno.writeTextFile(`${folder}/deno`, ECHO, { mode: 0o755 });
  await Deno.writeTextFile(`${folder}/copy`, text.replaceAll(Deno.execPath(), `${folder}/deno`));
  const { stdout, success } = await new Deno.Command("/bin/sh", {
    args: [`${folder}/copy`, ...args],
    clearEnv: true,
  }).output();
  assert.ok(success);
  return decode(stdout).trimEnd().split("\n");
}

Deno.test("the installed command gives each of its commands what its task has", () =>
  inFolder(async (folder) => {
    const path = `${folder}/bin/mdm`;
    assert.partialDeepStrictEqual(await install([`${folder}/bin`]), {
      code: 0,
      stdout: `${path}\n`,
    });
    const cases = {
      serve: project.tasks.server,
      worker: project.tasks.server,
      health: project.tasks.health,
      generate: project.tasks.mdm,
      "--help": project.tasks.mdm,
    };
    for (const [name, { command }] of Object.entries(cases)) {
      const words = await wordsOf(path, [name, "two words"], folder);
      const config = `--config=${ROOT}/deno.json`;
      assert.deepEqual(words.slice(0, 4), [`${folder}/deno`, "run", "--quiet", config]);
      const flags = command.split(" ").filter((word) => word.startsWith("--"));
      assert.deepEqual(words.slice(4, -3), flags, name);
      assert.deepEqual(words.slice(-3), [`${ROOT}/src/cli/main.ts`, name, "two words"]);
    }
    // A name alone does not end it.
    assert.equal((await wordsOf(path, [], folder)).at(-1), `${ROOT}/src/cli/main.ts`);
  }));

Deno.test("more flags are for Deno, as the container needs them", () =>
  inFolder(async (folder) => {
    await install([folder, "--cached-only"]);
    for (const name of ["serve", "health", "generate"]) {
      assert.ok((await wordsOf(`${folder}/mdm`, [name], folder)).includes("--cached-only"), name);
    }
  }));

Deno.test("without a folder it goes to HOME, and PATH is told of", () =>
  inFolder(async (home) => {
    const folder = `${home}/.local/bin`;
    const path = `${Deno.env.get("PATH") ?? "/usr/bin"}`;
    assert.deepEqual(await install([], { HOME: home, PATH: path }), {
      code: 0,
      stdout: `${folder}/mdm\n`,
      stderr: `Shells do not look into "${folder}" yet: export PATH="${folder}:$PATH"\n`,
    });
    // Once more over the first one.
    const again = await install([], { HOME: home, PATH: `${path}:${folder}` });
    assert.deepEqual(again, { code: 0, stdout: `${folder}/mdm\n`, stderr: "" });
  }));

Deno.test("it runs in any folder, with paths of the caller", () =>
  inFolder(async (folder) => {
    await install([`${folder}/bin`]);
    await Deno.mkdir(`${folder}/elsewhere`);
    const { code, stdout, stderr } = await new Deno.Command(`${folder}/bin/mdm`, {
      args: ["generate", "a star", "--seed", "1", "--steps", "1", "-o", "made here/"],
      cwd: `${folder}/elsewhere`,
    }).output();
    assert.deepEqual(
      { code, stdout: decode(stdout), stderr: quiet(decode(stderr)) },
      { code: 0, stdout: "made here/a-star-1.png\n", stderr: "" },
    );
    assert.ok(Deno.statSync(`${folder}/elsewhere/made here/a-star-1.png`).isFile);
  }));

Deno.test("where its Deno is gone, npx gets the same one", () =>
  inFolder(async (folder) => {
    await install([folder]);
    const text = await Deno.readTextFile(`${folder}/mdm`);
    await Deno.writeTextFile(`${folder}/npx`, ECHO, { mode: 0o755 });
    await Deno.writeTextFile(`${folder}/copy`, text.replaceAll(Deno.execPath(), "/nowhere/deno"));
    const { stdout } = await new Deno.Command("/bin/sh", {
      args: [`${folder}/copy`, "doctor"],
      clearEnv: true,
      env: { PATH: folder },
    }).output();
    const words = decode(stdout).trimEnd().split("\n");
    const { deno } = Deno.version;
    assert.deepEqual(words.slice(0, 4), [`${folder}/npx`, "-y", `deno@${deno}`, "run"]);
    assert.equal(words.at(-1), "doctor");
  }));

Deno.test("a folder that cannot be written is named", () =>
  inFolder(async (folder) => {
    await Deno.writeTextFile(`${folder}/file`, "");
    const { code, stdout, stderr } = await install([`${folder}/file/bin`]);
    assert.deepEqual({ code, stdout }, { code: 1, stdout: "" });
    assert.match(stderr, /^Cannot write ".*\/file\/bin\/mdm": .* Give another folder\.\n$/);
  }));
