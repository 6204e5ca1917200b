/** The `mdm` command: finds the subcommand and runs it. */

import project from "../../deno.json" with { type: "json" };
import { UsageError } from "../errors.ts";
import { nearest } from "../nearest.ts";
import { help } from "./options/options.ts";
import { type CommandModule, exitCode, runCommand } from "./run_command.ts";
import { abortOnSignals } from "./terminal/interrupt.ts";
import { helpColumns, print, quoted } from "./terminal/output.ts";

/** When our own code begins to run: `mdm bench` counts from here. */
performance.mark("main");

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
  ["doctor", () => import("./commands/doctor.ts")],
]);

/** The tasks that permit what the others do not. */
const TASKS = ["serve", "worker", "health"];

/** Runs `mdm` with arguments; gives the exit code and never throws. */
export async function main(argv: readonly string[], signal: AbortSignal): Promise<number> {
  return await exitCode(() => dispatch(argv, signal), TASKS);
}

async function dispatch(argv: readonly string[], signal: AbortSignal): Promise<number> {
  const [name, ...rest] = argv;
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
    print(help((await find(rest[0]!)).COMMAND, helpColumns()).trimEnd());
    return 0;
  }
  return await runCommand(await find(name), rest, signal);
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

if (import.meta.main) Deno.exit(await main(Deno.args, abortOnSignals()));
