import { MdmError, UsageError } from "../../errors.ts";
import { type Command, parse } from "../options/options.ts";
import { print } from "../terminal/output.ts";

export const COMMAND = {
  name: "mdm health",
  summary: "Ask a server whether it is alive, for a container's health check",
  usage: "[URL] [options]",
  options: [
    { long: "ready", description: "Ask whether it can make pictures as well" },
  ],
  examples: [
    { description: "The server of this machine", command: "mdm health" },
    {
      description: "Whether another one is ready",
      command: "mdm health http://10.0.0.7:8000 --ready",
    },
  ],
} as const satisfies Command;

const DEFAULT_URL = "http://127.0.0.1:8000";

const TIMEOUT_MS = 5000;

/** Prints what the server answers; exit code 1 where it is not well. */
export async function run(argv: readonly string[], signal: AbortSignal): Promise<number> {
  const { values, positionals } = parse(COMMAND, argv);
  const [address = DEFAULT_URL, ...more] = positionals;
  const url = URL.parse(address);
  if (more.length > 0 || url === null || !/^https?:$/.test(url.protocol)) {
    throw new UsageError(`Give one address, as in "mdm health ${DEFAULT_URL}".`);
  }
  const path = new URL(values.ready ? "/readyz" : "/livez", url);
  const until = AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]);
  let answer: Response;
  try {
    answer = await fetch(path, { signal: until, redirect: "error" });
  } catch (error) {
    signal.throwIfAborted();
    throw new MdmError(`No server answers at ${path}: ${(error as Error).message}.`);
  }
  const text = (await answer.text()).trim();
  if (!answer.ok) throw new MdmError(`The server is not well: ${answer.status} ${text}`);
  print(text);
  return 0;
}
