/** What "mdm serve" and "mdm worker" have in common. */
import { MdmError, UsageError } from "../../errors.ts";
import { checkSecret } from "../../jobs/webhooks/secret.ts";
import { runpodSettings } from "../../server/protocols/runpod/platform.ts";
import type { Server, ServerEvents, ServerOptions } from "../../server/server.ts";
import {
  DEFAULT_MODEL,
  FILE_OPTIONS,
  KERNEL_OPTIONS,
  kernelOptions,
  LOW_MEMORY_OPTION,
  MEMORY_OPTION,
  memoryOf,
  MODEL_OPTION,
  modelOptions,
  TEXT_OPTIONS,
} from "./model_option.ts";
import { type Command, integer, type Option, type Values } from "./options.ts";
import { environment } from "../environment.ts";
import { warn } from "../terminal/output.ts";
import { parameterOptions } from "./parameter_options.ts";

/** Where jobs and their results are. */
export const QUEUE_OPTIONS = [
  {
    long: "data",
    value: "DIR",
    description:
      "A folder for what is kept: the queue, results, and the secret that webhooks and addresses are signed with",
    default: "mdm-data",
  },
  {
    long: "queue",
    value: "ADDRESS",
    description:
      "The queue: a file, or redis://HOST:PORT for many machines. Without it: queue.sqlite in the data folder",
  },
  {
    long: "results",
    value: "ADDRESS",
    description:
      "Where results go: a folder that all machines share, or s3://BUCKET/PREFIX?endpoint=URL. Without it: results in the data folder",
  },
  {
    long: "queue-limit",
    value: "N",
    description: "Jobs that may wait; more are refused with a time to come again",
    default: "1000",
  },
  { long: "keep", value: "HOURS", description: "How long ended jobs are kept", default: "24" },
  {
    long: "lease",
    value: "SECONDS",
    description: "After how long without a word from its worker a job goes to another one",
    default: "30",
  },
  {
    long: "attempts",
    value: "N",
    description: "How often a job is begun whose workers die over it",
    default: "5",
  },
] as const satisfies readonly Option[];

/** How pictures are made, and told of. */
export const WORKER_OPTIONS = [
  MODEL_OPTION,
  ...parameterOptions("defaults"),
  {
    long: "slots",
    value: "N",
    description: "Pictures that are made together, as memory allows",
    default: "4",
  },
  {
    long: "run-timeout",
    value: "SECONDS",
    description: "How long a job may run",
    default: "3600",
  },
  {
    long: "grace",
    value: "SECONDS",
    description:
      "On SIGTERM: how long jobs may go on; then they are kept as far as they are, for the next worker",
    default: "20",
  },
  {
    long: "moderation",
    value: "URL",
    description:
      "Is asked before each job and after each picture and preview: see docs/deploy.md; without an answer nothing is made",
  },
  {
    long: "public-url",
    value: "URL",
    description:
      "Where clients reach the server, for addresses of files. Without it: where they say that they do; in webhooks addresses have no host then",
  },
  {
    long: "allow-host",
    value: "LIST",
    description:
      "Hosts that webhooks may go to although they are not public, with commas: localhost,10.0.0.0/8",
  },
  {
    long: "webhook-secret",
    value: "SECRET",
    description:
      "What webhooks and addresses of files are signed with, on all machines the same: whsec_ and base64. Without it: MDM_WEBHOOK_SECRET, or one of our own in the data folder",
  },
  ...FILE_OPTIONS,
  ...TEXT_OPTIONS,
  MEMORY_OPTION,
  LOW_MEMORY_OPTION,
  ...KERNEL_OPTIONS,
] as const satisfies readonly Option[];

/** The values of {@linkcode QUEUE_OPTIONS} and {@linkcode WORKER_OPTIONS}. */
type ServerValues = Values<
  Omit<Command, "options"> & {
    readonly options: readonly [...typeof QUEUE_OPTIONS, ...typeof WORKER_OPTIONS];
  }
>;

