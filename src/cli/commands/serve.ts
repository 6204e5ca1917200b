import { UsageError } from "../../errors.ts";
import { type Command, integer, parse } from "../options/options.ts";
import { environment } from "../environment.ts";
import { print } from "../terminal/output.ts";
import { requestDefaults } from "../options/parameter_options.ts";
import {
  graceOf,
  LIMITS,
  list,
  milliseconds,
  QUEUE_OPTIONS,
  runServer,
  serverOptions,
  WORKER_OPTIONS,
} from "../options/server_options.ts";

export const COMMAND = {
  name: "mdm serve",
  summary: "Make pictures for others by HTTP: a page, and the APIs of Replicate, RunPod and OpenAI",
  usage: "[options]",
  options: [
    {
      long: "host",
      value: "HOST",
      description: "The address to listen at; 0.0.0.0: all of them, for which a token is needed",
      default: "127.0.0.1",
    },
    {
      long: "port",
      short: "p",
      value: "N",
      description: "The port; 0: a free one",
      default: "8000",
    },
    {
      long: "token",
      value: "TOKEN",
      description:
        `What clients have to send ("Authorization: Bearer TOKEN"). Without it: MDM_TOKEN`,
    },
    { long: "insecure", description: "Listen to other machines without a token" },
    {
      long: "cors",
      value: "LIST",
      description: "Origins whose pages may use the server, with commas",
    },
    {
      long: "no-worker",
      description: `Make no pictures here: "mdm worker" does, elsewhere`,
    },
    ...QUEUE_OPTIONS,
    {
      long: "queue-timeout",
      value: "SECONDS",
      description: "How long a job may wait",
      default: String(LIMITS.queueMs / 1000),
    },
    {
      long: "wait-timeout",
      value: "SECONDS",
      description: "How long a request may wait for its job",
      default: String(LIMITS.waitMs / 1000),
    },
    {
      long: "max-pictures",
      value: "N",
      description: "Pictures of a job at most",
      default: String(LIMITS.pictures),
    },
    {
      long: "max-steps",
      value: "N",
      description: "Steps of a picture at most",
      default: String(LIMITS.steps),
    },
    {
      long: "max-size",
      value: "N",
      description: "Width and height of a picture at most",
      default: String(Math.sqrt(LIMITS.pixels)),
    },
    {
      long: "max-prompt",
      value: "N",
      description: "Letters of a prompt at most",
      default: String(LIMITS.promptLength),
    },
    {
      long: "strict-sizes",
      description:
        "Refuse sizes that the model does not make, where clients of OpenAI's API ask for them. Without it they get the model's own",
    },
    ...WORKER_OPTIONS,
    { long: "verbose", description: "Tell of every request on stderr" },
  ],
  examples: [
    { description: "For this machine: then open the address that it prints", command: "mdm serve" },
    {
      description: "For others, with a model of one's own",
      command: "mdm serve --host 0.0.0.0 --token secret --model models/cats",
    },
    {
      description: "A front for many workers, which share a queue and a folder of results",
      command:
        "mdm serve --no-worker --queue redis://redis:6379 --results /shared --host 0.0.0.0 --token secret",
    },
  ],
} as const satisfies Command;

/** Hosts that only this machine reaches. */
const LOOPBACK = ["127.0.0.1", "localhost", "::1", "[::1]"];

/** Serves until it is stopped; prints the address once it answers there. */
export async function run(argv: readonly string[], signal: AbortSignal): Promise<number> {
  const { values, positionals } = parse(COMMAND, argv);
  if (positionals.length > 0) {
    throw new UsageError(`"mdm serve" takes options only: give a model by --model.`);
  }
  const { host, insecure } = values;
  const token = values.token ?? environment("MDM_TOKEN") ?? null;
  if (token !== null && !/^[\x21-\x7e]+$/.test(token)) {
    throw new UsageError(
      `Clients cannot send the token: give one of letters, digits and signs, without spaces.`,
    );
  }
  if (token === null && !insecure && !LOOPBACK.includes(host)) {
    throw new UsageError(
      `Others could use the server at ${host} without a token: give --token (or MDM_TOKEN), or --insecure.`,
    );
  }
  const most = (name: "max-pictures" | "max-steps" | "max-size" | "max-prompt", max: number) =>
    integer(values[name], { name: `--${name}`, min: 1, max });
  const { runMs, ...options } = await serverOptions(values);
  const limits = {
    runMs,
    queueMs: milliseconds("queue-timeout", values["queue-timeout"]),
    waitMs: milliseconds("wait-timeout", values["wait-timeout"]),
    pictures: most("max-pictures", 10_000),
    steps: most("max-steps", 100_000),
    pixels: most("max-size", 4096) ** 2,
    promptLength: most("max-prompt", 100_000),
  };
  const { publicUrl } = options;
  return await runServer(
    {
      ...options,
      worker: !values["no-worker"],
      http: {
        host,
        port: integer(values.port, { name: "--port", min: 0, max: 65_535 }),
        token,
        cors: list(values.cors).map(originOf),
        // Pages that give their own name our address stay out, where it is no secret that does it.
        allowedHosts: token === null && !insecure
          ? [...LOOPBACK, ...publicUrl === null ? [] : [new URL(publicUrl).hostname]]
          : null,
        strictSizes: values["strict-sizes"],
        verbose: values.verbose,
      },
      limits,
      defaults: requestDefaults(values, limits),
    },
    graceOf(values),
    signal,
    { onListen: print },
  );
}

function originOf(value: string): string {
  const url = URL.parse(value);
  if (url !== null && url.origin !== "null" && url.href === `${url.origin}/`) return url.origin;
  throw new UsageError(
    `Option "--cors" needs origins such as "https://pictures.example", not "${value}".`,
  );
}
