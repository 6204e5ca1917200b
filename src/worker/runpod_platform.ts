/** What RunPod's platform and a worker in its container say to each other, as RunPod's own worker does. */
import { setTimeout as pause } from "node:timers/promises";
import { z } from "zod";
import { MdmError, UsageError } from "../errors.ts";

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

/** One job as the platform gives it. */
export interface RunpodTask {
  readonly id: string;
  readonly input?: unknown;
}

/** What is told of a job: its output or why there is none, or how far it is. */
export type RunpodReport =
  | { readonly output: unknown }
  | { readonly error: string }
  | { readonly status: "IN_PROGRESS"; readonly output: unknown };

const DEFAULT_PING_MS = 10_000;

/** Milliseconds that the platform holds a request for jobs at most. */
const TAKE_TIMEOUT = 90_000;
const POST_TIMEOUT = 60_000;

/** Bytes of what the platform gives at once. */
const MAX_TASKS = 32 << 20;

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
    throw new UsageError(`${name} must be an address, not "${value}".`);
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
): Promise<readonly RunpodTask[] | "later"> {
  const url = new URL(jobUrl);
  if (count > 1 && url.pathname.includes("/job-take/")) {
    url.pathname = url.pathname.replace("/job-take/", "/job-take-batch/");
    url.searchParams.append("batch_size", String(count));
  }
  url.searchParams.append("job_in_progress", busy ? "1" : "0");
  const response = await request(url, { key, signal, timeout: TAKE_TIMEOUT });
  if (!response.ok || response.status === 204) {
    await response.body?.cancel();
    // 400: the platform is about to stop this container.
    if (response.status === 204 || response.status === 400) return [];
    if (response.status === 429) return "later";
    throw new MdmError(`RunPod answered ${response.status} when it was asked for jobs.`);
  }
  const size = Number(response.headers.get("content-length"));
  if (size > MAX_TASKS) {
    await response.body?.cancel();
    throw new MdmError(`RunPod sent jobs of ${size} bytes, over ${MAX_TASKS}.`);
  }
  return tasks(await response.text());
}

/** How something is told of a job. */
interface PostOptions {
  /** Whether its output was streamed before. */
  readonly streamed: boolean;
  /** Milliseconds after a first try that failed; twice as many after the second. */
  readonly retryMs: number;
  readonly signal: AbortSignal;
}

/** Tells how a job goes or ended, in three tries; false where that was not heard. */
export async function postReport(
  { outputUrl, key }: RunpodSettings,
  id: string,
  report: RunpodReport,
  options: PostOptions,
): Promise<boolean> {
  return await post(outputUrl, id, report, { ...options, key });
}

/** Gives a part of a job's output, where the platform wants it; false where that was not heard. */
export async function postChunk(
  { streamUrl, key }: RunpodSettings,
  id: string,
  chunk: { readonly output: unknown },
  options: Omit<PostOptions, "streamed">,
): Promise<boolean> {
  return streamUrl === null ||
    await post(streamUrl, id, chunk, { ...options, key, streamed: false });
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
): Promise<boolean> {
  const url = new URL(template.replaceAll("$ID", encodeURIComponent(id)));
  url.searchParams.append("isStream", String(streamed));
  const body = JSON.stringify(content);
  // The type that RunPod's worker says, though it is JSON.
  const headers = { "Content-Type": "application/x-www-form-urlencoded", "X-Request-ID": id };
  for (let attempt = 1; attempt <= ATTEMPTS && !signal.aborted; attempt++) {
    const response = await request(url, { key, signal, timeout: POST_TIMEOUT, headers, body })
      .catch(() => null);
    await response?.body?.cancel();
    if (response?.ok) return true;
    const again = response === null || response.status >= 500 || response.status === 429;
    if (!again) return false;
    if (attempt < ATTEMPTS) await rest(attempt * retryMs, signal);
  }
  return false;
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

const Task = z.object({ id: z.string().regex(/^[\w.:-]{1,256}$/), input: z.unknown().optional() });
const Tasks = z.union([Task.transform((task) => [task]), z.array(Task)]);

function tasks(text: string): readonly RunpodTask[] {
  if (text === "") return [];
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw new MdmError("RunPod sent jobs that are not JSON.");
  }
  const { success, data } = Tasks.safeParse(json);
  if (success) return data;
  throw new MdmError("RunPod sent a job without an id.");
}
