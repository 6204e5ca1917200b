/** Reaching a Redis or Valkey server. */
import { Redis } from "../../../deps/ioredis.ts";
import { MdmError } from "../../../errors.ts";

/** How often it is tried to connect again. */
const RETRY_MS = 500;

/** Milliseconds that a server may take to answer, and that a call waits for a connection that was lost. */
export const PATIENCE_MS = 3000;

/**
 * Connects to a server, and again whenever that is lost.
 *
 * @param url redis://[[user]:password@]host[:port][/database], or rediss:// for TLS.
 * @throws {MdmError} When it cannot be reached, or wants another password.
 */
export async function connect(url: string): Promise<Redis> {
  if (!URL.canParse(url)) {
    throw new MdmError("Cannot use the queue's address: give redis://HOST:PORT.");
  }
  let isConnected = false;
  const redis = new Redis(url, {
    lazyConnect: true,
    retryStrategy: () => isConnected ? RETRY_MS : null,
    connectTimeout: PATIENCE_MS,
    commandTimeout: PATIENCE_MS,
    // One that keeps silent is connected to anew.
    socketTimeout: PATIENCE_MS,
    // A command is sent once, while there is a connection, or fails: what nobody waits for any more is not to be done later.
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    // After a failover the primary is somewhere else, under the same address.
    reconnectOnError: ({ message }) => message.includes("READONLY"),
  });
  let cause: unknown;
  redis.on("error", (error) => cause = error);
  try {
    await redis.connect();
    // Where there is no such database, the client would go on with another one.
    await redis.select(redis.options.db ?? 0);
    isConnected = true;
    return redis;
  } catch (error) {
    await disconnect(redis);
    // `connect` itself only says that the connection is closed.
    throw asRedisError(url, cause ?? error);
  }
}

/**
 * Waits until a connection is there, at most so many milliseconds.
 *
 * @throws When it is not by then.
 */
export async function untilConnected(redis: Redis, ms: number): Promise<void> {
  if (redis.status === "ready") return;
  if (ms <= 0) throw new Error(CLOSED);
  const { promise: over, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(CLOSED)), ms);
  try {
    await Promise.race([readiness(redis), over]);
  } finally {
    clearTimeout(timer);
  }
}

/** Connections that somebody waits for. */
const awaited = new WeakMap<Redis, Promise<void>>();

/** One listener, however many wait. */
function readiness(redis: Redis): Promise<void> {
  const known = awaited.get(redis);
  if (known !== undefined) return known;
  const { promise, resolve } = Promise.withResolvers<void>();
  redis.once("ready", () => {
    awaited.delete(redis);
    resolve();
  });
  awaited.set(redis, promise);
  return promise;
}

/** Whether a connection was lost, or was not there: what failed so can be tried again with the next one. */
export function isLost(error: unknown): boolean {
  return error instanceof Error && LOST.test(`${error.name} ${error.message}`);
}

const CLOSED = "Connection is closed.";
const LOST = /onnection (is closed|close$)|MaxRetries|isn't writeable/;

/** Ends a connection, and waits until it has ended. */
export async function disconnect(redis: Redis): Promise<void> {
  if (redis.status === "end") return;
  const isOpen = redis.status !== "reconnecting";
  const end = new Promise((resolve) => redis.once("end", resolve));
  redis.disconnect();
  if (isOpen) await end;
}

/** Turns what Redis or the network says into a sentence for the user, without the password in the address. */
export function asRedisError(
  url: string,
  error: unknown,
  Kind: new (message: string) => MdmError = MdmError,
): unknown {
  if (!(error instanceof Error)) return error;
  // What was asked for is in it, to log in as well: with the password.
  if ("command" in error) delete error.command;
  const said = `${error.name} ${error.message}`;
  const reason = REASONS.find(([pattern]) => pattern.test(said))?.[1];
  return reason === undefined
    ? error
    : new Kind(`Cannot use the queue at ${new URL(url).host}: ${reason}`);
}

const SILENT =
  "it does not answer. Check that it runs, the address, and whether it wants rediss://.";

/** What is not here is a defect of ours. */
const REASONS: readonly (readonly [RegExp, string])[] = [
  [/NOAUTH|WRONGPASS/, "it wants another password. Give redis://:PASSWORD@HOST."],
  [/NOPERM/, "its user may not do all that is needed. Give another user."],
  [/ENOTFOUND|EAI_AGAIN|failed to lookup/, "there is no such host. Check the address."],
  [/NotCapable/, "this address is not permitted. Start mdm with other permissions."],
  [/OOM command/, "its memory is full. Give it more."],
  [/MISCONF/, "it cannot write to its disk. Make room there."],
  [/READONLY/, "it is a replica. Give the address of its primary."],
  [/LOADING/, "it is still loading its data. Try again soon."],
  [
    /CLUSTERDOWN|MASTERDOWN|NOREPLICAS|TRYAGAIN|BUSY|max number of clients/,
    "it takes nothing at the moment. Look into its log.",
  ],
  [/certificate/i, "its certificate is not trusted. Check it, or start mdm with DENO_CERT."],
  [/invalid DB|DB index/, "it has no such database. Give another number at the end."],
  [
    /ECONN|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|EPIPE|refused|max retries|timed out|[Tt]imeout/,
    SILENT,
  ],
  [LOST, SILENT],
];