/** Limits of requests, where a command has no options for them: those of whoever takes the requests count. */
export const LIMITS = {
  pictures: 10,
  steps: 1000,
  promptLength: 2000,
  pixels: 1 << 24,
  queueMs: 3_600_000,
  waitMs: 600_000,
} as const;

/** What the options say, as the server takes it. */
export async function serverOptions(
  values: ServerValues,
): Promise<
  Omit<ServerOptions, "worker" | "http" | "limits" | "defaults"> & { readonly runMs: number }
> {
  const { queue, results, moderation, model, memory } = values;
  const url = values["public-url"];
  const secret = values["webhook-secret"] ?? environment("MDM_WEBHOOK_SECRET");
  return {
    engine: {
      model: model ?? DEFAULT_MODEL,
      pipeline: {
        ...modelOptions(values),
        ...await kernelOptions(values),
        lowMemory: values["low-memory"],
        ...memory !== undefined && { memory: memoryOf(memory) },
      },
      slots: integer(values.slots, { name: "--slots", min: 1, max: 1024 }),
    },
    data: values.data,
    ...queue !== undefined && { queue },
    ...results !== undefined && { results },
    ...moderation !== undefined && { moderation },
    ...secret !== undefined && { webhookSecret: checkSecret(secret) },
    publicUrl: url === undefined ? null : publicUrl(url),
    runpod: runpodSettings(environment),
    allowHosts: list(values["allow-host"]),
    queueLimit: integer(values["queue-limit"], { name: "--queue-limit", min: 1, max: 10_000_000 }),
    keepMs: 3_600_000 * integer(values.keep, { name: "--keep", min: 1, max: 100_000 }),
    leaseMs: milliseconds("lease", values.lease),
    maxAttempts: integer(values.attempts, { name: "--attempts", min: 1, max: 1000 }),
    runMs: milliseconds("run-timeout", values["run-timeout"]),
  };
}

/** The milliseconds of an option that is given in seconds. */
export function milliseconds(name: string, seconds: string): number {
  return 1000 * integer(seconds, { name: `--${name}`, min: 1, max: 10_000_000 });
}

/** Milliseconds that jobs have at the end. */
export function graceOf({ grace }: Pick<ServerValues, "grace">): number {
  return 1000 * integer(grace, { name: "--grace", min: 0, max: 86_400 });
}

/**
 * Runs a server; what happens is told on stderr.
 *
 * @param work What it is there for; it stops after that. Unless given it serves until the signal.
 */
export async function runServer(
  options: ServerOptions,
  graceMs: number,
  signal: AbortSignal,
  events: ServerEvents = {},
  work: (server: Server) => Promise<number> = () => untilAborted(signal),
): Promise<number> {
  const { Server } = await import("../../server/server.ts");
  signal.throwIfAborted();
  const failed = Promise.withResolvers<never>();
  failed.promise.catch(() => {}); // It may fail before it is waited for.
  const server = await Server.start(options, {
    ...events,
    onState: ({ worker, reason }) => {
      if (worker === "ready") warn("Ready: pictures can be made.");
      if (worker === "starting" && reason !== null) warn(`${reason} The engine is started again.`);
      if (worker === "failed") failed.reject(new MdmError(reason ?? "The engine failed."));
    },
  });
  try {
    return await Promise.race([work(server), failed.promise]);
  } finally {
    await server.stop(graceMs);
  }
}

/** Names with commas between. */
export function list(value: string | undefined): string[] {
  return (value ?? "").split(",").map((name) => name.trim()).filter((name) => name !== "");
}

function publicUrl(value: string): string {
  const url = URL.parse(value);
  if (url !== null && /^https?:$/.test(url.protocol) && !url.search && !url.hash) {
    return url.href.replace(/\/$/, "");
  }
  throw new UsageError(
    `Option "--public-url" needs an address such as "https://pictures.example", not "${value}".`,
  );
}

async function untilAborted(signal: AbortSignal): Promise<number> {
  await new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
  warn("Stopping: no more jobs are taken.");
  return 0;
}
