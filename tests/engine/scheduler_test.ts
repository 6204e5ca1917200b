import assert from "../assert.ts";
import { mock } from "node:test";
import { MdmError } from "../../src/errors.ts";
import { encodeLevels, encodingOf } from "../../src/engine/encode_levels.ts";
import type {
  EncodedLevel,
  ImageEvent,
  ImageTask,
  StepEvent,
} from "../../src/engine/image_task.ts";
import { StepScheduler } from "../../src/engine/scheduler.ts";
import { Batch } from "../../src/pipeline/batch.ts";
import type { DescribedModel } from "../../src/pipeline/models/built_in.ts";
import { Pipeline } from "../../src/pipeline/pipeline.ts";
import {
  type GenerateRequest,
  type ResolvedRequest,
  resolveRequest,
} from "../../src/pipeline/request.ts";
import type { SamplerState } from "../../src/pipeline/sampler_state.ts";
import { MODEL as DESCRIBED } from "../jobs/job_place.ts";
import { makeVideoModel } from "../video_model.ts";
import { within } from "../within.ts";

const MODEL = "weights/shapes32";
const IDENTITY = { model: "shapes32", weights: "0" };

/** The request of one image. */
type ImageRequest = GenerateRequest & { readonly prompt: string; readonly seed: bigint };

/** Small images that differ in all that may differ within one step, and two that cannot share one with the others. */
const POOL = ([
  { prompt: "a red circle", seed: 1n, steps: 3 },
  { prompt: "a small blue star in the top left on a yellow background", seed: 2n, steps: 2 },
  { prompt: "", seed: 3n, steps: 4, sampler: "ddim", eta: 0.7 },
  { prompt: "a ring", seed: 4n, steps: 3, sampler: "ddpm" },
  { prompt: "a red circle", seed: 5n, steps: 2, sampler: "ddim", guidance: 1 },
  { prompt: "a green cross", negative: "a star", seed: 6n, steps: 3, guidance: 7.5 },
  { prompt: "a white square", seed: 7n, steps: 3, guidanceInterval: [0.3, 0.7] },
  { prompt: "a ring ".repeat(10), seed: 8n, steps: 1 },
  { prompt: "a red circle", seed: (1n << 64n) - 1n, steps: 17, guidance: 1 },
  { prompt: "a pink star", seed: 9n, steps: 2, threshold: "DYNAMIC" },
  { prompt: "a pink star", seed: 10n, steps: 3, cache: { every: 2 } },
] satisfies ImageRequest[]).map((request): ImageRequest => ({ ...request, size: 16 }));

/** An image that is made alone, by the command's own way, as files. */
async function alone(pipeline: Pipeline, request: ImageRequest): Promise<EncodedLevel[]> {
  const resolved = pipeline.resolve(request);
  const encoding = encodingOf({}, pipeline.folder.config);
  for await (const event of pipeline.run(resolved)) {
    if (event.kind !== "image") continue;
    const levels = [...event.image.levels.keys()];
    return await encodeLevels(event.image, levels, encoding, { resolved, model: IDENTITY });
  }
  throw new Error("No image was made");
}

/** A scheduler at work, and what it has reported. */
class Work implements AsyncDisposable {
  readonly events: (ImageEvent | StepEvent)[] = [];
  readonly scheduler: StepScheduler;
  /** Is called with every event. */
  onEvent: (event: ImageEvent | StepEvent) => void = () => {};
  /** Ends when the scheduler does. */
  readonly running: Promise<void>;

