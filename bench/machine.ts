import { cpus } from "node:os";
import { Gpu } from "../src/gpu/device.ts";

/** Where and when something was measured. */
export interface Machine {
  readonly date: string;
  /** The commit that is checked out, with "+" where files differ from it; null where this is no checkout. */
  readonly commit: string | null;
  readonly adapter: string;
  readonly processor: string;
  readonly cores: number;
  readonly deno: string;
}

/**
 * Looks at the machine. What our engine tells the driver by the environment, processes that are started later inherit: all
 * peers then compute on the same adapter with the same settings.
 */
export async function describeMachine(): Promise<Machine> {
  using gpu = await Gpu.open();
  const processors = cpus();
  return {
    date: new Date().toISOString().slice(0, 10),
    commit: await commit(),
    adapter: gpu.info.name,
    processor: processors[0]?.model.trim() ?? "unknown",
    cores: processors.length,
    deno: Deno.version.deno,
  };
}

async function commit(): Promise<string | null> {
  const head = await git("rev-parse", "--short", "HEAD");
  if (head === null) return null;
  return await git("status", "--porcelain") === "" ? head : `${head}+`;
}

async function git(...args: string[]): Promise<string | null> {
  try {
    const cwd = new URL("..", import.meta.url);
    const { success, stdout } = await new Deno.Command("git", { args, cwd }).output();
    return success ? new TextDecoder().decode(stdout).trim() : null;
  } catch {
    return null; // There is no git.
  }
}
