import { UsageError } from "../../errors.ts";
import { type Command, parse } from "../options/options.ts";
import { print } from "../terminal/output.ts";
import {
  graceOf,
  LIMITS,
  QUEUE_OPTIONS,
  runServer,
  serverOptions,
  WORKER_OPTIONS,
} from "../options/server_options.ts";
import { requestDefaults } from "../options/parameter_options.ts";

export const COMMAND = {
  name: "mdm worker",
  summary: `Make pictures for a queue, without HTTP: "mdm serve" takes the jobs, elsewhere`,
  usage: "[options]",
  options: [
    {
      long: "test_input",
      value: "JSON",
      description:
        `Run one job, {"input": {"prompt": "a red circle"}}, print what RunPod would be given, and end`,
    },
    ...QUEUE_OPTIONS,
    ...WORKER_OPTIONS,
  ],
  examples: [
    {
      description: "One of many, with the results in a folder that all of them share",
      command: "mdm worker --queue redis://redis:6379 --results /shared",
    },
    {
      description: "A second one on this machine, beside a server that was begun in this folder",
      command: "mdm worker --data mdm-data",
    },
  ],
} as const satisfies Command;

/** Works until it is stopped. */
export async function run(argv: readonly string[], signal: AbortSignal): Promise<number> {
  const { values, positionals } = parse(COMMAND, argv);
  if (positionals.length > 0) {
    throw new UsageError(`"mdm worker" takes options only: give a model by --model.`);
  }
  const { runMs, ...options } = await serverOptions(values);
  const limits = { ...LIMITS, runMs };
  const defaults = requestDefaults(values, limits);
  const server = { ...options, limits, defaults, worker: true, http: null };
  const { test_input: input } = values;
  if (input === undefined) return await runServer(server, graceOf(values), signal);
  const { runTestInput } = await import("../../server/protocols/runpod/pull.ts");
  return await runServer(
    { ...server, runpod: null },
    graceOf(values),
    signal,
    {},
    ({ jobs }) => runTestInput(jobs, input, { print, signal }),
  );
}
