/** The `mdm` command: finds the subcommand, and decides how every error is told. */

import project from "../../deno.json" with { type: "json" };
import { MdmError, UsageError } from "../errors.ts";
import { abortOnSignals } from "./terminal/interrupt.ts";
import { nearest } from "../nearest.ts";
import { type Command, help } from "./options/options.ts";
import { print, quoted, warn } from "./terminal/output.ts";

/** When our own code begins to run: `mdm bench` counts from here. */
performance.mark("main");

/** What the module of a subcommand exports. */
export interface CommandModule {
  readonly COMMAND: Command;
  /**
   * Runs the command; gives the exit code.
   *
   * @param signal Aborted when the command should stop.
   * @throws {MdmError} What the person should know; the caller tells it.
   */
  run(argv: readonly string[], signal: AbortSignal): Promise<number>;
}

/** Each is loaded only when it is used: most of what `mdm --version` would wait for is not its own. */
const COMMANDS: ReadonlyMap<string, () => Promise<CommandModule>> = new Map<
  string,
  () => Promise<CommandModule>
>([
  ["generate", () => import("./commands/generate.ts")],
  ["replay", () => import("./commands/replay.ts")],
  ["serve", () => import("./commands/serve.ts")],
  ["worker", () => import("./commands/worker.ts")],
  ["health", () => import("./commands/health.ts")],
  ["info", () => import("./commands/info.ts")],
  ["inspect", () => import("./commands/inspect.ts")],
  ["convert", () => import("./commands/convert.ts")],
  ["verify", () => import("./commands/verify.ts")],
  ["tune", () => import("./commands/tune.ts")],
  ["warmup", () => import("./commands/warmup.ts")],
  ["bench", () => import("./commands/bench.ts")],
  ["bench serve", () => import("../../bench/serve/main.ts")],
  ["doctor", () => import("./commands/doctor.ts")],
]);

/** Shells know 13 as SIGPIPE, which ends other programs here. */
const BROKEN_PIPE = 128 + 13;

/** Runs `mdm` with arguments; gives the exit code and never throws. */
export async function main(argv: readonly string[], signal: AbortSignal): Promise<number> {
  try {
    return await dispatch(argv, signal);
  } catch (error) {
    return tell(error);
  }
}

async function dispatch(argv: readonly string[], signal: AbortSignal): Promise<number> {
  const [name, ...rest] = splitName(argv);
  if (name === "--version" || name === "-V") {
    print(`mdm ${project.version}`);
    return 0;
  }
  const asksForHelp = name === "help" || name === "--help" || name === "-h";
  if (name === undefined || asksForHelp && rest.length === 0) {
    print(await overview());
    return name === undefined ? 2 : 0;
  }
  if (asksForHelp) {
    print(help((await find(splitName(rest)[0]!)).COMMAND).trimEnd());
    return 0;
  }
  const { COMMAND, run } = await find(name);
  const options = rest.includes("--") ? rest.slice(0, rest.indexOf("--")) : rest;
  if (options.includes("--help") || options.includes("-h")) {
    print(help(COMMAND).trimEnd());
    return 0;
  }
  return await run(rest, signal);
}

/** Puts a command's name first, which may be two words. */
function splitName(argv: readonly string[]): readonly string[] {
  const two = argv.slice(0, 2).join(" ");
  return argv.length > 1 && COMMANDS.has(two) ? [two, ...argv.slice(2)] : argv;
}

async function find(name: string): Promise<CommandModule> {
  const load = COMMANDS.get(name);
  if (load !== undefined) return await load();
  const meant = nearest(name, [...COMMANDS.keys()]);
  const advice = meant === undefined ? `See "mdm --help".` : `Did you mean "mdm ${meant}"?`;
  const kind = name.startsWith("-") ? "option" : "command";
  throw new UsageError(`Unknown ${kind} ${quoted(name)}. ${advice}`);
}

async function overview(): Promise<string> {
  const modules = await Promise.all([...COMMANDS.values()].map((load) => load()));
  const width = Math.max(...modules.map(({ COMMAND }) => COMMAND.name.length));
  return [
    "mdm: pictures from text, by Matryoshka diffusion models on any GPU",
    "",
    "Usage:",
    "  mdm COMMAND [options]",
    "",
    "Commands:",
    ...modules.map(({ COMMAND }) => `  ${COMMAND.name.padEnd(width)}  ${COMMAND.summary}`),
    "",
    `"mdm help COMMAND" explains one of them, "mdm --version" tells the version.`,
    "",
    "Examples:",
    "  # A picture of what you say, with the small model that mdm brings along",
    `  mdm generate "a red circle on a blue background"`,
    "",
    "  # What to install when no GPU is found",
    "  mdm doctor",
  ].join("\n");
}

/** Tells an error to the person at the terminal; gives the exit code. */
function tell(error: unknown): number {
  if (error instanceof Deno.errors.BrokenPipe) return BROKEN_PIPE;
  if (error instanceof MdmError) {
    warn(error.message);
    return error.exitCode;
  }
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof Deno.errors.NotCapable) {
    warn(
      `Deno does not permit what this needs: ${message}. Start it by "deno task serve", "deno task worker", "deno task health" or "deno task bench:serve".`,
    );
    return 1;
  }
  warn(
    `This is a defect of mdm, not of what you did: ${message}. Report it with the command you typed.`,
  );
  if (isDebugging() && error instanceof Error) warn(error.stack ?? "There is no stack.");
  return 1;
}

function isDebugging(): boolean {
  try {
    return Deno.env.has("MDM_DEBUG");
  } catch {
    return false; // Not permitted to look.
  }
}

if (import.meta.main) Deno.exit(await main(Deno.args, abortOnSignals()));
