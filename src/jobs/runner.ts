import { JobRun, type JobRunOptions, type PictureMaker } from "./job_run.ts";
import type { Outage } from "./outage.ts";
import { tellUnlessAway } from "./unavailable.ts";

/** A maker that can be told to stop. */
export interface StoppableMaker extends PictureMaker {
  /** Pictures that it makes at a time; 0: it is not ready. */
  readonly slots: number;
  /** Has all pictures end as "saved". */
  save(): void;
}

export interface RunnerOptions extends Omit<JobRunOptions, "leaving" | "gone"> {
  readonly maker: StoppableMaker;
  /** Of the queue and the store: no jobs are taken while one of them is away. */
  readonly outages: readonly Outage[];
}

/** Milliseconds after which the queue is asked again: it may not tell of jobs that others have added. */
const ASK_MS = 500;

/** Milliseconds after an outage until jobs are taken: workers who have some, and could not say so, do first. */
const SETTLE_MS = 3000;

/** Milliseconds that are left at the end for what has not been kept or told yet. */
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
    const { queue, maker } = options;
    const make: PictureMaker["make"] = async (task, ways) =>
      // What comes after all pictures were stopped would go on for ever.
      this.#leaving.signal.aborted
        ? { kind: "saved", id: "", saved: task.saved ?? null }
        : await maker.make(task, ways);
    const own: PictureMaker = {
      make,
      get stepMs() {
        return maker.stepMs;
      },
    };
    const [leaving, gone] = [this.#leaving.signal, this.#gone.signal];
    this.#runOptions = { ...options, maker: own, leaving, gone };
    // A job that waits, or a picture that has left its slot.
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
      this.options.maker.save();
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
    const { queue, maker, outages } = this.options;
    if (maker.slots === 0 || !outages.every((outage) => outage.isThere(SETTLE_MS))) return false;
    const runs = [...this.#runs.keys()];
    const alike = runs.map(({ job }) => job.request);
    // Where all slots are in use, a job that is more urgent comes before pictures of others: as many as there are slots.
    const above = priorities(runs)[maker.slots - 1];
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
      // The queue could not be told: when the lease is over, it gives the job to somebody again.
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

/** Of each picture that is still to be made, the highest first. */
function priorities(runs: readonly JobRun[]): number[] {
  return runs.flatMap(({ open, job }) => Array<number>(open).fill(job.priority))
    .sort((a, b) => b - a);
}
