/** What RunPod's platform and a worker in its container say to each other, as RunPod's own worker does. */
import { setTimeout as pause } from "node:timers/promises";
import { MdmError, UsageError } from "../../../errors.ts";
import { withoutQueries } from "../../http/without_queries.ts";
import { readStops, readTasks, type TakenTasks } from "./answers.ts";

/** What a container on RunPod is told by its environment. */
export interface RunpodSettings {
  /** Where jobs are taken. */
  readonly jobUrl: URL;
  /** Where results go; "$ID" is a job's. */
  readonly outputUrl: string;
  /** Where pictures go as they come; null: nowhere. */
  readonly streamUrl: string | null;
  readonly pingUrl: URL | null;
  /** Milliseconds between two pings. */
  readonly pingMs: number;
  readonly key: string;
}

/** Variables that `runpodSettings` reads. */
export const RUNPOD_VARIABLES = [
  "RUNPOD_WEBHOOK_GET_JOB",
  "RUNPOD_WEBHOOK_POST_OUTPUT",
  "RUNPOD_WEBHOOK_POST_STREAM",
  "RUNPOD_WEBHOOK_PING",
  "RUNPOD_PING_INTERVAL",
  "RUNPOD_AI_API_KEY",
  "RUNPOD_POD_ID",
] as const;

/** What is told of a job: its output or why there is none, or how far it is. */
export type RunpodReport =
  | { readonly output: unknown }
  | { readonly error: string }
  | { readonly status: "IN_PROGRESS"; readonly output: unknown };

const DEFAULT_PING_MS = 10_000;

/** Milliseconds that the platform holds a request for jobs, or for what is to stop, at most. */
const TAKE_TIMEOUT = 90_000;
const POST_TIMEOUT = 60_000;

/** Bytes of what the platform gives at once. */
const MOST_BYTES = 32 << 20;

/** Bytes of a report from which on a connection that ends without an answer may mean that it was too many. */
const LARGE = 1 << 20;

/** What the address where jobs are taken has in it, instead of which others have another word. */
const TAKE = "/job-take/";

/** Tries of a result. */
const ATTEMPTS = 3;

/**
 * Reads the environment; null where this is no container of RunPod's.
 *
 * @throws {UsageError} When something in it cannot be used.
 */
export function runpodSettings(
  read: (name: typeof RUNPOD_VARIABLES[number]) => string | undefined,
): RunpodSettings | null {
  if (read("RUNPOD_WEBHOOK_GET_JOB") === undefined) return null;
  const worker = read("RUNPOD_POD_ID") ?? crypto.randomUUID();
  const address = (name: typeof RUNPOD_VARIABLES[number], variable: string) => {
    const value = read(name)?.replaceAll(variable, worker);
    if (value === undefined || /^https?:/.test(value) && URL.canParse(value)) return value ?? null;
    throw new UsageError(`${name} must be an address, not "${withoutQueries(value)}".`);
  };
  const outputUrl = address("RUNPOD_WEBHOOK_POST_OUTPUT", "$RUNPOD_POD_ID");
  if (outputUrl === null) {
    throw new UsageError("Set RUNPOD_WEBHOOK_POST_OUTPUT as well as RUNPOD_WEBHOOK_GET_JOB.");
  }
  const ping = address("RUNPOD_WEBHOOK_PING", "$RUNPOD_POD_ID");
  const interval = read("RUNPOD_PING_INTERVAL") ?? String(DEFAULT_PING_MS);
  if (!/^[1-9]\d{0,8}$/.test(interval)) {
    throw new UsageError(`RUNPOD_PING_INTERVAL must be milliseconds, not "${interval}".`);
  }
  return {
    jobUrl: new URL(address("RUNPOD_WEBHOOK_GET_JOB", "$ID")!),
    outputUrl,
    streamUrl: address("RUNPOD_WEBHOOK_POST_STREAM", "$RUNPOD_POD_ID"),
    pingUrl: ping === null ? null : new URL(ping),
    pingMs: Number(interval),
    key: read("RUNPOD_AI_API_KEY") ?? "",
  };
}

/**
 * Asks for so many jobs at most; the platform may hold the request until there is one.
 *
 * @returns "later" where it was asked too often.
 */
export async function takeTasks(
  { jobUrl, key }: RunpodSettings,
  { count, busy }: { readonly count: number; readonly busy: boolean },
  signal: AbortSignal,
): Promise<TakenTasks | "later"> {
  const url = new URL(jobUrl);
  if (count > 1 && url.pathname.includes(TAKE)) {
    url.pathname = url.pathname.replace(TAKE, "/job-take-batch/");
    url.searchParams.append("batch_size", String(count));
  }
  url.searchParams.append("job_in_progress", busy ? "1" : "0");
  const response = await request(url, { key, signal, timeout: TAKE_TIMEOUT });
  // 400: the platform is about to stop this container.
  const text = await answerOf(response, "jobs", [204, 400]);
  return text === "later" ? "later" : readTasks(text);
}

