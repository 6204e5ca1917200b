/** Running a command: its help, and what a person reads of every error. */

import { MdmError } from "../errors.ts";
import { type Command, help } from "./options/options.ts";
import { helpColumns, print, warn } from "./terminal/output.ts";

/** What the module of a command exports. */
export interface CommandModule {
  readonly COMMAND: Command;
  /**
   * Runs the command; gives the exit code.
   *
   * @param signal Aborted when the command should stop.
   * @throws {MdmError} What the person should know.
   */
  run(argv: readonly string[], signal: AbortSignal): Promise<number>;
}

/** Shells know 13 as SIGPIPE, which ends other programs here. */
const BROKEN_PIPE = 128 + 13;

/** Runs a command, or prints its help where that is asked for; gives the exit code. */
export async function runCommand(
  { COMMAND, run }: CommandModule,
  argv: readonly string[],
  signal: AbortSignal,
): Promise<number> {
  const options = argv.includes("--") ? argv.slice(0, argv.indexOf("--")) : argv;
  if (!options.includes("--help") && !options.includes("-h")) return await run(argv, signal);
  print(help(COMMAND, helpColumns()).trimEnd());
  return 0;
}

/**
 * The exit code of a command, which is given by it or follows from what it throws; the person at the terminal is told.
 *
 * @param tasks Those of deno.json that permit what the command may need.
 */
export async function exitCode(
  command: () => Promise<number>,
  tasks: readonly string[],
): Promise<number> {
  try {
    return await command();
  } catch (error) {
    return report(error, tasks);
  }
}

function report(error: unknown, tasks: readonly string[]): number {
  if (error instanceof Deno.errors.BrokenPipe) return BROKEN_PIPE;
  if (error instanceof MdmError) {
    warn(error.message);
    return error.exitCode;
  }
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof Deno.errors.NotCapable) {
    const names = tasks.map((task) => `"deno task ${task}"`).join(" or ");
    warn(`Deno does not permit what this needs: ${message}. Start it by ${names}.`);
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
