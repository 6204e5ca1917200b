/** Reaching a Redis or Valkey server. */
import { Redis } from "ioredis";
import { MdmError } from "../../errors.ts";

/** Where the connection is lost, it is tried again as often, and calls fail after so many tries: five seconds. */
const RETRY_MS = 500;
const RETRIES = 10;

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
    maxRetriesPerRequest: RETRIES,
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

/** Ends a connection, and waits until it has ended. */
export async function disconnect(redis: Redis): Promise<void> {
  if (redis.status === "end") return;
  const isOpen = redis.status !== "reconnecting";
  const end = new Promise((resolve) => redis.once("end", resolve));
  redis.disconnect();
  if (isOpen) await end;
}

/** Turns what Redis or the network says into a sentence for the user, without the password in the address. */
export function asRedisError(url: string, error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  // What was asked for is in it, to log in as well: with the password.
  if ("command" in error) delete error.command;
  const said = `${error.name} ${error.message}`;
  const reason = REASONS.find(([pattern]) => pattern.test(said))?.[1];
  return reason === undefined
    ? error
    : new MdmError(`Cannot use the queue at ${new URL(url).host}: ${reason}`);
}

/** What is not here is a defect of ours. */
const REASONS: readonly (readonly [RegExp, string])[] = [
  [/NOAUTH|WRONGPASS/, "it wants another password. Give redis://:PASSWORD@HOST."],
  [/NOPERM/, "its user may not do all that is needed. Give another user."],
  [/ENOTFOUND|EAI_AGAIN|failed to lookup/, "there is no such host. Check the address."],
  [/NotCapable/, "this address is not permitted. Start mdm with other permissions."],
  [/OOM command/, "its memory is full. Give it more."],
  [/READONLY/, "it is a replica. Give the address of its primary."],
  [/LOADING/, "it is still loading its data. Try again soon."],
  [/certificate/i, "its certificate is not trusted. Check it, or start mdm with DENO_CERT."],
  [/invalid DB|DB index/, "it has no such database. Give another number at the end."],
  [
    /ECONN|ETIMEDOUT|EHOSTUNREACH|EPIPE|refused|Connection is closed|max retries|MaxRetries/,
    "it does not answer. Check that it runs, the address, and whether it wants rediss://.",
  ],
];