/** Where the platform says which jobs are to stop: beside where it gives them. Null: it does not. */
export function stopUrl({ jobUrl }: RunpodSettings): URL | null {
  if (!jobUrl.pathname.includes(TAKE)) return null;
  const url = new URL(jobUrl);
  url.pathname = url.pathname.replace(TAKE, "/job-stop/");
  return url;
}

/**
 * Asks which jobs are to stop, since somebody canceled them or their time is over; the platform may hold the request until there is
 * one.
 *
 * @returns Their ids; "later" where it was asked too often.
 */
export async function takeStops(
  url: URL,
  { key }: RunpodSettings,
  signal: AbortSignal,
): Promise<readonly string[] | "later"> {
  const response = await request(url, { key, signal, timeout: TAKE_TIMEOUT });
  const text = await answerOf(response, "jobs to stop", [204]);
  return text === "later" ? "later" : readStops(text);
}

/** How something is told of a job. */
interface PostOptions {
  /** Whether its output was streamed before. */
  readonly streamed: boolean;
  /** Milliseconds after a first try that failed; twice as many after the second. */
  readonly retryMs: number;
  readonly signal: AbortSignal;
}

/** What came of telling: the platform will not have it, or nobody knows whether it has. */
export type Told = "heard" | "refused" | "unheard";

/** Tells how a job goes or ended, in three tries. */
export async function postReport(
  { outputUrl, key }: RunpodSettings,
  id: string,
  report: RunpodReport,
  options: PostOptions,
): Promise<Told> {
  return await post(outputUrl, id, report, { ...options, key });
}

/** Gives a part of a job's output, where the platform wants it. */
export async function postChunk(
  { streamUrl, key }: RunpodSettings,
  id: string,
  chunk: { readonly output: unknown },
  options: Omit<PostOptions, "streamed">,
): Promise<void> {
  if (streamUrl !== null) await post(streamUrl, id, chunk, { ...options, key, streamed: false });
}

/** Says that this worker is alive and what it has in hand. */
export async function ping(
  { pingUrl, pingMs, key }: RunpodSettings,
  ids: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  const url = new URL(pingUrl!);
  if (ids.length > 0) url.searchParams.append("job_id", ids.join(","));
  url.searchParams.append("runpod_version", "mdm");
  const response = await request(url, { key, signal, timeout: Math.max(2 * pingMs, 1000) });
  await response.body?.cancel();
  if (!response.ok) throw new MdmError(`RunPod answered ${response.status} to a ping.`);
}

async function post(
  template: string,
  id: string,
  content: RunpodReport,
  { key, streamed, retryMs, signal }: PostOptions & { readonly key: string },
): Promise<Told> {
  const name = encodeURIComponent(id);
  const url = new URL(template.replaceAll("$ID", name));
  url.searchParams.append("isStream", String(streamed));
  const body = JSON.stringify(content);
  // The type that RunPod's worker says, though it is JSON.
  const headers = { "Content-Type": "application/x-www-form-urlencoded", "X-Request-ID": name };
  let answered = false;
  for (let attempt = 1; attempt <= ATTEMPTS && !signal.aborted; attempt++) {
    const response = await request(url, { key, signal, timeout: POST_TIMEOUT, headers, body })
      .catch(() => null);
    await response?.body?.cancel();
    if (response?.ok) return "heard";
    if (response !== null && !isPassing(response.status)) return "refused";
    answered ||= response !== null;
    if (attempt < ATTEMPTS) await rest(attempt * retryMs, signal);
  }
  return answered || signal.aborted || body.length < LARGE ? "unheard" : "refused";
}

/** Whether the same request may get another answer later. */
function isPassing(status: number): boolean {
  return status >= 500 || status === 429 || status === 408;
}

/** The text of an answer; "" where its status means that there is nothing, "later" where it was asked too often. */
async function answerOf(
  { ok, status, body }: Response,
  what: string,
  nothing: readonly number[],
): Promise<string | "later"> {
  if (!ok || nothing.includes(status)) {
    await body?.cancel();
    if (nothing.includes(status)) return "";
    if (status === 429) return "later";
    throw new MdmError(`RunPod answered ${status} when it was asked for ${what}.`);
  }
  const parts: Uint8Array<ArrayBuffer>[] = [];
  let size = 0;
  for await (const part of body ?? []) {
    size += part.length;
    if (size > MOST_BYTES) throw new MdmError(`RunPod sent ${what} of over ${MOST_BYTES} bytes.`);
    parts.push(part);
  }
  return await new Blob(parts).text();
}

function request(
  url: URL,
  { key, signal, timeout, headers = {}, body }: {
    readonly key: string;
    readonly signal: AbortSignal;
    readonly timeout: number;
    readonly headers?: Readonly<Record<string, string>>;
    readonly body?: string;
  },
): Promise<Response> {
  return fetch(url, {
    ...body !== undefined && { method: "POST", body },
    headers: { Authorization: key, "Content-Type": "application/json", ...headers },
    signal: AbortSignal.any([signal, AbortSignal.timeout(timeout)]),
    // The key is for this address only.
    redirect: "error",
  });
}

/** Waits, or not any more once told so. */
export async function rest(ms: number, signal: AbortSignal): Promise<void> {
  await pause(Math.max(0, ms), undefined, { signal }).catch(() => {});
}
