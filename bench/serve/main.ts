/** Measures a server under load: the task bench:serve. */

import { createHash } from "node:crypto";
import { MdmError, UsageError } from "../../src/errors.ts";
import { formatBytes } from "../../src/units.ts";
import { startServer } from "./child_server.ts";
import { type Load, measureLoad, readNumbers, type Target } from "./client_load.ts";
import { MODEL_OPTION } from "../../src/cli/options/model_option.ts";
import { type Command, integer, parse, type Values } from "../../src/cli/options/options.ts";
import { print, printJson, quoted } from "../../src/cli/terminal/output.ts";
import { percentile } from "./percentile.ts";
import { Progress } from "../../src/cli/terminal/progress.ts";
import { exitCode, runCommand } from "../../src/cli/run_command.ts";
import { abortOnSignals } from "../../src/cli/terminal/interrupt.ts";
import { table } from "../../src/cli/terminal/table.ts";

export const COMMAND = {
  name: "deno task bench:serve",
  summary: "Measure a server with one client and with several: speed, waiting, health, memory",
  usage: "[options]",
  options: [
    {
      long: "clients",
      value: "LIST",
      description:
        "Clients at a time, a round each; a client asks for its next picture when it has the one before",
      default: "1,2,4,8",
    },
    { long: "jobs", value: "N", description: "Pictures of a round", default: "32" },
    { long: "steps", value: "N", description: "Steps of dpm++", default: "20" },
    { long: "prompt", value: "TEXT", description: "The prompt", default: "a red circle" },
    MODEL_OPTION,
    {
      long: "slots",
      value: "N",
      description: 'Pictures that the server makes together. Without it: as "mdm serve" does',
    },
    {
      long: "url",
      value: "URL",
      description: "A server that runs already, instead of one for the measurement only",
    },
    { long: "token", value: "TOKEN", description: "What that server wants to be sent" },
    { long: "json", description: "Print one JSON document instead of tables" },
  ],
  examples: [
    {
      description: "A server on this machine; every seed has to give the same bytes in every round",
      command: "deno task bench:serve",
    },
    {
      description: "Whether its memory grows",
      command: "deno task bench:serve --clients 1 --jobs 500 --steps 4",
    },
    {
      description: "Another one",
      command: "deno task bench:serve --url http://127.0.0.1:8000 --clients 1,16",
    },
  ],
} as const satisfies Command;

/** Memory is looked at after so many pictures each time. */
const MEMORY_EVERY = 50;

const MOST_CLIENTS = 1000;

/** What has come of all rounds so far. */
interface Seen {
  pictures: number;
  /** Of each seed's picture. */
  readonly hashes: Map<number, string>;
  readonly memory: { readonly pictures: number; readonly bytes: number }[];
}

/** One round. */
interface Round {
  readonly clients: number;
  readonly pictures: number;
  readonly seconds: number;
  readonly picturesPerSecond: number;
  readonly latencyMs: { readonly p50: number; readonly p95: number };
  readonly healthMs: {
    readonly requests: number;
    readonly p50: number;
    readonly p95: number;
    readonly max: number;
  };
  /** Null: the server makes no pictures itself. */
  readonly stepMs: number | null;
  readonly picturesPerStep: number | null;
}

/** Starts a server, or takes one that runs, and measures it round by round. */
export async function run(argv: readonly string[], signal: AbortSignal): Promise<number> {
  const { values, positionals } = parse(COMMAND, argv);
  if (positionals.length > 0) {
    throw new UsageError(`"deno task bench:serve" takes options only: give a model by --model.`);
  }
  const clients = clientsOf(values.clients);
  const pictures = integer(values.jobs, { name: "--jobs", min: 1, max: 1_000_000 });
  const request = {
    prompt: values.prompt,
    steps: integer(values.steps, { name: "--steps", min: 1 }),
  };
  const seen: Seen = { pictures: 0, hashes: new Map(), memory: [] };
  await using stack = new AsyncDisposableStack();
  const target = runningServer(values) ?? {
    url: stack.use(await startServer(serveOptions(values), signal)).url,
    token: null,
  };
  const measure = (count: number, pictures: number, label: string) =>
    measureRound(target, { ...request, clients: count, pictures }, { seen, signal, label });
  // Kernels of full steps are compiled before anything is measured.
  const most = Math.max(...clients);
  await measure(most, most, "Warm-up");
  const rounds: Round[] = [];
  for (const count of clients) {
    rounds.push(await measure(count, pictures, count === 1 ? "1 client" : `${count} clients`));
  }
  report(values.json, { ...request, rounds, memory: seen.memory });
  return 0;
}

function clientsOf(list: string): number[] {
  return list.split(",").map((count) =>
    integer(count, { name: "--clients", min: 1, max: MOST_CLIENTS })
  );
}

