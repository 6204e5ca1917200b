import { type Command, integer, oneOf, parse } from "../src/cli/options/options.ts";
import { UsageError } from "../src/errors.ts";
import { allCases } from "./cases/mod.ts";
import type { Case } from "./cases/case.ts";
import { PEER_NAMES, type PeerName } from "./peers/mod.ts";

export const COMMAND = {
  name: "deno task bench",
  summary: "Measure operations and whole models, ours and those of others, side by side",
  usage: "[options]",
  options: [
    {
      long: "only",
      value: "A,B",
      description: "Only cases in whose names one of these is found",
    },
    {
      long: "peers",
      value: "A,B",
      description: `Only these of ${
        PEER_NAMES.join(", ")
      }; the first is what others are compared with`,
    },
    { long: "quick", description: "Fewer and shorter rounds, and no case that takes gigabytes" },
    {
      long: "threads",
      value: "N",
      description: "Threads of peers that compute on the processor",
      default: String(navigator.hardwareConcurrency),
    },
    {
      long: "python",
      value: "FILE",
      description: "The Python whose PyTorch is measured where it has one",
      default: "python3",
    },
    {
      long: "reference",
      value: "FOLDER",
      description:
        `The folder of apple/ml-mdm that holds the package "ml_mdm": PyTorch then runs whole models too`,
    },
    {
      long: "check",
      description:
        "Measure nothing: compare exported models in onnxruntime with what the reference recorded",
    },
    { long: "markdown", description: "Print tables for docs/benchmarks.md" },
    { long: "json", description: "Print one JSON document instead of tables" },
  ],
  examples: [
    {
      description: "Everything that is installed, in a quarter of the time",
      command: "deno task bench --quick",
    },
    {
      description: "Convolutions, ours beside the one peer on the same adapter",
      command: "deno task bench --only conv3x3 --peers mdm,ort-web",
    },
    {
      description: "Whole models, beside the reference implementation",
      command: "deno task bench --only nested2,shapes32 --reference ml-mdm/ml-mdm-matryoshka",
    },
  ],
} as const satisfies Command;

/** What was asked for. */
export interface BenchOptions {
  readonly cases: readonly Case[];
  /** In the order in which they were named. */
  readonly peers: readonly PeerName[];
  readonly quick: boolean;
  readonly threads: number;
  readonly python: string;
  readonly reference: string | null;
  readonly check: boolean;
  readonly format: "text" | "markdown" | "json";
}

/**
 * Reads the command line.
 *
 * @throws {UsageError} When it asks for what there is not.
 */
export function readOptions(argv: readonly string[]): BenchOptions {
  const { values, positionals } = parse(COMMAND, argv);
  if (positionals.length > 0) {
    throw new UsageError(
      `"${positionals[0]}" is no option. To measure what is named so, write "--only ${
        positionals[0]
      }".`,
    );
  }
  if (values.json && values.markdown) {
    throw new UsageError(`Give "--json" or "--markdown", not both.`);
  }
  const peers = values.peers === undefined
    ? PEER_NAMES
    : values.peers.split(",").map((name) => oneOf(name, { name: "--peers", names: PEER_NAMES }));
  return {
    cases: chosenCases(values.only, values.quick),
    peers: [...new Set(peers)],
    quick: values.quick,
    threads: integer(values.threads, { name: "--threads", min: 1, max: 1024 }),
    python: values.python,
    reference: values.reference ?? null,
    check: values.check,
    format: values.json ? "json" : values.markdown ? "markdown" : "text",
  };
}

function chosenCases(only: string | undefined, quick: boolean): Case[] {
  const cases = allCases().filter(({ large }) => !(quick && large));
  if (only === undefined) return cases;
  const wanted = only.split(",").map((part) => part.trim().toLowerCase());
  const chosen = cases.filter(({ name }) =>
    wanted.some((part) => name.toLowerCase().includes(part))
  );
  if (chosen.length > 0) return chosen;
  throw new UsageError(
    `Option "--only" fits none of the cases: ${cases.map(({ name }) => `"${name}"`).join(", ")}.`,
  );
}
