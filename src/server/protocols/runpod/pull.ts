/** A worker in a container of RunPod's: takes jobs from the platform's queue and tells it how they go. */
import { z } from "../../../deps/zod_openapi.ts";
import { MdmError, UsageError } from "../../../errors.ts";
import { isEnded, type Job, type JobRequest } from "../../../jobs/job.ts";
import type { Jobs } from "../../../jobs/jobs.ts";
import { QueueFull } from "../../../jobs/queue/queue.ts";
import { Unavailable } from "../../../jobs/unavailable.ts";
import { backoffMs } from "../../../net/backoff.ts";
import { reasonOf } from "../../http/without_queries.ts";
import { JOB_ID } from "../find_job.ts";
import { asHttpError, invalid } from "../../http/http_error.ts";
import type { RunpodTask } from "./answers.ts";
import { runpodFile, runpodOutput, runpodProgress } from "./job.ts";
import {
  ping,
  postChunk,
  postReport,
  rest,
  type RunpodReport,
  type RunpodSettings,
  stopUrl,
  takeStops,
  takeTasks,
} from "./platform.ts";
import { serverlessInput, serverlessRequest } from "../../input/serverless_input.ts";

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

/** A job that was taken from the platform. */
interface Held {
  /** Aborted: the platform does not want it any more. */
  readonly stop: AbortController;
  readonly done: Promise<void>;
}

/** Those that were taken, by the platform's ids. */
type InHand = Map<string, Held>;

