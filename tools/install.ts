/**
 * Installs the command `mdm` of this checkout: a shell script in ~/.local/bin, or in the folder that is given. The script runs
 * each command with the permissions of its task in deno.json, which is the only list of them.
 *
 *     deno task install [FOLDER [FLAGS OF deno run...]]
 */

import { delimiter, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import project from "../deno.json" with { type: "json" };

const ROOT = fileURLToPath(new URL("..", import.meta.url)).replace(/\/$/, "");

/** What every task that runs the command names. */
const MAIN = "src/cli/main.ts";

/** The commands that have a task of their own for their permissions; all others have those of "mdm". */
const TASKS = [
  ["serve | worker", "server"],
  ["health", "health"],
  ["*", "mdm"],
] as const;

/**
 * The script that is the command.
 *
 * @param deno the program of Deno
 * @param more what `deno run` is given besides
 */
function script(deno: string, more: readonly string[]): string {
  return `#!/bin/sh
# mdm, written by "deno task install" of ${ROOT.replaceAll("\n", " ")}
set -eu
case "\${1-}" in
${
    TASKS.map(([pattern, task]) =>
      `  ${pattern}) set -- ${[...flags(task), ...more].map(quoted).join(" ")} ${
        quoted(join(ROOT, MAIN))
      } "$@" ;;`
    ).join("\n")
  }
esac
# Quiet: Deno would say that it looks for news of packages.
set -- run --quiet ${quoted(`--config=${join(ROOT, "deno.json")}`)} "$@"
deno=${quoted(deno)}
# npx may have thrown away the Deno that it had.
if [ -x "$deno" ]; then exec "$deno" "$@"; fi
exec npx -y deno@${Deno.version.deno} "$@"
`;
}

/** What a task gives to `deno run` before the program. */
function flags(task: typeof TASKS[number][1]): string[] {
  const words = project.tasks[task].command.split(" ");
  return words.slice(words.indexOf("run") + 1, words.indexOf(MAIN));
}

/** A word of a shell's command. */
function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

async function install(folder: string, more: readonly string[]): Promise<void> {
  const path = join(folder, "mdm");
  await Deno.mkdir(folder, { recursive: true });
  await Deno.writeTextFile(path, script(Deno.execPath(), more));
  await Deno.chmod(path, 0o755);
  console.log(path);
  const folders = (Deno.env.get("PATH") ?? "").split(delimiter);
  if (!folders.includes(folder)) {
    console.error(`Shells do not look into "${folder}" yet: export PATH="${folder}:$PATH"`);
  }
}

function fail(sentence: string): void {
  console.error(sentence);
  Deno.exitCode = 1;
}

const [given, ...more] = Deno.args;
const home = Deno.env.get("HOME");
if (Deno.build.os === "windows") {
  fail('The command is a shell script, which Windows does not run: use "deno task mdm" instead.');
} else if (given === undefined && home === undefined) {
  fail("HOME is not set: give the folder, as in deno task install /usr/local/bin");
} else {
  const folder = resolve(given ?? join(home!, ".local/bin"));
  try {
    await install(folder, more);
  } catch (error) {
    fail(
      `Cannot write "${join(folder, "mdm")}": ${(error as Error).message}. Give another folder.`,
    );
  }
}
