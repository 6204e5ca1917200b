/** What RunPod's clients get of a job that is not done: each picture and preview once, by asking again and again. */
import { isEnded, type Job, type JobFile } from "../../../jobs/job.ts";
import type { Jobs } from "../../../jobs/jobs.ts";
import { type RunpodFile, runpodFile } from "./job.ts";

/** Streams that are remembered; the oldest are forgotten, and begin again. */
const STREAMS = 1000;

/** Milliseconds after which who asks for a job that has ended is somebody else, who gets it from the start. */
const LATER_MS = 30_000;

/** What was given of one job. */
interface Given {
  files: number;
  /** When the end was given; null: not yet. */
  endedAt: number | null;
  /** Previews have one name for all steps: another size is another preview. */
  readonly previews: Map<string, number>;
}

export interface Chunk {
  readonly output: RunpodFile & { readonly preview: boolean };
}

/**
 * Remembers what was given. Clients that stream the same job share its chunks, as on RunPod. RunPod's client for Python goes on asking
 * until a job that has ended has nothing new.
 */
export class RunpodStreams {
  readonly #given = new Map<string, Given>();

  constructor(readonly jobs: Jobs) {}

  /** Waits for what was not given yet, or the job's end, so many milliseconds; null where there is no job. */
  async next(
    id: string,
    ms: number,
    signal: AbortSignal,
  ): Promise<{ readonly job: Job; readonly chunks: readonly Chunk[] } | null> {
    const given = this.#givenOf(id);
    this.#remember(id, given);
    let last: Job | null = null;
    const over = AbortSignal.any([signal, AbortSignal.timeout(ms)]);
    for await (const { job } of this.jobs.events(id, over)) {
      last = job;
      const fresh = takeFresh(job, given);
      if (isEnded(job)) {
        given.endedAt = performance.now();
        if (fresh.length === 0) this.#given.delete(id);
      }
      if (fresh.length > 0 || isEnded(job)) {
        return { job, chunks: await this.#chunks(id, fresh) };
      }
    }
    return last === null ? null : { job: last, chunks: [] };
  }

  async #chunks(
    id: string,
    fresh: readonly { readonly file: JobFile; readonly preview: boolean }[],
  ): Promise<Chunk[]> {
    const all = fresh.map(async ({ file, preview }) => {
      const output = await runpodFile(this.jobs, id, file);
      return output && { output: { ...output, preview } };
    });
    return (await Promise.all(all)).filter((chunk) => chunk !== null);
  }

  #givenOf(id: string): Given {
    const given = this.#given.get(id);
    const isOver = given === undefined ||
      given.endedAt !== null && performance.now() - given.endedAt > LATER_MS;
    return isOver ? { files: 0, endedAt: null, previews: new Map() } : given;
  }

  #remember(id: string, given: Given): void {
    this.#given.delete(id);
    this.#given.set(id, given);
    const [oldest] = this.#given.keys();
    if (this.#given.size > STREAMS) this.#given.delete(oldest!);
  }
}

/** Files that were not given, which now count as given. */
function takeFresh({ files, progress: { previews } }: Job, given: Given) {
  const results = files.slice(given.files).map((file) => ({ file, preview: false }));
  given.files = files.length;
  const changed = previews.filter(({ name, bytes }) => given.previews.get(name) !== bytes);
  for (const { name, bytes } of changed) given.previews.set(name, bytes);
  return [...changed.map((file) => ({ file, preview: true })), ...results];
}
