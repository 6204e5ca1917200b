import { UsageError } from "../errors.ts";
import type { DescribedModel } from "../pipeline/built_in.ts";
import {
  isEnded,
  type Job,
  type JobOptions,
  type JobRequest,
  type RequestDefaults,
} from "./job.ts";
import type { Health, JobFilter, Jobs, Limits, ModelCard, ModelVersion } from "./jobs.ts";
import { LONGEST_TIMER } from "./longest_timer.ts";
import { planJob, type PlannedJob } from "./pictures.ts";
import { type JobEvent, type JobQueue, NotTaking, QueueFull } from "./queue/queue.ts";
import { asSeconds } from "./queue/retry_after.ts";
import type { ByteRange, ResultStore, StoredFile } from "./store/store.ts";

/** How the worker of this process is; see {@linkcode Health}. */
export type WorkerHealth = Omit<Health, "jobs">;

/** What jobs need. */
export interface JobServiceOptions {
  readonly queue: JobQueue;
  readonly store: ResultStore;
  readonly model: Pick<DescribedModel, "config" | "diffusion">;
  readonly card: ModelCard;
  readonly version: () => Promise<ModelVersion>;
  readonly limits: Limits;
  /** Absent: none, each model takes its own. */
  readonly defaults?: RequestDefaults;
  readonly worker: () => WorkerHealth;
}

/** Milliseconds that one who cancels a job waits for its worker to let go of it: RunPod's clients leave after three seconds. */
const CANCEL_MS = 2000;

/** Jobs of a queue and a store, within limits. */
export class JobService implements Jobs {
  readonly #closed = new AbortController();

  constructor(private readonly options: JobServiceOptions) {}

  /** Ends all events, and waits, after what has been heard: nobody follows jobs here any more. */
  close(): void {
    this.#closed.abort();
  }

  get model(): ModelCard {
    return this.options.card;
  }

  get limits(): Limits {
    return this.options.limits;
  }

  version(): Promise<ModelVersion> {
    return this.options.version();
  }

  get defaults(): RequestDefaults {
    return this.options.defaults ?? {};
  }

  async submit(asked: JobRequest, options: JobOptions = {}): Promise<Job> {
    if (this.options.worker().worker === "draining") throw new NotTaking();
    const request = { ...this.defaults, ...asked };
    const plan = this.#check(request);
    const createdAt = Date.now();
    try {
      return await this.options.queue.add({
        ...options,
        id: options.id ?? crypto.randomUUID(),
        request,
        createdAt,
        beginBy: createdAt + this.limits.queueMs,
      });
    } catch (error) {
      throw error instanceof QueueFull && error.isGuess ? this.#better(error, plan) : error;
    }
  }

  get(id: string): Promise<Job | null> {
    return this.options.queue.get(id);
  }

  list(filter: JobFilter = {}): Promise<Job[]> {
    return this.options.queue.list(filter);
  }

  position(id: string): Promise<number> {
    return this.options.queue.position(id);
  }

  async cancel(id: string): Promise<Job | null> {
    const job = await this.options.queue.cancel(id);
    // Its worker has yet to hear of it.
    return job?.state === "running" ? await this.wait(id, CANCEL_MS) : job;
  }

  retry(id: string): Promise<Job | null> {
    return this.options.queue.retry(id);
  }

  purge(origin: string): Promise<number> {
    return this.options.queue.purge(origin);
  }

  async remove(id: string): Promise<boolean> {
    if (!await this.options.queue.remove(id)) return false;
    await this.options.store.remove(id);
    return true;
  }

  async *events(id: string, signal: AbortSignal): AsyncIterableIterator<JobEvent> {
    const coming: JobEvent[] = [];
    let wake = () => {};
    const unlisten = this.options.queue.listen((event) => {
      if (event.job.id !== id) return;
      // What is newer says all that older ones do: a slow reader must not make memory grow.
      const older = coming.findIndex((other) => isOlder(other, event));
      if (older >= 0) coming.splice(older, 1);
      coming.push(event);
      wake();
    });
    const over = AbortSignal.any([signal, this.#closed.signal]);
    const stop = () => wake();
    over.addEventListener("abort", stop);
    try {
      const job = await this.get(id);
      if (job === null) return;
      yield { change: "state", job };
      if (isEnded(job)) return;
      while (true) {
        const event = coming.shift();
        if (event === undefined) {
          if (over.aborted) return;
          await new Promise<void>((resolve) => wake = resolve);
          continue;
        }
        yield event;
        if (isEnded(event.job)) return;
      }
    } finally {
      unlisten();
      over.removeEventListener("abort", stop);
    }
  }

  async wait(id: string, ms: number, signal?: AbortSignal): Promise<Job | null> {
    const over = new AbortController();
    const timer = setTimeout(() => over.abort(), Math.min(ms, LONGEST_TIMER));
    const until = signal === undefined ? over.signal : AbortSignal.any([over.signal, signal]);
    let last: Job | null = null;
    try {
      for await (const { job } of this.events(id, until)) last = job;
    } finally {
      clearTimeout(timer);
    }
    return last;
  }

  async read(id: string, name: string, range?: ByteRange): Promise<StoredFile | null> {
    return await this.options.store.get(id, name, range);
  }

  async link(id: string, name: string): Promise<string | null> {
    return await this.options.store.link(id, name);
  }

  async health(): Promise<Health> {
    return { ...this.options.worker(), jobs: await this.options.queue.counts() };
  }

  /** What the queue could only guess, by how long steps took here: as if the jobs that run were like this one. */
  #better(full: QueueFull, { pictures, steps }: PlannedJob): QueueFull {
    const { stepMs, slots } = this.options.worker();
    if (stepMs === null) return full;
    const rounds = Math.ceil(pictures.length / Math.max(1, slots.all));
    return new QueueFull(full.limit, asSeconds(stepMs * steps * rounds));
  }

  /** @throws {UsageError} When the model cannot do what is asked for, or it is over a limit. */
  #check(request: JobRequest): PlannedJob {
    const { prompts, negative = "", count } = request;
    const { promptLength, pictures, steps, pixels } = this.limits;
    const longest = Math.max(negative.length, ...prompts.map(({ length }) => length));
    if (longest > promptLength) {
      throw new UsageError(
        `The prompt has ${longest} letters: ${promptLength} are the most that this server takes.`,
      );
    }
    if (prompts.length * count > pictures) {
      throw new UsageError(
        `The job asks for ${
          prompts.length * count
        } pictures: ${pictures} are the most that this server makes of one job.`,
      );
    }
    const planned = planJob(request, this.options.model);
    if (planned.steps > steps) {
      throw new UsageError(
        `The job asks for ${planned.steps} steps: ${steps} are the most that this server takes.`,
      );
    }
    if (planned.size ** 2 > pixels) {
      throw new UsageError(
        `The job asks for a size of ${planned.size}: ${
          Math.floor(Math.sqrt(pixels))
        } is the most that this server makes.`,
      );
    }
    return planned;
  }
}

/** Whether an event says no more than one that came after it: another progress, or preview of the same level. */
function isOlder(event: JobEvent, newer: JobEvent): boolean {
  if (event.change !== newer.change) return false;
  if (event.change === "progress") return true;
  return event.change === "preview" && event.file?.picture === newer.file?.picture &&
    event.file?.level === newer.file?.level;
}
