import { UsageError } from "../errors.ts";
import type { DescribedModel } from "../pipeline/models/built_in.ts";
import {
  isEnded,
  type Job,
  type JobOptions,
  type JobRequest,
  type RequestDefaults,
} from "./job.ts";
import type {
  Health,
  JobFilter,
  Jobs,
  KnownHealth,
  Limits,
  ModelCard,
  ModelVersion,
} from "./jobs.ts";
import { LONGEST_TIMER } from "./longest_timer.ts";
import { planJob, type PlannedJob } from "./plan_job.ts";
import { type Counts, type JobEvent, NotTaking, QueueFull } from "./queue/queue.ts";
import { asSeconds } from "./queue/retry_after.ts";
import type { WatchedQueue } from "./queue/watched_queue.ts";
import { removeFiles } from "./store/remove_files.ts";
import type { ByteRange, StoredFile } from "./store/store.ts";
import type { WatchedStore } from "./store/watched_store.ts";
import { Unavailable, unlessAway } from "./unavailable.ts";

/** How the worker of this process is; see {@linkcode Health}. */
export type WorkerHealth = Omit<KnownHealth, "away">;

/** What jobs need. */
export interface JobServiceOptions {
  readonly queue: WatchedQueue;
  readonly store: WatchedStore;
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

/** Jobs that may have been queued although nobody was told, as many as are remembered. */
const DOUBTFUL = 1000;

const NONE: Counts = {
  queued: 0,
  running: 0,
  succeeded: 0,
  failed: 0,
  canceled: 0,
  retried: 0,
};

/** Jobs of a queue and a store, within limits. */
export class JobService implements Jobs {
  readonly #closed = new AbortController();
  #counts = NONE;
  #doubtful = 0;

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
    const { request, plan } = this.#resolve({ ...this.defaults, ...asked });
    const createdAt = Date.now();
    const id = options.id ?? crypto.randomUUID();
    try {
      return await this.options.queue.add({
        ...options,
        id,
        request,
        createdAt,
        beginBy: createdAt + this.limits.queueMs,
      });
    } catch (error) {
      const isKnown = options.id !== undefined || options.idempotencyKey !== undefined;
      if (error instanceof Unavailable && !isKnown) this.#withdraw(id);
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
    const { queue, store } = this.options;
    // What is forgotten would leave its files behind.
    if (store.outage.reason !== null) throw new Unavailable(store.outage.reason);
    if (!await queue.remove(id)) return false;
    await removeFiles(store, [id]);
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
    const { queue } = this.options;
    if (queue.outage.reason === null) {
      this.#counts = await unlessAway(queue.counts(), this.#counts);
    }
    return { ...this.knownHealth(), jobs: this.#counts };
  }

  knownHealth(): KnownHealth {
    const [reason = null] = this.#outages.flatMap(({ reason }) => reason ?? []);
    return { ...this.options.worker(), away: reason };
  }

  async look(): Promise<string | null> {
    const reasons = await Promise.all(this.#outages.map((outage) => outage.look()));
    return reasons.find((reason) => reason !== null) ?? null;
  }

  get #outages() {
    return [this.options.queue.outage, this.options.store.outage];
  }

  /** Whoever asked for it was told that it was not queued, and knows no id: if only the answer was lost, nobody wants it. */
  #withdraw(id: string): void {
    const { queue } = this.options;
    if (this.#doubtful >= DOUBTFUL) return;
    this.#doubtful++;
    queue.outage.afterwards(async () => {
      await queue.cancel(id);
      await queue.remove(id);
      this.#doubtful--;
    });
  }

  /** What the queue could only guess, by how long steps took here: as if the jobs that run were like this one. */
  #better(full: QueueFull, { images, steps }: PlannedJob): QueueFull {
    const { stepMs, slots } = this.options.worker();
    if (stepMs === null) return full;
    const rounds = Math.ceil(images.length / Math.max(1, slots.all));
    return new QueueFull(full.limit, asSeconds(stepMs * steps * rounds));
  }

  /**
   * Checks a request. Where it does not say how many steps, they are no more than the server takes.
   *
   * @throws {UsageError} When the model cannot do what is asked for, or it is over a limit.
   */
  #resolve(
    asked: JobRequest,
  ): { readonly request: JobRequest; readonly plan: PlannedJob } {
    const { prompts, negative = "", count } = asked;
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
        } images: ${pictures} are the most that this server makes of one job.`,
      );
    }
    const plan = planJob(asked, this.options.model);
    const isOver = plan.steps > steps;
    if (isOver && asked.steps !== undefined) {
      throw new UsageError(
        `The job asks for ${plan.steps} steps: ${steps} are the most that this server takes.`,
      );
    }
    if (plan.size ** 2 > pixels) {
      throw new UsageError(
        `The job asks for a size of ${plan.size}: ${
          Math.floor(Math.sqrt(pixels))
        } is the most that this server makes.`,
      );
    }
    if (!isOver) return { request: asked, plan };
    const request = { ...asked, steps };
    return { request, plan: planJob(request, this.options.model) };
  }
}

/** Whether an event says no more than one that came after it: another progress, or preview of the same level. */
function isOlder(event: JobEvent, newer: JobEvent): boolean {
  if (event.change !== newer.change) return false;
  if (event.change === "progress") return true;
  return event.change === "preview" && event.file?.picture === newer.file?.picture &&
    event.file?.level === newer.file?.level;
}
