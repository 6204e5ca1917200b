/** `deno task bench`: measures what was asked for and prints a report. */
import { abortOnSignals } from "../src/cli/terminal/interrupt.ts";
import { help } from "../src/cli/options/options.ts";
import { helpColumns, print, printJson, warn } from "../src/cli/terminal/output.ts";
import { MdmError, UsageError } from "../src/errors.ts";
import { checkExports } from "./check/check.ts";
import { type BenchOptions, COMMAND, readOptions } from "./command.ts";
import { describeMachine } from "./machine.ts";
import { measureCase } from "./measure.ts";
import { larger, measurePeak } from "./peak/mod.ts";
import type { Effort } from "./peer_run.ts";
import { allPeers, hasTorch, type Peer } from "./peers/mod.ts";
import type { CaseResult } from "./results.ts";
import { markdownReport } from "./report/markdown.ts";
import { agrees, type Report, TOLERANCE } from "./report/report.ts";
import { textReport } from "./report/text.ts";

const EFFORT: Effort = { rounds: 5, roundMs: 300, budgetMs: 20_000, patience: 1800 };
const QUICK: Effort = { rounds: 3, roundMs: 100, budgetMs: 4000, patience: 300 };

/** Measures or checks; gives the exit code. */
async function main(argv: readonly string[], signal: AbortSignal): Promise<number> {
  if (argv.includes("--help") || argv.includes("-h")) {
    print(help(COMMAND, helpColumns()).trimEnd());
    return 0;
  }
  const options = readOptions(argv);
  if (options.check) return await checkExports(options, signal);
  const report = await measure(options, signal);
  if (options.format === "json") printJson(report);
  else print(options.format === "markdown" ? markdownReport(report) : textReport(report));
  return failed(report) ? 1 : 0;
}

async function measure(options: BenchOptions, signal: AbortSignal): Promise<Report> {
  const { cases, threads, quick } = options;
  const python = options.peers.includes("torch") ? await pythonWithTorch(options) : null;
  const machine = await describeMachine();
  const known = allPeers({
    adapter: machine.adapter,
    threads,
    python,
    reference: options.reference,
  });
  const peers = options.peers
    .map((name) => known.find((peer) => peer.name === name))
    .filter((peer) => peer !== undefined);
  const results: CaseResult[] = [];
  warn("measuring the peak");
  const before = await measurePeak(python, threads);
  for (const [i, given] of cases.entries()) {
    warn(`${given.name} (${i + 1} of ${cases.length})`);
    results.push(await measureInFolder(given, peers, quick ? QUICK : EFFORT));
    signal.throwIfAborted();
  }
  warn("measuring the peak again");
  return {
    machine,
    threads,
    peak: larger(before, await measurePeak(python, threads)),
    tolerance: TOLERANCE,
    agree: results.every(({ measurements }) => measurements.every(agrees)),
    peers: peers.map(({ name, title, onAdapter }) => ({ name, title, onAdapter })),
    cases: results,
  };
}

/**
 * The Python to use; null where PyTorch is left out.
 *
 * @throws {UsageError} When it is the only peer that is left.
 */
async function pythonWithTorch({ python, peers }: BenchOptions): Promise<string | null> {
  if (await hasTorch(python)) return python;
  const reason = `"${python}" has no PyTorch: name one that has it with "--python FILE"`;
  if (peers.length === 1) throw new UsageError(`${reason}.`);
  warn(`PyTorch is left out; ${reason}`);
  return null;
}

async function measureInFolder(
  given: BenchOptions["cases"][number],
  peers: readonly Peer[],
  effort: Effort,
): Promise<CaseResult> {
  const folder = await Deno.makeTempDir({ prefix: "mdm-bench-" });
  try {
    return await measureCase(given, peers, folder, effort);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Whether outputs differ, or we ourselves failed: a peer that cannot do something is no fault of ours. */
function failed({ agree, cases }: Report): boolean {
  return !agree ||
    cases.some(({ measurements }) =>
      measurements.some(({ peer, failure }) => peer === "mdm" && failure !== null)
    );
}

/** Tells an error to the person at the terminal; gives the exit code. */
function tell(error: unknown): number {
  if (!(error instanceof MdmError)) throw error;
  warn(error.message);
  if (error instanceof UsageError) warn(`See "${COMMAND.name} --help".`);
  return error.exitCode;
}

if (import.meta.main) Deno.exit(await main(Deno.args, abortOnSignals()).catch(tell));
