/** Those who want to hear of jobs, and what they have heard: queues say what jobs are like, they are told what has changed. */
import { isEnded, type Job } from "../job.ts";
import type { JobEvent } from "./queue.ts";

/** Called with each change. */
export type Listener = (event: JobEvent) => void;

/** Tells listeners of changes, by what was known of a job before. */
export class Listeners {
  readonly #listeners = new Set<Listener>();
  readonly #known = new Map<string, Job>();

  get size(): number {
    return this.#listeners.size;
  }

  add(listener: Listener): void {
    this.#listeners.add(listener);
  }

  remove(listener: Listener): void {
    this.#listeners.delete(listener);
    if (this.size === 0) this.#known.clear();
  }

  /** Notes how jobs are now, without telling. */
  note(jobs: Iterable<Job>): void {
    for (const job of jobs) this.#known.set(job.id, job);
  }

  /** Tells what has changed in a job. */
  tell(job: Job): void {
    const events = changes(this.#known.get(job.id), job);
    if (isEnded(job)) this.#known.delete(job.id);
    else this.#known.set(job.id, job);
    for (const event of events) this.#listeners.forEach((listener) => listener(event));
  }
}

/** What happened between two sights of a job, an end last; of one that was not known: its state. */
function changes(before: Job | undefined, job: Job): JobEvent[] {
  if (before === undefined) return [{ change: "state", job }];
  const had = new Set([...before.files, ...before.progress.previews].map((f) => JSON.stringify(f)));
  const isNew = (file: object) => !had.has(JSON.stringify(file));
  const state: JobEvent[] = before.state !== job.state || before.attempts !== job.attempts
    ? [{ change: "state", job }]
    : [];
  const { step, steps, etaMs, previews } = job.progress;
  const was = before.progress;
  const progressed = was.step !== step || was.steps !== steps || was.etaMs !== etaMs;
  return [
    ...isEnded(job) ? [] : state,
    ...progressed && state.length === 0 ? [{ change: "progress", job } as const] : [],
    ...previews.filter(isNew).map((file) => ({ change: "preview", job, file } as const)),
    ...job.files.filter(isNew).map((file) => ({ change: "file", job, file } as const)),
    ...isEnded(job) ? state : [],
  ];
}
