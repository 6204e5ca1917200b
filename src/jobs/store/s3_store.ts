import { setTimeout as pause } from "node:timers/promises";
import { AwsClient } from "../../deps/aws4fetch.ts";
import { MdmError, UsageError } from "../../errors.ts";
import { type Backoff, backoffMs } from "../../net/backoff.ts";
import { Unavailable } from "../unavailable.ts";
import { storedPath } from "./names.ts";
import type { ResultStore } from "./store.ts";

/** Who asks an S3-compatible store, and where buckets are unless their address says so. */
export interface S3Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
  readonly region?: string;
}

/** How often a request is sent before it is given up. */
const TRIES = 5;

/** Waits between tries: none to 100 ms before the second. */
const BACKOFF: Backoff = { firstMs: 100, jitter: [0, 1] };

/** Milliseconds until an answer has to begin, however often it was asked for: whoever waits for it is to hear within five seconds. */
const PATIENCE_MS = 3500;

/** As many of an upload, which may be large. */
const UPLOAD_MS = 30_000;

/** What is written where a file could not be, to see whether it can by now: no job has a file there. */
const CHECK = "mdm-check";

/** Answers that say that there is no such file, or that it ends before what is asked for. */
const NO_SUCH_KEY = 404;
const NO_SUCH_PART = 416;

/** Seconds that a link is valid. */
const LINK_SECONDS = 3600;

/**
 * Reads the variables that every tool for S3 knows.
 *
 * @throws {UsageError} When a key is missing.
 */
export function credentialsFrom(
  environment: { get(name: string): string | undefined },
): S3Credentials {
  const accessKeyId = environment.get("AWS_ACCESS_KEY_ID");
  const secretAccessKey = environment.get("AWS_SECRET_ACCESS_KEY");
  const sessionToken = environment.get("AWS_SESSION_TOKEN");
  const region = environment.get("AWS_REGION");
  if (!accessKeyId || !secretAccessKey) {
    throw new UsageError(
      "An S3 store needs keys: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and AWS_SESSION_TOKEN where they are temporary.",
    );
  }
  return {
    accessKeyId,
    secretAccessKey,
    ...sessionToken && { sessionToken },
    ...region && { region },
  };
}

/**
 * Keeps files of jobs in a bucket of any S3-compatible store, all below a prefix.
 *
 * @param address "s3://bucket/prefix?endpoint=https://host&region=auto"; prefix, endpoint and region may be left out.
 * @throws {UsageError} When the address cannot be understood.
 */