  constructor(pipeline: Pipeline, slots: number) {
    const emit = (event: ImageEvent | StepEvent) => {
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
  async until<K extends ImageEvent["kind"]>(
    kind: K,
    id: string,
  ): Promise<ImageEvent & { kind: K }> {
    const passes = (event: ImageEvent | StepEvent): event is ImageEvent & { kind: K } =>
      event.kind === kind && "id" in event && event.id === id;
    const there = this.events.find(passes);
    if (there !== undefined) return there;
    const { promise, resolve } = Promise.withResolvers<ImageEvent & { kind: K }>();
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

function task(
  id: string,
  request: ImageRequest,
  { config, diffusion, ...more }:
    & Partial<ImageTask>
    & Partial<Pick<DescribedModel, "config" | "diffusion">> = {},
): ImageTask {
  const [model, steps] = [config ?? DESCRIBED.config, diffusion ?? DESCRIBED.diffusion];
  const output = { levels: true, preview: false, encoding: encodingOf({}, model) };
  const resolved = resolveRequest(request, model, steps);
  return { id, resolved, output, priority: 0, createdAt: 0, ...more };
}

/** What of a model tasks are resolved with. */
function described({ config, diffusion }: Pick<DescribedModel, "config" | "diffusion">) {
  return { config, diffusion };
}

/**
 * One random mix: a few images that come at random steps, with random priorities; some are canceled on the way, and at some step all may
 * be saved and go on with another scheduler. All that are not canceled have to be as when they are made alone.
 */
async function mix(
  pipeline: Pipeline,
  expected: readonly (readonly EncodedLevel[])[],
  seed: number,
): Promise<void> {
  const roll = dice(seed);
  const tasks = Array.from({ length: 3 + roll(4) }, (_, i) => {
    const which = roll(POOL.length);
    const [at, priority] = [roll(6), roll(3)];
    const cancelAt = roll(5) === 0 ? at + roll(6) : Infinity;
    return {
      ...{ which, at, cancelAt },
      ...task(`${i}`, POOL[which]!, { priority, createdAt: i }),
    };
  }).sort((a, b) => a.at - b.at);
  const saveAt = roll(3) === 0 ? 1 + roll(8) : Infinity;
  const slots = 1 + roll(4);

  const ended = new Map<string, readonly EncodedLevel[]>();
  const canceled = new Set<string>();
  const saved = new Map<string, SamplerState | null>();
  const isOpen = ({ id }: ImageTask) => !ended.has(id) && !canceled.has(id);
  let steps = 0;
  /** Ends when all images have, or are saved. */
  const watch = (work: Work, onEvent: (event: ImageEvent | StepEvent) => void = () => {}) => {
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
        work.scheduler.add(coming.shift()!);
        leave();
      }
    };
    const leave = () => {
      for (const one of tasks) {
        if (one.cancelAt > steps || coming.includes(one) || !isOpen(one)) continue;
        work.scheduler.cancel(one.id);
        canceled.add(one.id);
      }
    };
    const done = watch(work, ({ kind }) => {
      if (kind === "progress" && ++steps === saveAt) {
        for (const one of coming.splice(0)) work.scheduler.add(one);
        work.scheduler.save();
      }
      if (steps >= saveAt) return;
      leave();
      come();
    });
    come();
    if (tasks.some(isOpen)) await within(120, `mix ${seed}`, done);
  }
  if (saved.size > 0) {
    await using work = new Work(pipeline, slots);
    const states = new Map(saved);
    saved.clear();
    const done = watch(work);
    for (const one of tasks.filter(isOpen)) {
      const state = states.get(one.id);
      work.scheduler.add(state ? { ...one, saved: state } : one);
    }
    if (tasks.some(isOpen)) await within(120, `mix ${seed}`, done);
  }
  for (const { id, which } of tasks) {
    if (canceled.has(id)) continue;
    assert.deepEqual(ended.get(id), expected[which], `mix ${seed}, task ${id}`);
  }
}

const RED: ImageRequest = { prompt: "a red circle", seed: 1n, steps: 3, guidance: 1, size: 16 };

/** What happened to images: "began a". */
function told(work: Work, ...kinds: readonly ImageEvent["kind"][]): string[] {
  return work.events.flatMap((event) =>
    "id" in event && kinds.includes(event.kind) ? [`${event.kind} ${event.id}`] : []
  );
}

function stepOf(event: ImageEvent | StepEvent): number {
  return event.kind === "progress" ? event.step : 0;
}

/** Calls back once an image has done so many steps. */
async function atStep(work: Work, id: string, step: number, act: () => void): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  work.onEvent = (event) => {
    if (!("id" in event) || event.id !== id || stepOf(event) !== step) return;
    act();
    resolve();
  };
  await promise;
}

Deno.test("an image that is canceled leaves its slot and the batch", async (t) => {
  await using pipeline = await Pipeline.load(MODEL);
  const fresh = (slots: number) => new Work(pipeline, slots);

  await t.step("one that is canceled while others run leaves the batch to them", async () => {
    await using work = fresh(3);
    const { step } = Batch.prototype;
    const together: number[] = [];
    const { mock: watched } = mock.method(
      Batch.prototype,
      "step",
      function (this: Batch, ...how: Parameters<typeof step>) {
        together.push(this.images.length);
        return step.apply(this, how);
      },
    );
    for (const id of ["gone", "stays"]) work.scheduler.add(task(id, { ...RED, steps: 5 }));
    await atStep(work, "gone", 2, () => work.scheduler.cancel("gone"));
    await work.until("made", "stays");
    watched.restore();
    assert.deepEqual(together, [2, 2, 1, 1, 1]);
    assert.deepEqual(told(work, "made"), ["made stays"]);
    assert.equal(work.events.filter((e) => "id" in e && e.id === "gone").map(stepOf).at(-1), 2);
  });

  await t.step("one that is canceled leaves its slot at the next step", async () => {
    await using work = fresh(1);
    work.scheduler.add(task("long", { ...RED, steps: 60 }));
    work.scheduler.add(task("next", RED, { createdAt: 1 }));
    work.scheduler.add(task("never", RED, { createdAt: 2 }));
    await atStep(work, "long", 5, () => {
      work.scheduler.cancel("long");
      work.scheduler.cancel("never");
    });
    await work.until("made", "next");
    assert.equal(Math.max(...work.events.map(stepOf)), 5);
    assert.deepEqual(told(work, "began", "made", "saved", "failed"), [
      "began long",
      "began next",
      "made next",
    ]);
  });
});

Deno.test("a scheduler fills its slots by urgency", async (t) => {
  await using pipeline = await Pipeline.load(MODEL);
  const fresh = (slots: number) => new Work(pipeline, slots);
  const whole = (await alone(pipeline, RED))[0]!.bytes;

  await t.step("the more urgent first, then the older", async () => {
    await using work = fresh(1);
    const add = (id: string, priority: number, createdAt: number) =>
      work.scheduler.add(task(id, { ...RED, steps: 1 }, { priority, createdAt }));
    add("young", 0, 2);
    add("old", 0, 1);
    add("urgent", 1, 3);
    await work.until("made", "young");
    assert.deepEqual(told(work, "began"), ["began urgent", "began old", "began young"]);
  });

  await t.step(
    "those of another kind do not starve, for what is younger waits for them",
    async () => {
      await using work = fresh(2);
      work.scheduler.add(task("a", { ...RED, steps: 6 }, { createdAt: 0 }));
      await work.until("began", "a");
      work.scheduler.add(task("other", { ...RED, threshold: "DYNAMIC" }, { createdAt: 1 }));
      work.scheduler.add(task("b", { ...RED, size: 24 }, { createdAt: 2 }));
      work.scheduler.add(task("c", RED, { createdAt: 3 }));
      const { files } = await work.until("made", "c");
      assert.deepEqual(files[0]!.bytes, whole);
      assert.deepEqual(told(work, "began"), ["began a", "began other", "began b", "began c"]);
      const progress = work.events.flatMap((event) => event.kind === "progress" ? [event.id] : []);
      assert.deepEqual(progress, [
        ...Array(6).fill("a"),
        ...Array(3).fill("other"),
        ...Array(3).fill("b"),
        ...Array(3).fill("c"),
      ]);
    },
  );
});

Deno.test("an image with a cache is denoised alone", async (t) => {
  await using pipeline = await Pipeline.load(MODEL);
  const fresh = (slots: number) => new Work(pipeline, slots);
  const whole = (await alone(pipeline, RED))[0]!.bytes;
  const cached: ImageRequest = { ...RED, steps: 60, cache: { every: 2 } };
  await t.step("one with a cache runs alone, and can be canceled", async () => {
    await using work = fresh(4);
    work.scheduler.add(task("cached", cached));
    work.scheduler.add(task("next", RED, { createdAt: 1 }));
    await atStep(work, "cached", 3, () => work.scheduler.cancel("cached"));
    await work.until("made", "next");
    assert.deepEqual(told(work, "began", "made"), ["began cached", "began next", "made next"]);
    assert.ok(Math.max(...work.events.map(stepOf)) <= 4);
  });

  await t.step("one with a cache has previews, and the bytes of one made alone", async () => {
    for (const cache of [{ every: 2 }, { error: 2 }]) {
      // They could share a batch, and yet each measures and uses again what is its own.
      const requests = ([[0.3, 0.9], [0.1, 0.5]] as const).map((guidanceInterval): ImageRequest => {
        return { ...RED, guidance: 4, guidanceInterval, steps: 6, cache };
      });
      const expected: EncodedLevel[][] = [];
      for (const request of requests) expected.push(await alone(pipeline, request));
      await using work = fresh(4);
      for (const [i, request] of requests.entries()) {
        const { output, ...rest } = task(`${i}`, request, { createdAt: i });
        work.scheduler.add({ ...rest, output: { ...output, preview: true } });
      }
      for (const i of requests.keys()) {
        const { files } = await work.until("made", `${i}`);
        await work.until("preview", `${i}`);
        assert.deepEqual(files, expected[i]);
      }
      const steps = work.events.flatMap((event) => event.kind === "progress" ? [event.id] : []);
      assert.deepEqual(steps, [...Array(6).fill("0"), ...Array(6).fill("1")]);
    }
  });

  await t.step(
    "one with a cache that is canceled while its prompt is read is not begun",
    async () => {
      await using work = fresh(4);
      const { prepare } = pipeline;
      const { mock: replaced } = mock.method(
        pipeline,
        "prepare",
        (...of: Parameters<typeof prepare>) => {
          work.scheduler.cancel("cached");
          return prepare.apply(pipeline, of);
        },
      );
      work.scheduler.add(task("cached", cached));
      work.scheduler.add(task("next", RED, { createdAt: 1 }));
      await work.until("made", "next");
      replaced.restore();
      assert.deepEqual(told(work, "began", "made"), ["began next", "made next"]);
    },
  );

  await t.step("one with a cache begins again when it was stopped", async () => {
    await using work = fresh(4);
    work.scheduler.add(task("cached", cached));
    work.scheduler.add(task("waiting", RED, { createdAt: 1 }));
    await atStep(work, "cached", 3, () => work.scheduler.save());
    assert.equal((await work.until("saved", "cached")).saved, null);
    assert.equal((await work.until("saved", "waiting")).saved, null);
    work.scheduler.add(task("after", RED));
    assert.deepEqual((await work.until("made", "after")).files[0]!.bytes, whole);
  });

  await t.step("one with a cache that cannot be held fails alone", async () => {
    await using work = fresh(4);
    const { add } = Batch.prototype;
    const { mock: replaced } = mock.method(Batch.prototype, "add", function (
      this: Batch,
      images: Parameters<typeof add>[0],
    ) {
      if (this.kind.inner !== "always") throw new MdmError("The GPU cannot hold it.");
      return add.call(this, images);
    });
    work.scheduler.add(task("cached", cached));
    work.scheduler.add(task("next", RED, { createdAt: 1 }));
    await work.until("made", "next");
    replaced.restore();
    const { error } = await work.until("failed", "cached");
    assert.deepEqual(error, { code: "failed", message: "The GPU cannot hold it." });
  });
});

Deno.test("an image that cannot be made fails alone", async (t) => {
  await using pipeline = await Pipeline.load(MODEL);
  const fresh = (slots: number) => new Work(pipeline, slots);
  const whole = (await alone(pipeline, RED))[0]!.bytes;

  await t.step("one that takes too much memory fails alone", async () => {
    await using work = fresh(2);
    const { fit } = pipeline;
    const { mock: replaced } = mock.method(pipeline, "fit", (resolved: ResolvedRequest) => {
      if (resolved.size === 24) throw new MdmError("It takes too much memory.");
      return fit.call(pipeline, resolved);
    });
    work.scheduler.add(task("good", RED));
    work.scheduler.add(task("size", { ...RED, size: 24 }));
    assert.deepEqual((await work.until("made", "good")).files[0]!.bytes, whole);
    replaced.restore();
    const { error } = await work.until("failed", "size");
    assert.deepEqual(error, { code: "failed", message: "It takes too much memory." });
  });

  await t.step(
    "where the GPU cannot hold what arrives, that fails and the others begin again",
    async () => {
      await using work = fresh(4);
      const { add } = Batch.prototype;
      const { mock: replaced } = mock.method(Batch.prototype, "add", function (
        this: Batch,
        images: Parameters<typeof add>[0],
      ) {
        if (images.some(({ seed }) => seed === 99n)) {
          return Promise.reject(new MdmError("The GPU cannot hold it."));
        }
        return add.call(this, images);
      });
      work.scheduler.add(task("good", RED));
      await atStep(work, "good", 1, () => work.scheduler.add(task("large", { ...RED, seed: 99n })));
      assert.deepEqual((await work.until("made", "good")).files[0]!.bytes, whole);
      replaced.restore();
      const { error } = await work.until("failed", "large");
      assert.deepEqual(error, { code: "failed", message: "The GPU cannot hold it." });
      assert.deepEqual(told(work, "began", "failed"), ["began good", "failed large", "began good"]);
    },
  );

  await t.step("an image that cannot be encoded fails alone", async () => {
    const events: (ImageEvent | StepEvent)[] = [];
    const failed = Promise.withResolvers<void>();
    const model = Promise.reject(new MdmError("The weights cannot be read."));
    model.catch(() => {});
    const scheduler = new StepScheduler(pipeline, {
      slots: 2,
      model,
      emit: (event) => {
        events.push(event);
        if (events.filter(({ kind }) => kind === "failed").length === 2) failed.resolve();
      },
    });
    const running = scheduler.run();
    scheduler.add(task("a", RED));
    scheduler.add(task("b", { ...RED, steps: 5 }));
    await Promise.race([failed.promise, running]);
    scheduler.close();
    await running;
    for (const event of events) {
      if (event.kind !== "failed") continue;
      assert.equal(event.error.message, "The weights cannot be read.");
    }
  });
});

Deno.test("a state of another size, run or model is none: the image begins", async (t) => {
  await using pipeline = await Pipeline.load(MODEL);
  const fresh = (slots: number) => new Work(pipeline, slots);
  const whole = (await alone(pipeline, RED))[0]!.bytes;

  await t.step("a state of another size, run or model is none: the image begins", async () => {
    await using work = fresh(1);
    const state = (step: number, ...sizes: readonly number[]): SamplerState => {
      const latents = sizes.map((size) => new Float32Array(size));
      return { step, weights: IDENTITY.weights, latents, estimates: latents };
    };
    const sizes = [16 * 16 * 3, 8 * 8 * 3];
    const states = [
      state(1, ...sizes.slice(1)),
      state(1, sizes[0]!, 3),
      state(3, ...sizes),
      { ...state(1, ...sizes), weights: "1" },
    ];
    for (const [i, saved] of states.entries()) {
      work.scheduler.add(task(`${i}`, RED, { saved }));
      const { files } = await work.until("made", `${i}`);
      assert.deepEqual(files[0]!.bytes, whole);
    }
    work.scheduler.add(task("fits", RED, { saved: state(1, ...sizes) }));
    assert.equal((await work.until("began", "fits")).step, 1);
    await work.until("made", "fits");
  });
});

Deno.test("what is reported of steps and prompts is that of each image", async (t) => {
  await using pipeline = await Pipeline.load(MODEL);
  const fresh = (slots: number) => new Work(pipeline, slots);

  await t.step("each step counts for all that were in it, their last one too", async () => {
    await using work = fresh(2);
    for (const id of ["a", "b"]) work.scheduler.add(task(id, { ...RED, steps: 6 }));
    const ends = [await work.until("made", "a"), await work.until("made", "b")];
    const steps = work.events.flatMap((event) => event.kind === "step" ? [event] : []);
    assert.deepEqual(steps.map(({ images }) => images), Array(5).fill(2));
    const measured = steps.reduce((sum, { ms }) => sum + ms, 0);
    for (const { timings: { gpuMs } } of ends) assert.ok(gpuMs >= measured / 2 - 1e-6);
    // Each step is shared out, not counted for both: all is recorded and compiled by now, so that little else takes time.
    for (const id of ["c", "d"]) work.scheduler.add(task(id, { ...RED, steps: 20 }));
    const both = [(await work.until("made", "c")).timings, (await work.until("made", "d")).timings];
    const shared = both.reduce((sum, { gpuMs }) => sum + gpuMs, 0);
    const longest = Math.max(...both.map(({ stepsMs }) => stepsMs));
    assert.ok(shared <= longest, `${shared} of ${longest} ms`);
    work.scheduler.add(task("short", { ...RED, steps: 1 }));
    assert.ok((await work.until("made", "short")).timings.gpuMs > 0);
  });

  await t.step(
    "that a prompt was cut is reported of every image, also where it is known",
    async () => {
      await using work = fresh(1);
      const long = "a red circle ".repeat(100);
      for (const id of ["first", "second"]) {
        work.scheduler.add(task(id, { ...RED, steps: 1, prompt: long }));
        await work.until("made", id);
      }
      work.scheduler.add(task("negative", { ...RED, steps: 1, negative: long, guidance: 4 }));
      await work.until("made", "negative");
      work.scheduler.add(task("unguided", { ...RED, steps: 1, negative: long, guidance: 1 }));
      await work.until("made", "unguided");
      work.scheduler.add(task("alone", { ...RED, steps: 1, prompt: long, cache: { every: 2 } }));
      await work.until("made", "alone");
      const warned = work.events.flatMap((event) => event.kind === "warned" ? [event] : []);
      assert.deepEqual(warned.map(({ id }) => id), ["first", "second", "negative", "alone"]);
      for (const { warnings: [warning, ...others] } of warned) {
        assert.match(
          warning!,
          /^The (negative )?prompt "a red .*\.\.\." has 301 tokens, and the model takes 32/,
        );
        assert.deepEqual(others, []);
      }
      const kinds = work.events.flatMap((e) => "id" in e && e.id === "first" ? [e.kind] : []);
      assert.deepEqual(kinds, ["warned", "began", "progress", "made"]);
    },
  );
});

Deno.test("of a video previews come from the smallest resolution on, eight at most, and then it", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await makeVideoModel(folder);
    await using pipeline = await Pipeline.load(folder);
    await using work = new Work(pipeline, 2);
    const steps = 17;
    const { folder: model } = pipeline;
    const encoding = encodingOf({ fps: 12 }, model.config);
    const output = { levels: true, preview: true, encoding };
    work.scheduler.add(task("video", { ...RED, steps, size: 32 }, { ...described(model), output }));
    const { files } = await work.until("made", "video");
    assert.deepEqual(
      files.map(({ width, frames, type }) => [width, frames, type]),
      [[16, 4, "video/mp4"], [8, 4, "video/mp4"], [8, 1, "image/png"]],
    );
    await work[Symbol.asyncDispose](); // Waits for what is being read.
    const previews = work.events.flatMap((event) => event.kind === "preview" ? [event] : [])
      .sort((a, b) => a.step - b.step);
    assert.deepEqual(
      previews.map(({ step, file: { level, frames, type } }) => [step, level, frames, type]),
      [3, 6, 9, 12, 15].map((step) => {
        return step < steps / 2 ? [step, 2, 1, "image/png"] : [step, 1, 4, "image/png"];
      }),
    );
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("a model of classes makes a class, and refuses what is none alone", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const { text: _, ...config } = JSON.parse(
      await Deno.readTextFile(`${MODEL}/config.json`),
    );
    await Deno.writeTextFile(`${folder}/config.json`, JSON.stringify(config));
    await Deno.copyFile(`${MODEL}/model.safetensors`, `${folder}/model.safetensors`);
    await using pipeline = await Pipeline.load(folder);
    assert.equal(pipeline.folder.classes, true);
    await using work = new Work(pipeline, 2);
    const model = described(pipeline.folder);
    work.scheduler.add(task("word", RED, model));
    work.scheduler.add(task("guided", { ...RED, prompt: "3", guidance: 4 }, model));
    work.scheduler.add(task("class", { ...RED, prompt: "3" }, model));
    await work.until("made", "class");
    const word = await work.until("failed", "word");
    assert.match(word.error.message, /give a class from 0 to \d+ instead of "a red circle"/);
    assert.match((await work.until("failed", "guided")).error.message, /give guidance 1/);
    assert.deepEqual([word.error.code], ["request"]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

const MIXES = 20;

Deno.test(`an image in any of ${MIXES} random mixes has the bytes of one that is made alone`, async () => {
  await using pipeline = await Pipeline.load(MODEL);
  const expected: EncodedLevel[][] = [];
  for (const request of POOL) expected.push(await alone(pipeline, request));
  for (let seed = 0; seed < MIXES; seed++) await mix(pipeline, expected, seed);
});
