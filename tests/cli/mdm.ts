/** Runs the real command as people do, for the tests of this folder. */

import assert from "../assert.ts";
import { fileURLToPath } from "node:url";

const MAIN = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));

/** Of the command, whichever folder its program is in. */
const CONFIG = fileURLToPath(new URL("../../deno.json", import.meta.url));

/** The model that comes with mdm. */
export const SHAPES32 = fileURLToPath(new URL("../../weights/shapes32", import.meta.url));

/** Asks for a kind of driver that this system does not have. */
export const NO_GPU = { DENO_WEBGPU_BACKEND: Deno.build.os === "darwin" ? "dx12" : "metal" };

export interface Finished {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

interface RunOptions {
  /** Another program of this repository, which runs as the command does. */
  readonly main?: string;
  /** What the task permits on top of what `mdm` may do. */
  readonly permissions?: readonly string[];
  readonly cwd?: string;
  readonly env?: Record<string, string>;
  readonly stdin?: "null" | "piped";
}

/** What Deno is given to run the command. */
export function argumentsOf(
  args: readonly string[],
  { main = MAIN, permissions = [] }: Pick<RunOptions, "main" | "permissions"> = {},
): string[] {
  return [
    "run",
    `--config=${CONFIG}`,
    "--no-prompt",
    "--allow-read",
    "--allow-write",
    "--allow-env=XDG_RUNTIME_DIR,LP_NATIVE_VECTOR_WIDTH,MDM_DEBUG,TERM",
    ...permissions,
    main,
    ...args,
  ];
}

/** The command with the permissions that its task gives it. */
export function command(
  args: readonly string[],
  { cwd, env, stdin = "null", ...options }: RunOptions = {},
): Deno.Command {
  return new Deno.Command(Deno.execPath(), {
    args: argumentsOf(args, options),
    ...cwd !== undefined && { cwd },
    env: { NO_COLOR: "1", ...env },
    stdin,
    stdout: "piped",
    stderr: "piped",
  });
}

/** Runs `mdm` to its end. */
export async function mdm(args: readonly string[], options: RunOptions = {}): Promise<Finished> {
  const { code, stdout, stderr } = await command(args, options).output();
  return { code, stdout: decode(stdout), stderr: quiet(decode(stderr)) };
}

/** Runs `mdm`, which has to succeed and say nothing on stderr; gives stdout. */
export async function succeed(args: readonly string[], options?: RunOptions): Promise<string> {
  const { code, stdout, stderr } = await mdm(args, options);
  assert.deepEqual({ code, stderr }, { code: 0, stderr: "" });
  return stdout;
}

/** Runs `mdm`, which has to fail with one sentence and leave a folder as it was. */
export async function fail(
  args: readonly string[],
  { code, message, ...options }: {
    code: number;
    message: string | RegExp;
    main?: string;
    env?: Record<string, string>;
  },
): Promise<void> {
  await inFolder(async (cwd) => {
    const finished = await mdm(args, { cwd, ...options });
    if (typeof message === "string") assert.equal(finished.stderr, `mdm: ${message}\n`);
    else assert.match(finished.stderr, message);
    assert.equal(finished.stderr.split("\n").length, 2, "one line");
    assert.doesNotMatch(finished.stderr, / {4}at /);
    assert.equal(finished.stdout, "");
    assert.equal(finished.code, code);
    assert.deepEqual(names(cwd), []);
  });
}

/** Gives an empty folder, and removes it after. */
export async function inFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.realPath(await Deno.makeTempDir());
  try {
    await use(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** The names in a folder, sorted. */
export function names(folder: string): string[] {
  return [...Deno.readDirSync(folder)].map((entry) => entry.name).sort();
}

export function decode(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

/** Without what a missing npm package in the cache makes Deno say, and without the progress that slow machines show. */
export function quiet(stderr: string): string {
  return stderr
    .replace(/^(Download|Initialize) .*\n/gm, "")
    .replace(/^\w+ \d+\/\d+(, .*)?\n/gm, "");
}