/** Works for RunPod until told to stop; as many jobs at a time as there are free slots. */
export async function pullRunpodJobs(jobs: Jobs, options: RunpodPullOptions): Promise<void> {
  const inHand: InHand = new Map();
  const ended = new AbortController();
  const beside = Promise.all([
    pingUntil(ended.signal, inHand, options),
    hearStops(ended.signal, inHand, options),
  ]);
  try {
    await takeUntilStopped(jobs, inHand, options);
    await Promise.all(inHand.values().map(({ done }) => done));
  } finally {
    ended.abort();
    await beside;
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
  inHand: InHand,
  options: RunpodPullOptions,
): Promise<void> {
  const { settings, signal, warn, pace = PACE } = options;
  let failures = 0;
  while (!signal.aborted) {
    const begun = performance.now();
    try {
      const count = await freeSlots(jobs, inHand.size);
      if (count === 0) {
        const done = inHand.values().map(({ done }) => done);
        await Promise.race([rest(pace.empty, signal), ...done]);
        continue;
      }
      const taken = await takeTasks(settings, { count, busy: inHand.size > 0 }, signal);
      failures = 0;
      if (taken === "later") {
        await rest(pace.tooMany, signal);
        continue;
      }
      const { tasks, nameless } = taken;
      tasks.forEach((task) => hold(task));
      if (nameless > 0) {
        warn(`RunPod sent ${nameless} of ${nameless + tasks.length} jobs without an id.`);
      }
      if (tasks.length === 0) await rest(pace.empty - (performance.now() - begun), signal);
    } catch (error) {
      if (signal.aborted) return;
      warn(`Cannot take jobs from RunPod: ${reasonOf(error)}`);
      await rest(backoffMs(++failures, { firstMs: pace.failure, longestMs: pace.longest }), signal);
    }
  }

  function hold(task: RunpodTask): void {
    // The platform repeats itself where it was not sure that it was heard.
    if (inHand.has(task.id)) return;
    const stop = new AbortController();
    const done = work(task, jobs, options, stop.signal).finally(() => inHand.delete(task.id));
    inHand.set(task.id, { stop, done });
  }
}

async function freeSlots(jobs: Jobs, inHand: number): Promise<number> {
  const { worker, slots, jobs: { queued }, away } = await jobs.health();
  if (worker !== "ready" || away !== null) return 0;
  return Math.max(0, slots.all - Math.max(slots.busy + queued, inHand));
}

/** All that is done for one job. It throws nothing. */
async function work(
  task: RunpodTask,
  jobs: Jobs,
  options: RunpodPullOptions,
  stop: AbortSignal,
): Promise<void> {
  const { over, warn } = options;
  const signal = AbortSignal.any([over, stop]);
  const report = await outcome(task, jobs, options, signal).catch((error): RunpodReport => {
    if (!(error instanceof MdmError)) warn(`${nameOf(task)} failed: ${reasonOf(error)}`);
    return { error: asHttpError(error).message };
  });
  if (report !== null && !signal.aborted) await tellEnd(task, report, options, signal);
  // Of one that was to stop nothing is told, as RunPod's worker does.
  if (stop.aborted && JOB_ID.test(task.id)) {
    await jobs.cancel(task.id).catch((error) => {
      warn(`${nameOf(task)} cannot be stopped: ${reasonOf(error)}`);
    });
  }
}

/** Tells how a job ended: where the platform does not take its result, at least that. */
async function tellEnd(
  task: RunpodTask,
  report: RunpodReport,
  { settings, warn, pace = PACE }: RunpodPullOptions,
  signal: AbortSignal,
): Promise<void> {
  const how = { streamed: settings.streamUrl !== null, retryMs: pace.retry, signal };
  let told = await postReport(settings, task.id, report, how);
  if (told === "refused" && "output" in report) {
    const { length } = JSON.stringify(report);
    warn(`RunPod refused the result of ${length} bytes. ${nameOf(task)} is told to have failed.`);
    const error =
      `RunPod did not take the result of ${length} bytes: ask for fewer or smaller pictures, or have the worker keep results in S3 (--results s3://...).`;
    told = await postReport(settings, task.id, { error }, how);
  }
  if (told !== "heard" && !signal.aborted) warn(`${nameOf(task)}: RunPod did not take its result.`);
}

/** Follows a job to its end; null where it was left, or is to stop. */
async function outcome(
  task: RunpodTask,
  jobs: Jobs,
  options: RunpodPullOptions,
  signal: AbortSignal,
): Promise<RunpodReport | null> {
  const { pace = PACE } = options;
  const { id } = await submit(task, jobs, signal);
  while (!signal.aborted) {
    try {
      return await follow(task, id, jobs, options, signal);
    } catch (error) {
      // The job goes on, or will.
      if (!(error instanceof Unavailable)) throw error;
      await rest(pace.failure, signal);
    }
  }
  return null;
}

async function follow(
  task: RunpodTask,
  id: string,
  jobs: Jobs,
  { settings, pace = PACE }: RunpodPullOptions,
  signal: AbortSignal,
): Promise<RunpodReport | null> {
  const how = { streamed: false, retryMs: pace.retry, signal };
  let reported = -Infinity;
  for await (const { change, job, file } of jobs.events(id, signal)) {
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
async function submit(task: RunpodTask, jobs: Jobs, signal: AbortSignal): Promise<Job> {
  if (!JOB_ID.test(task.id)) {
    throw new UsageError(
      `The job's id has to be 1 to 128 letters (a to z), digits, "-" and "_": give it another one.`,
    );
  }
  const request = requestOf(task.input, jobs, task.id);
  for (;;) {
    try {
      const job = await jobs.submit(request, { id: task.id, origin: "runpod" });
      // The platform gives a job once more when somebody wants it tried again.
      const again = job.state === "failed" || job.state === "canceled";
      return again ? await jobs.retry(job.id) ?? job : job;
    } catch (error) {
      const isPassing = error instanceof QueueFull || error instanceof Unavailable;
      if (!isPassing || signal.aborted) throw error;
      await rest(error.retryAfter * 1000, signal);
    }
  }
}

async function result(job: Job, jobs: Jobs): Promise<RunpodReport> {
  if (job.state === "succeeded") return { output: await runpodOutput(job, jobs) };
  return { error: job.error?.message ?? "The job was canceled." };
}

/** @throws {UsageError} When it asks for what cannot be. */
function requestOf(input: unknown, jobs: Jobs, key?: string): JobRequest {
  const task = z.object({ input: serverlessInput(jobs) });
  const { success, data, error } = task.safeParse({ input });
  if (success) return serverlessRequest(data.input, key);
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

/** Stops those in hand that the platform says are to stop, until told that there are none any more. */
async function hearStops(
  signal: AbortSignal,
  inHand: InHand,
  { settings, warn, pace = PACE }: RunpodPullOptions,
): Promise<void> {
  const url = stopUrl(settings);
  let failures = 0;
  while (url !== null && !signal.aborted) {
    const begun = performance.now();
    if (inHand.size === 0) {
      await rest(pace.empty, signal);
      continue;
    }
    try {
      const ids = await takeStops(url, settings, signal);
      failures = 0;
      if (ids === "later") {
        await rest(pace.tooMany, signal);
        continue;
      }
      for (const id of ids) inHand.get(id)?.stop.abort();
      await rest(pace.empty - (performance.now() - begun), signal);
    } catch (error) {
      if (signal.aborted) return;
      // Once is enough: a platform that has no such channel says so every time.
      if (failures === 0) warn(`Cannot hear from RunPod which jobs to stop: ${reasonOf(error)}`);
      await rest(backoffMs(++failures, { firstMs: pace.failure, longestMs: pace.longest }), signal);
    }
  }
}

async function pingUntil(
  signal: AbortSignal,
  inHand: ReadonlyMap<string, unknown>,
  { settings, warn }: RunpodPullOptions,
): Promise<void> {
  if (settings.pingUrl === null) return;
  while (!signal.aborted) {
    await ping(settings, [...inHand.keys()], signal).catch((error) => {
      if (!signal.aborted) warn(`Cannot ping RunPod: ${reasonOf(error)}`);
    });
    await rest(settings.pingMs, signal);
  }
}

/** How a job is called in warnings: its id is the platform's, and may be anything. */
function nameOf({ id }: RunpodTask): string {
  return `Job ${JOB_ID.test(id) ? id : JSON.stringify(id.slice(0, 128))} of RunPod`;
}
