import { JobRun, type JobRunOptions } from "./job_run.ts";
import type { Outage } from "./outage.ts";
import { tellUnlessAway } from "./unavailable.ts";

export interface RunnerOptions extends Omit<JobRunOptions, "leaving" | "gone"> {
  /** Of the queue and the store: no jobs are taken while one of them is away. */
  readonly outages: readonly Outage[];
}

/** Milliseconds after which the queue is asked again: it may not report jobs that others have added. */
const ASK_MS = 500;

/** Milliseconds after an outage until jobs are taken: workers who have some, and could not say so, do first. */
const SETTLE_MS = 3000;

/** Milliseconds that are left at the end for what has not been stored or reported yet. */
const LEAVE_MS = 5000;

/** Takes jobs from the queue whenever there is a slot for them, and runs each to its end. */
export class Runner {
  readonly #runs = new Map<JobRun, Promise<void>>();
  readonly #runOptions: JobRunOptions;
  readonly #leaving = new AbortController();
  readonly #gone = new AbortController();
  #isStopped = false;
  /** Something to look at the queue for. */
  #changed = Promise.withResolvers<void>();
  readonly #loop: Promise<void>;
  readonly #unlisten: () => void;

  /** Begins at once. */
  constructor(private readonly options: RunnerOptions) {
    const { queue } = options;
    this.#runOptions = { ...options, leaving: this.#leaving.signal, gone: this.#gone.signal };
    // A job that waits, or an image that has left its slot.
    this.#unlisten = queue.listen(({ change, job }) =>
      (job.state === "queued" || change === "file") && this.wake()
    );
    this.#loop = this.#takeJobs();
  }

  /** Looks at the queue now: something has changed. */
  wake(): void {
    this.#changed.resolve();
  }

  /** Takes no more jobs. */
  stop(): void {
    this.#isStopped = true;
    this.wake();
  }

  /** Stops; jobs that are not done after so many milliseconds are given back, with how far they are. */
  async drain(graceMs: number): Promise<void> {
    this.stop();
    await this.#loop;
    const leave = setTimeout(() => {
      this.#leaving.abort();
      this.options.engine.save();
    }, graceMs);
    const go = setTimeout(() => this.#gone.abort(), graceMs + LEAVE_MS);
    await Promise.all(this.#runs.values());
    clearTimeout(leave);
    clearTimeout(go);
    this.#unlisten();
  }

  async #takeJobs(): Promise<void> {
    while (!this.#isStopped) {
      this.#changed = Promise.withResolvers();
      if (!await this.#takeJob()) await this.#change();
    }
  }

  /** @returns Whether there was a job and a slot for it. */
  async #takeJob(): Promise<boolean> {
    const { queue, engine, outages } = this.options;
    if (engine.slots === 0 || !outages.every((outage) => outage.isThere(SETTLE_MS))) return false;
    const runs = [...this.#runs.keys()];
    const alike = runs.map(({ job }) => job.request);
    // Where all slots are in use, a job that is more urgent comes before images of others: as many as there are slots.
    const above = priorities(runs)[engine.slots - 1];
    const lease = await queue.claim(above === undefined ? { alike } : { alike, above }).catch(
      (error) => {
        tellUnlessAway(error);
        return null;
      },
    );
    if (lease === null) return false;
    const run = new JobRun(lease, this.#runOptions);
    this.#runs.set(run, this.#follow(run));
    return true;
  }

  async #follow(run: JobRun): Promise<void> {
    try {
      await run.run();
    } catch (error) {
      // The end could not be reported: when the lease is over, it gives the job to somebody again.
      tellUnlessAway(error);
    }
    this.#runs.delete(run);
    this.wake();
  }

  async #change(): Promise<void> {
    const timer = setTimeout(() => this.wake(), ASK_MS);
    await this.#changed.promise;
    clearTimeout(timer);
  }
}

/** Of each image that is still to be made, the highest first. */
function priorities(runs: readonly JobRun[]): number[] {
  return runs.flatMap(({ open, job }) => Array<number>(open).fill(job.priority))
    .sort((a, b) => b - a);
}
