/** Reaching a Redis or Valkey server. */
import { Redis } from "ioredis";
import { MdmError } from "../errors.ts";

/**
 * Connects to a server, and again whenever that is lost.
 *
 * @param url redis://[[user]:password@]host[:port][/database], or rediss:// for TLS.
 * @throws {MdmError} When it cannot be reached, or wants another password.
 */
export async function connect(url: string): Promise<Redis> {
  const redis = new Redis(url, { lazyConnect: true });
  let cause: unknown;
  redis.on("error", (error) => cause = error);
  try {
    await redis.connect();
    return redis;
  } catch (error) {
    redis.disconnect();
    // `connect` itself only says that the connection is closed.
    throw asRedisError(url, cause ?? error);
  }
}

/** Turns what Redis or the network says into a sentence for the user, without the password in the address. */
export function asRedisError(url: string, error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  const known = REASONS.find(([pattern]) => pattern.test(`${error.name} ${error.message}`));
  if (known === undefined) return error;
  return new MdmError(`Cannot use the queue at ${hostOf(url)}: ${known[1]}`);
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
  [/certificate|SSL|TLS/i, "there is no trusted TLS. Check its certificate, or give redis://."],
  [/invalid DB|DB index/, "it has no such database. Give another number at the end."],
  [
    /ECONN|ETIMEDOUT|EHOSTUNREACH|EPIPE|refused|Connection is closed|max retries|MaxRetries/,
    "it does not answer. Check that it runs and the address.",
  ],
];

function hostOf(url: string): string {
  const { host } = new URL(url);
  return host;
}
