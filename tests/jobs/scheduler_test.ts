import assert from "node:assert/strict";
import { encodeLevels, encodingOf } from "../../src/jobs/encode_levels.ts";
import type {
  EncodedLevel,
  PictureEvent,
  PictureRequest,
  PictureTask,
  StepEvent,
} from "../../src/jobs/picture_task.ts";
import { StepScheduler } from "../../src/jobs/scheduler.ts";
import type { SavedPicture } from "../../src/pipeline/batch.ts";
import { Pipeline } from "../../src/pipeline/pipeline.ts";

const MODEL = "weights/shapes32";
const IDENTITY = { model: "shapes32", weights: "0" };
const OUTPUT = { levels: true, preview: false };

/** Pictures that differ in all that may differ within one step, and two that cannot share one with the others. */
const POOL: readonly PictureRequest[] = [
  { prompt: "a red circle", seed: 1n, steps: 3 },
  { prompt: "a small blue star in the top left on a yellow background", seed: 2n, steps: 2 },
  { prompt: "", seed: 3n, steps: 4, sampler: "ddim", eta: 0.7 },
  { prompt: "a ring", seed: 4n, steps: 3, sampler: "ddpm" },
  { prompt: "a red circle", seed: 5n, steps: 2, sampler: "ddim", guidance: 1 },
  { prompt: "a green cross", negative: "a star", seed: 6n, steps: 3, guidance: 7.5 },
  { prompt: "a white square", seed: 7n, steps: 3, guidanceInterval: [0.3, 0.7] },
  { prompt: "a ring", seed: 8n, steps: 1 },
  { prompt: "a red circle", seed: (1n << 64n) - 1n, steps: 17, guidance: 1 },
  { prompt: "a pink star", seed: 9n, steps: 2, threshold: "DYNAMIC" },
  { prompt: "a pink star", seed: 10n, steps: 3, cache: { every: 2 } },
];

/** A picture that is made alone, by the command's own way, as files. */
async function alone(pipeline: Pipeline, request: PictureRequest): Promise<EncodedLevel[]> {
  const resolved = pipeline.resolve(request);
  const encoding = encodingOf(OUTPUT, pipeline.folder.config);
  for await (const event of pipeline.generate(request)) {
    if (event.kind !== "picture") continue;
    const levels = [...event.picture.levels.keys()];
    return await encodeLevels(event.picture, levels, encoding, { resolved, model: IDENTITY });
  }
  throw new Error("No picture was made");
}

/** A scheduler at work, and what it has told. */
class Work implements AsyncDisposable {
  readonly events: (PictureEvent | StepEvent)[] = [];
  readonly scheduler: StepScheduler;
  /** Is called with every event. */
  onEvent: (event: PictureEvent | StepEvent) => void = () => {};
  /** Ends when the scheduler does. */
  readonly running: Promise<void>;

  constructor(pipeline: Pipeline, slots: number) {
    const emit = (event: PictureEvent | StepEvent) => {
      this.events.push(event);
      this.onEvent(event);
    };
    this.scheduler = new StepScheduler(pipeline, {
      slots,
      model: Promise.resolve(IDENTITY),
      emit,
    });
    this.running = this.scheduler.run();
  }

  /** Waits for the first event of a kind, of one task. */
  async until<K extends PictureEvent["kind"]>(
    kind: K,
    id: string,
  ): Promise<PictureEvent & { kind: K }> {
    const passes = (event: PictureEvent | StepEvent): event is PictureEvent & { kind: K } =>
      event.kind === kind && "id" in event && event.id === id;
    const there = this.events.find(passes);
    if (there !== undefined) return there;
    const { promise, resolve } = Promise.withResolvers<PictureEvent & { kind: K }>();
    this.onEvent = (event) => passes(event) && resolve(event);
    return await Promise.race([promise, this.running.then(() => promise)]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.scheduler.close();
    await this.running;
  }
}

/** Numbers from 0 to below n that look random and are always the same (mulberry32). */
function dice(seed: number): (n: number) => number {
  return (n) => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return Math.floor(((t ^ (t >>> 14)) >>> 0) / 2 ** 32 * n);
  };
}

function task(id: string, request: PictureRequest, more: Partial<PictureTask> = {}): PictureTask {
  return { id, request, output: OUTPUT, priority: 0, createdAt: 0, ...more };
}

/**
 * One random mix: a few pictures that come at random steps, with random priorities; some are canceled, and at some step all may be
 * saved and go on with another scheduler. All that are not canceled have to be as when they are made alone.
 */
async function mix(
  pipeline: Pipeline,
  expected: readonly (readonly EncodedLevel[])[],
  seed: number,
): Promise<void> {
  const roll = dice(seed);
  const tasks = Array.from({ length: 2 + roll(4) }, (_, i) => {
    const which = roll(POOL.length);
    const priority = roll(3);
    return { which, at: roll(6), ...task(`${i}`, POOL[which]!, { priority, createdAt: i }) };
  }).sort((a, b) => a.at - b.at);
  const canceled = new Set(tasks.filter(() => roll(6) === 0).map(({ id }) => id));
  const saveAt = roll(3) === 0 ? roll(8) : Infinity;
  const slots = 1 + roll(4);

  const ended = new Map<string, readonly EncodedLevel[]>();
  const saved = new Map<string, SavedPicture | null>();
  const isOpen = ({ id }: PictureTask) => !ended.has(id) && !canceled.has(id);
  let steps = 0;
  const watch = (work: Work, onEvent: (event: PictureEvent | StepEvent) => void) => {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    work.onEvent = (event) => {
      if (event.kind === "made") ended.set(event.id, event.files);
      if (event.kind === "saved") saved.set(event.id, event.saved);
      if (event.kind === "failed") reject(new Error(event.error.message));
      onEvent(event);
      if (tasks.every((one) => !isOpen(one) || saved.has(one.id))) resolve();
    };
    work.running.catch(reject);
    return promise;
  };
  {
    await using work = new Work(pipeline, slots);
    const coming = [...tasks];
    const come = () => {
      const isIdle = () => tasks.every((one) => coming.includes(one) || !isOpen(one));
      while (coming.length > 0 && (coming[0]!.at <= steps || isIdle())) {
        const next = coming.shift()!;
        work.scheduler.add(next);
        if (canceled.has(next.id)) work.scheduler.cancel(next.id);
      }
    };
    const done = watch(work, ({ kind }) => {
      if (kind === "progress" && ++steps === saveAt) {
        for (const one of coming.splice(0)) work.scheduler.add(one);
        work.scheduler.save();
      }
      come();
    });
    come();
    if (tasks.some(isOpen)) await done;
  }
  if (saved.size > 0) {
    await using work = new Work(pipeline, slots);
    const left = tasks.filter((one) => isOpen(one) && saved.has(one.id));
    const states = new Map(saved);
    saved.clear();
    const done = watch(work, () => {});
    for (const one of left) {
      const state = states.get(one.id);
      work.scheduler.add(state ? { ...one, saved: state } : one);
    }
    if (left.length > 0) await done;
  }
  for (const one of tasks.filter(({ id }) => !canceled.has(id))) {
    assert.deepEqual(ended.get(one.id), expected[one.which], `mix ${seed}, task ${one.id}`);
  }
}

Deno.test("a picture in any of 200 random mixes has the bytes of one that is made alone", async () => {
  await using pipeline = await Pipeline.load(MODEL);
  const expected: EncodedLevel[][] = [];
  for (const request of POOL) expected.push(await alone(pipeline, request));
  for (let seed = 0; seed < 200; seed++) await mix(pipeline, expected, seed);
});