export function openS3Store(address: string, credentials: S3Credentials): ResultStore {
  const { bucket, prefix, region } = readAddress(address, credentials.region);
  const client = new AwsClient({ ...credentials, service: "s3", region });
  const urlOf = (job: string, name: string) =>
    new URL(`${bucket}/${prefix}${storedPath(job, name)}`);

  /** Whether it is known that files can be written. */
  let writable = false;

  /**
   * Asks, and gives what is made of an answer that is a success, or is `expected` as well; all else is an error: of one file alone, or
   * of the store, which is then `Unavailable`. There is a time limit until it is made.
   */
  async function ask<T>(
    what: string,
    url: URL,
    use: (response: Response) => T | Promise<T>,
    { expected = () => false, patienceMs = PATIENCE_MS, ...init }: RequestInit & {
      readonly expected?: (status: number, code: string) => boolean;
      readonly patienceMs?: number;
    } = {},
  ): Promise<T> {
    using limit = timeLimit(patienceMs);
    const failed = (error: unknown) => {
      if (error instanceof MdmError) throw error;
      const why = limit.signal.aborted ? limit.signal.reason.message : "it cannot be reached";
      throw new Unavailable(`Cannot ${what} at ${bucket}: ${why}. Check the address.`);
    };
    const response = await askAgain(async () => {
      const request = await client.sign(url, init);
      // Not signed, for proxies change it: an answer that is packed on the way has no length.
      request.headers.set("accept-encoding", "identity");
      // Where it has moved to is an answer as well.
      return await fetch(request, { signal: limit.signal, redirect: "manual" });
    }, limit.signal).catch(failed);
    if (response.ok) return await Promise.try(use, response).catch(failed);
    const text = await response.text().catch(failed);
    const code = /<Code>(\w+)<\/Code>/.exec(text)?.[1] ?? "no reason";
    if (code !== "NoSuchBucket" && expected(response.status, code)) {
      return await use(new Response(null, response));
    }
    const Kind = isOfAll(response.status) ? Unavailable : MdmError;
    throw new Kind(
      `Cannot ${what} at ${bucket}: it answers ${response.status} (${code}). Check the address and the keys.`,
    );
  }

  async function write(what: string, url: URL, content: Uint8Array<ArrayBuffer>, type: string) {
    const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", content)).toHex();
    const headers = { "content-type": type, "x-amz-content-sha256": hash };
    const init = { method: "PUT", headers, body: content, patienceMs: UPLOAD_MS };
    await ask(what, url, drop, init);
  }

  /** Names of up to a thousand files of a job, and what gives the next ones. */
  async function list(job: string, from: string | null) {
    const url = new URL(bucket);
    url.search = String(
      new URLSearchParams({
        "list-type": "2",
        delimiter: "/",
        prefix: `${prefix}${storedPath(job)}/`,
        ...from !== null && { "continuation-token": from },
      }),
    );
    const text = await ask(`list the files of job ${job}`, url, (response) => response.text());
    return {
      names: [...text.matchAll(/<Key>[^<]*\/([^<]+)<\/Key>/g)].map(([, name]) => name!),
      next: /<NextContinuationToken>([^<]+)</.exec(text)?.[1] ?? null,
    };
  }

  return {
    name: `the results at ${bucket}`,

    async check(writing) {
      const url = new URL(`${bucket}/${prefix}${CHECK}`);
      if (writing && !writable) {
        await write("use the results", url, new Uint8Array(), "text/plain");
        writable = true;
        return;
      }
      // Who may not list files is not told which are missing.
      const expected = (status: number, code: string) => isMissing(status) || code === DENIED;
      await ask("use the results", url, drop, { expected });
    },

    async put(job, name, content, type) {
      const path = storedPath(job, name);
      try {
        await write(`write ${path}`, urlOf(job, name), content, type);
        writable = true;
      } catch (error) {
        writable = false;
        throw error;
      }
    },

    async get(job, name, range) {
      const path = storedPath(job, name);
      const init = range && { headers: { range: `bytes=${range.first}-${range.last}` } };
      return await ask(`read ${path}`, urlOf(job, name), async ({ status, headers, body }) => {
        if (status === NO_SUCH_KEY || status === NO_SUCH_PART) return null;
        const { bytes, part } = lengthsOf(headers);
        const isWanted = range === undefined || part === range.last - range.first + 1;
        if (bytes !== null && isWanted) return { body: body ?? new Blob().stream(), bytes };
        await body?.cancel();
        // It ends within the part.
        if (range !== undefined && part !== null) return null;
        const missing = range === undefined ? "how long it is" : "which part it sends";
        throw new MdmError(`Cannot read ${path} at ${bucket}: it does not say ${missing}.`);
      }, { ...init, expected: (status) => isMissing(status) || status === NO_SUCH_PART });
    },

    async has(job, name) {
      const what = `find ${storedPath(job, name)}`;
      // Keys that may only write are not told: what was written is there.
      const expected = (status: number) => isMissing(status) || status === 403;
      const found = ({ status }: Response) => !isMissing(status);
      return await ask(what, urlOf(job, name), found, { method: "HEAD", expected });
    },

    async link(job, name) {
      const url = urlOf(job, name);
      url.searchParams.set("X-Amz-Expires", String(LINK_SECONDS));
      return (await client.sign(url, { aws: { signQuery: true } })).url;
    },

    async remove(job) {
      let from: string | null = null;
      do {
        const { names, next }: Awaited<ReturnType<typeof list>> = await list(job, from);
        for (const name of names) {
          const path = storedPath(job, name);
          await ask(`remove ${path}`, urlOf(job, name), drop, {
            method: "DELETE",
            expected: isMissing,
          });
        }
        from = next;
      } while (from !== null);
    },

    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

/** How many bytes a file has, and the part of it that is sent; null: that is not said. */
function lengthsOf(headers: Headers): { bytes: number | null; part: number | null } {
  const length = headers.get("content-length");
  const [, first, last, bytes] =
    /^bytes (\d+)-(\d+)\/(\d+)$/.exec(headers.get("content-range") ?? "") ?? [];
  if (bytes === undefined) return { bytes: length === null ? null : Number(length), part: null };
  return { bytes: Number(bytes), part: Number(last) - Number(first) + 1 };
}

/** Where a bucket is, the beginning of all keys ("" or "a/b/"), and the region that requests are signed for. */
function readAddress(address: string, usualRegion = "us-east-1") {
  const refuse = (why: string) =>
    new UsageError(
      `Cannot keep results at the S3 address: ${why}. Write it as "s3://bucket/prefix?endpoint=https://host&region=auto".`,
    );
  const url = URL.parse(address);
  if (url === null || url.username || url.password || url.port) {
    throw refuse("it is no bucket and prefix (keys come from the environment)");
  }
  if (!/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(url.hostname)) {
    throw refuse(`"${url.hostname}" is no bucket's name`);
  }
  if (!/^[A-Za-z0-9/._-]*$/.test(url.pathname)) {
    throw refuse('its prefix has more than letters, digits, "/", ".", "_" and "-"');
  }
  for (const name of url.searchParams.keys()) {
    if (name !== "endpoint" && name !== "region") throw refuse(`it has an option "${name}"`);
  }
  const region = url.searchParams.get("region") ?? usualRegion;
  if (!/^[a-z0-9-]+$/.test(region)) throw refuse(`"${region}" is no region`);
  const endpoint = url.searchParams.get("endpoint");
  const prefix = url.pathname.split("/").filter(Boolean).map((part) => `${part}/`).join("");
  if (endpoint !== null) {
    const { protocol, origin, pathname, username, search } = URL.parse(endpoint) ??
      new URL("none:");
    if (!/^https?:$/.test(protocol) || username || search) {
      throw refuse("its endpoint is no plain http or https address");
    }
    return { bucket: `${origin}${pathname.replace(/\/$/, "")}/${url.hostname}`, prefix, region };
  }
  // A certificate for "*.s3..." has no place for the dots of a bucket's name.
  const bucket = url.hostname.includes(".")
    ? `https://s3.${region}.amazonaws.com/${url.hostname}`
    : `https://${url.hostname}.s3.${region}.amazonaws.com`;
  return { bucket, prefix, region };
}

/** An answer of which nothing more is wanted. */
async function drop({ body }: Response): Promise<void> {
  await body?.cancel();
}

/** Whether an answer tells of the whole store, not of one file: it is out of order, or lets nobody in at the moment. */
function isOfAll(status: number): boolean {
  return isOutOfOrder(status) || status === 401 || status === 403 || status === 404;
}

/** What answers that refuse a request say, where it is not its signature. */
const DENIED = "AccessDenied";

function isMissing(status: number): boolean {
  return status === NO_SUCH_KEY;
}

function isOutOfOrder(status: number): boolean {
  return status >= 500 || status === 429;
}

/** Sends a request until the store is neither out of order nor out of reach, or has been so too often, or for too long. */
async function askAgain(send: () => Promise<Response>, signal: AbortSignal): Promise<Response> {
  for (let tried = 1;; tried++) {
    const answer = await send().catch((error: Error) => error);
    const isFailure = answer instanceof Error || isOutOfOrder(answer.status);
    if (!isFailure || tried === TRIES || signal.aborted) {
      if (answer instanceof Error) throw answer;
      return answer;
    }
    if (answer instanceof Response) await answer.body?.cancel();
    await pause(backoffMs(tried, BACKOFF));
  }
}

/** A signal that is aborted after so many milliseconds, unless it is disposed of before. */
function timeLimit(ms: number): Disposable & { readonly signal: AbortSignal } {
  const controller = new AbortController();
  const timer = setTimeout(
    () => controller.abort(new Error(`no answer within ${ms / 1000} seconds`)),
    ms,
  );
  return { signal: controller.signal, [Symbol.dispose]: () => clearTimeout(timer) };
}