/** The server that was named, if one was. */
function runningServer({ url, token, model, slots }: Values<typeof COMMAND>): Target | null {
  if (url === undefined) {
    if (token === undefined) return null;
    throw new UsageError("A server of our own needs no token: give --url, or leave out --token.");
  }
  if (model !== undefined || slots !== undefined) {
    throw new UsageError("A server that runs is as it is: leave out --model and --slots.");
  }
  if (!/^https?:$/.test(URL.parse(url)?.protocol ?? "")) {
    throw new UsageError(
      `Option "--url" needs an address such as "http://127.0.0.1:8000", not ${quoted(url)}.`,
    );
  }
  return { url: url.replace(/\/$/, ""), token: token ?? null };
}

/** What `mdm serve` is started with. */
function serveOptions({ model, slots }: Values<typeof COMMAND>): string[] {
  return [
    ...model === undefined ? [] : ["--model", model],
    ...slots === undefined ? [] : ["--slots", slots],
  ];
}

async function measureRound(
  target: Target,
  load: Load,
  { seen, signal, label }: { seen: Seen; signal: AbortSignal; label: string },
): Promise<Round> {
  const progress = new Progress({ label, total: load.pictures, unit: "picture" });
  let made = 0;
  const before = await readNumbers(target, signal);
  const times = await measureLoad(target, load, {
    signal,
    onPicture: async (seed, bytes) => {
      progress.update(++made);
      checkPicture(seen, seed, bytes);
      if (++seen.pictures % MEMORY_EVERY > 0) return;
      const { pictures } = seen;
      const { memoryBytes } = await readNumbers(target, signal);
      seen.memory.push({ pictures, bytes: memoryBytes });
    },
  });
  progress.end();
  const after = await readNumbers(target, signal);
  const steps = after.steps - before.steps;
  return {
    clients: load.clients,
    pictures: load.pictures,
    seconds: times.all / 1000,
    picturesPerSecond: load.pictures / times.all * 1000,
    latencyMs: { p50: percentile(times.pictures, 0.5), p95: percentile(times.pictures, 0.95) },
    healthMs: {
      requests: times.health.length,
      p50: percentile(times.health, 0.5),
      p95: percentile(times.health, 0.95),
      max: percentile(times.health, 1),
    },
    stepMs: steps > 0 ? (after.stepSeconds - before.stepSeconds) / steps * 1000 : null,
    picturesPerStep: steps > 0 ? (after.stepPictures - before.stepPictures) / steps : null,
  };
}

/** @throws {MdmError} When the same request has given another picture before. */
function checkPicture({ hashes }: Seen, seed: number, bytes: Uint8Array): void {
  const hash = createHash("sha256").update(bytes).digest("hex");
  const known = hashes.get(seed) ?? hash;
  hashes.set(seed, known);
  if (known === hash) return;
  throw new MdmError(
    `The picture of seed ${seed} has other bytes than before: this is a defect of the server.`,
  );
}

interface Report extends Pick<Load, "prompt" | "steps"> {
  readonly rounds: readonly Round[];
  readonly memory: Seen["memory"];
}

function report(json: boolean, measured: Report): void {
  if (json) return printJson(measured);
  const { rounds, memory } = measured;
  const single = rounds.find(({ clients }) => clients === 1)?.picturesPerSecond ?? null;
  print(`${rounds[0]!.pictures} pictures a round, ${measured.steps} steps each; times in ms`);
  print(table([
    [
      "clients",
      ...["pictures/s", "ratio", "p50", "p95"],
      ...["health p50", "p95", "max", "step", "pictures/step"],
    ],
    ...rounds.map((
      { clients, picturesPerSecond, latencyMs, healthMs, stepMs, picturesPerStep },
    ) => [
      String(clients),
      picturesPerSecond.toFixed(2),
      single === null ? "" : (picturesPerSecond / single).toFixed(2),
      ...[latencyMs.p50, latencyMs.p95].map((ms) => ms.toFixed(0)),
      ...[healthMs.p50, healthMs.p95, healthMs.max].map((ms) => ms.toFixed(1)),
      stepMs?.toFixed(1) ?? "",
      picturesPerStep?.toFixed(1) ?? "",
    ]),
  ]));
  if (memory.length === 0) return;
  print("\nMemory of the server");
  print(table(memory.map(({ pictures, bytes }) => [
    `after ${pictures} pictures`,
    formatBytes(bytes),
  ])));
}

if (import.meta.main) {
  const signal = abortOnSignals();
  const measure = () => runCommand({ COMMAND, run }, Deno.args, signal);
  Deno.exit(await exitCode(measure, ["bench:serve"]));
}
