/** A worker in a container of RunPod's: takes jobs from the platform's queue and tells it how they go. */
import { MdmError, UsageError } from "../errors.ts";
import { isEnded, type Job, type JobRequest } from "../jobs/job.ts";
import type { Jobs } from "../jobs/jobs.ts";
import { QueueFull } from "../jobs/queue/queue.ts";
import { Unavailable } from "../jobs/unavailable.ts";
import { asHttpError, invalid } from "./http_error.ts";
import { runpodFile, runpodOutput, runpodProgress } from "./runpod_job.ts";
import {
  ping,
  postChunk,
  postReport,
  rest,
  type RunpodReport,
  type RunpodSettings,
  type RunpodTask,
  takeTasks,
} from "./runpod_platform.ts";
import { serverlessInput, serverlessRequest } from "./serverless_input.ts";

/** Milliseconds between what is done again and again. */
export interface RunpodPace {
  /** From one request that gave no job to the next at least. */
  readonly empty: number;
  /** After one too many. */
  readonly tooMany: number;
  /** After the first failure; each further one doubles it, up to `longest`. */
  readonly failure: number;
  readonly longest: number;
  /** After the first report that was not heard. */
  readonly retry: number;
  /** Between two reports of how far a job is. */
  readonly progress: number;
}

const PACE: RunpodPace = {
  empty: 1000,
  tooMany: 5000,
  failure: 1000,
  longest: 30_000,
  retry: 1000,
  progress: 1000,
};

export interface RunpodPullOptions {
  readonly settings: RunpodSettings;
  /** Aborted: no more jobs are taken; those in hand are finished. */
  readonly signal: AbortSignal;
  /**
   * Aborted: those in hand are left. The platform gives a job that nobody pings for to another worker, or back to this one, which
   * then goes on with it.
   */
  readonly over: AbortSignal;
  /** Told of what went wrong on the way. */
  readonly warn: (message: string) => void;
  readonly pace?: RunpodPace;
}

/** Works for RunPod until told to stop; as many jobs at a time as there are free slots. */
export async function pullRunpodJobs(jobs: Jobs, options: RunpodPullOptions): Promise<void> {
  const inHand = new Map<string, Promise<void>>();
  const ended = new AbortController();
  const pings = pingUntil(ended.signal, inHand, options);
  try {
    await takeUntilStopped(jobs, inHand, options);
    await Promise.all(inHand.values());
  } finally {
    ended.abort();
    await pings;
  }
}

/**
 * Runs one job as RunPod's worker does with `--test_input`, and prints its result as JSON.
 *
 * @returns The exit code.
 * @throws {UsageError} When it is no job.
 */
export async function runTestInput(
  jobs: Jobs,
  json: string,
  { print, signal }: {
    readonly print: (line: string) => void;
    readonly signal: AbortSignal;
  },
): Promise<number> {
  const { request } = testTask(json, jobs);
  const { id } = await jobs.submit(request, { origin: "runpod" });
  for await (const { job } of jobs.events(id, signal)) {
    if (!isEnded(job)) continue;
    print(JSON.stringify(await result(job, jobs)));
    return job.state === "succeeded" ? 0 : 1;
  }
  await jobs.cancel(id);
  return 1;
}

async function takeUntilStopped(
  jobs: Jobs,
  inHand: Map<string, Promise<void>>,
  options: RunpodPullOptions,
): Promise<void> {
  const { settings, signal, warn, pace = PACE } = options;
  let failures = 0;
  while (!signal.aborted) {
    const begun = performance.now();
    try {
      const count = await freeSlots(jobs, inHand.size);
      if (count === 0) {
        await Promise.race([rest(pace.empty, signal), ...inHand.values()]);
        continue;
      }
      const taken = await takeTasks(settings, { count, busy: inHand.size > 0 }, signal);
      failures = 0;
      if (taken === "later") await rest(pace.tooMany, signal);
      else if (taken.length === 0) await rest(pace.empty - (performance.now() - begun), signal);
      else taken.forEach((task) => hold(task));
    } catch (error) {
      if (signal.aborted) return;
      warn(`Cannot take jobs from RunPod: ${sentence(error)}`);
      await rest(Math.min(pace.failure * 2 ** failures++, pace.longest), signal);
    }
  }

  function hold(task: RunpodTask): void {
    // The platform repeats itself where it was not sure that it was heard.
    if (inHand.has(task.id)) return;
    const done = work(task, jobs, options).finally(() => inHand.delete(task.id));
    inHand.set(task.id, done);
  }
}

async function freeSlots(jobs: Jobs, inHand: number): Promise<number> {
  const { worker, slots, jobs: { queued }, away } = await jobs.health();
  if (worker !== "ready" || away !== null) return 0;
  return Math.max(0, slots.all - Math.max(slots.busy + queued, inHand));
}

/** All that is done for one job. It throws nothing. */
async function work(task: RunpodTask, jobs: Jobs, options: RunpodPullOptions): Promise<void> {
  const { settings, over: signal, warn, pace = PACE } = options;
  const report = await outcome(task, jobs, options).catch((error): RunpodReport => {
    if (!(error instanceof MdmError)) warn(`Job ${task.id} of RunPod failed: ${sentence(error)}`);
    return { error: asHttpError(error).message };
  });
  if (report === null || signal.aborted) return;
  const how = { streamed: settings.streamUrl !== null, retryMs: pace.retry, signal };
  if (!await postReport(settings, task.id, report, how)) {
    warn(`RunPod did not take the result of job ${task.id}.`);
  }
}

/** Follows a job to its end; null where it was left. */
async function outcome(
  task: RunpodTask,
  jobs: Jobs,
  options: RunpodPullOptions,
): Promise<RunpodReport | null> {
  const { over, pace = PACE } = options;
  const { id } = await submit(task, jobs, over);
  while (!over.aborted) {
    try {
      return await follow(task, id, jobs, options);
    } catch (error) {
      // The job goes on, or will.
      if (!(error instanceof Unavailable)) throw error;
      await rest(pace.failure, over);
    }
  }
  return null;
}

async function follow(
  task: RunpodTask,
  id: string,
  jobs: Jobs,
  { settings, over, pace = PACE }: RunpodPullOptions,
): Promise<RunpodReport | null> {
  const how = { streamed: false, retryMs: pace.retry, signal: over };
  let reported = -Infinity;
  for await (const { change, job, file } of jobs.events(id, over)) {
    if (isEnded(job)) return await result(job, jobs);
    if (file !== undefined) {
      const output = await runpodFile(jobs, id, file);
      const chunk = { output: { ...output, preview: change === "preview" } };
      if (output !== null) await postChunk(settings, task.id, chunk, how);
    } else if (change === "progress" && performance.now() - reported >= pace.progress) {
      reported = performance.now();
      const progress = { status: "IN_PROGRESS", output: runpodProgress(job) } as const;
      await postReport(settings, task.id, progress, how);
    }
  }
  return null;
}

/** Queues a job under its own id, so that one that comes again is not made twice. */
async function submit(task: RunpodTask, jobs: Jobs, over: AbortSignal): Promise<Job> {
  const request = requestOf(task.input, jobs, task.id);
  for (;;) {
    try {
      const job = await jobs.submit(request, { id: task.id, origin: "runpod" });
      // The platform gives a job once more when somebody wants it tried again.
      const again = job.state === "failed" || job.state === "canceled";
      return again ? await jobs.retry(job.id) ?? job : job;
    } catch (error) {
      const isPassing = error instanceof QueueFull || error instanceof Unavailable;
      if (!isPassing || over.aborted) throw error;
      await rest(error.retryAfter * 1000, over);
    }
  }
}

async function result(job: Job, jobs: Jobs): Promise<RunpodReport> {
  if (job.state === "succeeded") return { output: await runpodOutput(job, jobs) };
  return { error: job.error?.message ?? "The job was canceled." };
}

/** @throws {UsageError} When it asks for what cannot be. */
function requestOf(input: unknown, jobs: Jobs, key?: string): JobRequest {
  const { success, data, error } = serverlessInput(jobs).safeParse(input);
  if (success) return serverlessRequest(data, key);
  throw new UsageError(invalid(error).message);
}

function testTask(json: string, jobs: Jobs): { readonly request: JobRequest } {
  let task: unknown;
  try {
    task = JSON.parse(json);
  } catch {
    task = null;
  }
  if (typeof task === "object" && task !== null && "input" in task) {
    return { request: requestOf(task.input, jobs) };
  }
  throw new UsageError(
    `Option "--test_input" needs a job, as in '{"input": {"prompt": "a red circle"}}'.`,
  );
}

async function pingUntil(
  signal: AbortSignal,
  inHand: ReadonlyMap<string, unknown>,
  { settings, warn }: RunpodPullOptions,
): Promise<void> {
  if (settings.pingUrl === null) return;
  while (!signal.aborted) {
    await ping(settings, [...inHand.keys()], signal).catch((error) => {
      if (!signal.aborted) warn(`Cannot ping RunPod: ${sentence(error)}`);
    });
    await rest(settings.pingMs, signal);
  }
}

function sentence(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
