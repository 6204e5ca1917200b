import assert from "../assert.ts";
import { mock } from "node:test";
import { encodeSamplerState } from "../../src/pipeline/sampler_state.ts";
import type { JobProgress } from "../../src/jobs/job.ts";
import type { Moderator } from "../../src/jobs/moderation.ts";
import { MdmError } from "../../src/errors.ts";
import { Unavailable } from "../../src/jobs/unavailable.ts";
import { within } from "../within.ts";
import { JobPlace, level, made, queueWith, STEPS } from "./job_place.ts";

const ALLOW = { before: () => allowed, after: () => allowed } satisfies Moderator;
const allowed = Promise.resolve({ allow: true } as const);
const never = new Promise<never>(() => {});

/** An image after one step. */
const SAVED = {
  step: 1,
  weights: "0a",
  latents: [Float32Array.of(1, 2)],
  estimates: [Float32Array.of(3, 4)],
};

/** Keeps what is said on stderr, and looks at it. */
function hush(): Disposable & { readonly said: string } {
  const { mock: calls } = mock.method(console, "error", () => {});
  return {
    get said() {
      return calls.calls.map(({ arguments: [what] }) => String(what)).join("\n");
    },
    [Symbol.dispose]: () => calls.restore(),
  };
}

Deno.test("images become files, named by their places and sizes, with seeds that follow each other", async () => {
  await using place = await JobPlace.open();
  const seed = String((1n << 64n) - 1n);
  await place.add({ prompts: ["a star", "a ring"], seed, levels: true });
  const run = await place.take();
  const end = run.run();
  const asks = await place.engine.asked(2);
  assert.deepEqual(
    asks.map(({ task: { resolved: { jobs, steps }, output } }) => ({ jobs, steps, output })),
    [["a star", (1n << 64n) - 1n], ["a ring", 0n]].map(([prompt, seed]) => ({
      jobs: [{ index: 0, promptIndex: 0, prompt, negative: "", seed }],
      steps: STEPS,
      output: {
        levels: true,
        preview: false,
        encoding: { medium: "image", format: "png", extension: ".png" },
      },
    })),
  );
  assert.equal(run.open, 2);
  for (const [i, ask] of asks.entries()) {
    ask.began();
    const inner = level([i, 3], { level: 1, width: 16, height: 16 });
    ask.end(made(level([i, 1, 2]), inner));
  }
  assert.equal(await end, "succeeded");
  assert.equal(run.open, 0);
  const { state, files, progress, timings, error } = await place.job();
  assert.deepEqual({ state, error }, { state: "succeeded", error: null });
  assert.deepEqual(
    files.map(({ name, picture, level, seed, bytes }) => [name, picture, level, seed, bytes]),
    [
      ["0.png", 0, 0, seed, 3],
      ["0-16x16.png", 0, 1, seed, 2],
      ["1.png", 1, 0, "0", 3],
      ["1-16x16.png", 1, 1, "0", 2],
    ],
  );
  assert.deepEqual([...place.store.files.get("job-0/1-16x16.png")!], [1, 3]);
  assert.deepEqual(progress, { step: 2 * STEPS, steps: 2 * STEPS, etaMs: null, previews: [] });
  assert.ok(timings!.queueMs >= 0 && timings!.stepsMs >= 0);
  const { textMs, encodeMs, gpuSeconds } = timings!;
  assert.deepEqual({ textMs, encodeMs, gpuSeconds }, { textMs: 2, encodeMs: 6, gpuSeconds: 0.008 });
});

Deno.test("what should be known of its images is noted, once each, and stays with the job", async () => {
  await using place = await JobPlace.open();
  await place.add({ count: 2 });
  const lost = (await place.take()).run();
  const [first, second] = await place.engine.asked(2);
  for (const ask of [first!, second!]) ask.warned("Cut.", `Cut as well.`);
  first!.began();
  first!.end(made());
  while ((await place.job()).files.length === 0) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  assert.deepEqual((await place.job()).warnings, ["Cut.", "Cut as well."]);
  place.engine.save();
  assert.equal(await lost, "released");
  // Who goes on makes the second image, whose prompt is cut otherwise.
  const end = (await place.take()).run();
  const again = (await place.engine.asked(3))[2]!;
  again.warned("Cut.", "Cut otherwise.");
  again.end(made());
  assert.equal(await end, "succeeded");
  assert.deepEqual((await place.job()).warnings, ["Cut.", "Cut as well.", "Cut otherwise."]);
});

Deno.test("a job that is refused before has no image made", async () => {
  await using place = await JobPlace.open();
  await place.add();
  const before = () => Promise.resolve({ allow: false, reason: "Not here." } as const);
  const run = await place.take({ moderator: { ...ALLOW, before } });
  assert.equal(await run.run(), "failed");
  assert.deepEqual((await place.job()).error, { code: "refused", message: "Not here." });
  assert.deepEqual(place.engine.asks, []);
});

Deno.test("of an image that is refused after nothing is kept, nor of those beside it", async () => {
  await using place = await JobPlace.open();
  await place.add({ count: 2, levels: true });
  const asked: number[][] = [];
  const after: Moderator["after"] = (_, { picture }, bytes) => {
    asked.push([picture, ...bytes]);
    return Promise.resolve({ allow: false, reason: "Not this." });
  };
  const end = (await place.take({ moderator: { ...ALLOW, after } })).run();
  const [first, second] = await place.engine.asked(2);
  first!.end(made(level([5]), level([6], { level: 1 })));
  assert.equal(await end, "failed");
  assert.deepEqual(asked, [[0, 5]]);
  assert.equal(second!.signal.aborted, true);
  const { error, files } = await place.job();
  assert.deepEqual({ error, files }, {
    error: { code: "refused", message: "Not this." },
    files: [],
  });
  assert.deepEqual(place.names, []);
});

Deno.test("a preview that is refused is not shown, and ends its job", async () => {
  await using place = await JobPlace.open();
  await place.add({ preview: true });
  const after: Moderator["after"] = (_, { name }) =>
    Promise.resolve({ allow: false, reason: `Not ${name}.` });
  const end = (await place.take({ moderator: { ...ALLOW, after } })).run();
  const [ask] = await place.engine.asked(1);
  ask!.preview(1, level([1], { level: 1, width: 16, height: 16 }));
  assert.equal(await end, "failed");
  assert.equal(ask!.signal.aborted, true);
  const { error, progress } = await place.job();
  assert.deepEqual(error, { code: "refused", message: "Not preview-0-1-16x16.png." });
  assert.deepEqual([progress.previews, place.names], [[], []]);
});

Deno.test("where moderation gives no answer the job fails, and says so", async () => {
  await using place = await JobPlace.open();
  await place.add();
  const before = () => Promise.reject(new MdmError("No answer."));
  assert.equal(await (await place.take({ moderator: { ...ALLOW, before } })).run(), "failed");
  assert.deepEqual((await place.job()).error, { code: "failed", message: "No answer." });
});

Deno.test("a request that cannot be fails, and asks nobody", async () => {
  await using place = await JobPlace.open();
  await place.add({ size: 33 });
  const before = () => Promise.reject(new Error("It was asked."));
  assert.equal(await (await place.take({ moderator: { ...ALLOW, before } })).run(), "failed");
  const { error } = await place.job();
  assert.equal(error?.code, "request");
  assert.match(error.message, /size 33/);
});

Deno.test("an image that fails fails its job, and the others are stopped", async () => {
  await using place = await JobPlace.open();
  await place.add({ count: 3 });
  const end = (await place.take()).run();
  const [first, second, third] = await place.engine.asked(3);
  first!.end(made());
  const error = { code: "failed", message: "Too large." } as const;
  second!.end({ kind: "failed", id: "", error });
  assert.equal(await end, "failed");
  assert.equal(third!.signal.aborted, true);
  assert.deepEqual((await place.job()).error, error);
});

Deno.test("a job that is canceled is stopped, however long its steps are", async () => {
  await using place = await JobPlace.open();
  await place.add({ count: 2 });
  const end = (await place.take()).run();
  const asks = await place.engine.asked(2);
  asks[0]!.began();
  await place.queue.cancel("job-0");
  assert.equal(await end, "canceled");
  assert.deepEqual(asks.map(({ signal }) => signal.aborted), [true, true]);
  assert.equal((await place.job()).state, "canceled");
});

Deno.test("a job can be canceled while moderation or the store does not answer", async (t) => {
  await t.step("before", async () => {
    await using place = await JobPlace.open();
    await place.add();
    const end = (await place.take({ moderator: { ...ALLOW, before: () => never } })).run();
    await place.queue.cancel("job-0");
    assert.equal(await end, "canceled");
    assert.deepEqual(place.engine.asks, []);
  });
  await t.step("after", async () => {
    await using place = await JobPlace.open();
    await place.add();
    const end = (await place.take({ moderator: { ...ALLOW, after: () => never } })).run();
    (await place.engine.asked(1))[0]!.end(made());
    await place.queue.cancel("job-0");
    assert.equal(await end, "canceled");
    assert.deepEqual((await place.job()).files, []);
  });
  await t.step("the store", async () => {
    await using place = await JobPlace.open();
    place.store.put = () => never;
    await place.add();
    const end = (await place.take()).run();
    (await place.engine.asked(1))[0]!.end(made());
    await place.queue.cancel("job-0");
    assert.equal(await end, "canceled");
  });
});

Deno.test("files that take long to be judged and kept do not cost the lease", async () => {
  await using place = await JobPlace.open();
  await place.add();
  let beats = 0;
  const judged = Promise.withResolvers<{ readonly allow: true }>();
  const queue = queueWith(place.queue, {
    heartbeat: (...about) => {
      if (++beats === 5) judged.resolve({ allow: true });
      return place.queue.heartbeat(...about);
    },
  });
  const moderator = { ...ALLOW, after: () => judged.promise };
  const end = (await place.take({ queue, moderator })).run();
  (await place.engine.asked(1))[0]!.end(made());
  assert.equal(await end, "succeeded");
});

Deno.test("when another worker has the job, nothing more is written or told", async () => {
  await using place = await JobPlace.open();
  await place.add({ count: 2, levels: true });
  const judging = Promise.withResolvers<void>();
  const judged = Promise.withResolvers<{ readonly allow: true }>();
  const after = () => {
    judging.resolve();
    return judged.promise;
  };
  const end = (await place.take({ moderator: { ...ALLOW, after } })).run();
  const [first, second] = await place.engine.asked(2);
  first!.began();
  first!.end(made());
  await judging.promise;
  place.passed = 31_000;
  const other = await place.queue.claim();
  assert.equal(other?.job.attempts, 2);
  assert.equal(await end, "lost");
  assert.equal(second!.signal.aborted, true);
  const before = await place.job();
  judged.resolve({ allow: true });
  await judged.promise;
  second!.progress(3);
  await new Promise((resolve) => setTimeout(resolve));
  assert.deepEqual(place.names, []);
  assert.deepEqual(await place.job(), before);
  assert.equal(before.state, "running");
});

Deno.test("a job that runs too long fails as timed out, one after its deadline as expired", async (t) => {
  await t.step("too long", async () => {
    await using place = await JobPlace.open();
    await place.add();
    const end = (await place.take({ runMs: 40 })).run();
    const [ask] = await place.engine.asked(1);
    assert.equal(await end, "failed");
    assert.equal(ask!.signal.aborted, true);
    assert.deepEqual((await place.job()).error, {
      code: "timeout",
      message: "The job ran longer than 0 seconds: ask for fewer images or steps.",
    });
  });
  await t.step("its deadline", async () => {
    await using place = await JobPlace.open();
    await place.add({}, { deadline: Date.now() + 100 });
    assert.equal(await (await place.take()).run(), "failed");
    assert.deepEqual((await place.job()).error, {
      code: "expired",
      message: "The deadline passed before the job was done: try again with a later one.",
    });
  });
  await t.step("a deadline beyond what timers can wait is none yet", async () => {
    await using place = await JobPlace.open();
    await place.add({}, { deadline: Date.now() + 1e12 });
    const end = (await place.take({ runMs: 1e12 })).run();
    (await place.engine.asked(1))[0]!.end(made());
    assert.equal(await end, "succeeded");
  });
});

Deno.test("progress only grows, and how long it takes is told from the first step on", async () => {
  await using place = await JobPlace.open();
  await place.add({ count: 2 });
  const seen: JobProgress[] = [];
  const told = (step: number) => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const unlisten = place.queue.listen(({ job: { progress } }) => {
      seen.push(progress);
      if (progress.step >= step) resolve();
    });
    return promise.finally(unlisten);
  };
  const end = (await place.take()).run();
  const [first, second] = await place.engine.asked(2);
  first!.began();
  await told(0);
  for (let step = 1; step <= STEPS; step++) {
    const heard = told(2 * step - 1);
    first!.progress(step);
    second!.progress(step - 1);
    await heard;
  }
  first!.end(made());
  second!.end(made());
  assert.equal(await end, "succeeded");
  const steps = seen.map(({ step }) => step);
  assert.deepEqual(steps, steps.toSorted((a, b) => a - b));
  for (const { step, steps, etaMs } of seen) {
    assert.equal(steps, 2 * STEPS);
    if (step === 0) assert.equal(etaMs, null);
    else assert.ok(etaMs !== null && etaMs >= 0);
  }
  assert.ok(steps.includes(0) && steps.includes(2 * STEPS - 1), String(steps));
});

Deno.test("how long a job takes is known from its begin, where steps were measured before", async () => {
  await using place = await JobPlace.open();
  place.engine.stepMs = 1000;
  await place.add({ count: 2 });
  const end = (await place.take()).run();
  const asks = await place.engine.asked(2);
  const told = Promise.withResolvers<JobProgress>();
  const unlisten = place.queue.listen(({ job }) => told.resolve(job.progress));
  for (const ask of asks) ask.began();
  assert.ok([STEPS * 1000, 2 * STEPS * 1000].includes((await told.promise).etaMs!));
  unlisten();
  for (const ask of asks) ask.end(made());
  assert.equal(await end, "succeeded");
});

Deno.test("previews are named by their steps, and the newest of each level is told", async () => {
  await using place = await JobPlace.open();
  await place.add({ preview: true });
  const end = (await place.take()).run();
  const [ask] = await place.engine.asked(1);
  ask!.began();
  const inner = level([1], { level: 1, width: 16, height: 16 });
  for (const step of [1, 2]) ask!.preview(step, inner);
  ask!.preview(3, level([2]));
  ask!.end(made());
  assert.equal(await end, "succeeded");
  const { progress, files } = await place.job();
  assert.deepEqual(progress.previews.map(({ name }) => name), [
    "preview-0-2-16x16.png",
    "preview-0-3-32x32.png",
  ]);
  assert.deepEqual(files.map(({ name }) => name), ["0.png"]);
  assert.deepEqual(place.names.toSorted(), [
    "job-0/0.png",
    "job-0/preview-0-1-16x16.png",
    "job-0/preview-0-2-16x16.png",
    "job-0/preview-0-3-32x32.png",
  ]);
});

Deno.test("a job that was stopped goes on where it was, with the images that it does not have", async () => {
  await using place = await JobPlace.open();
  await place.add({ count: 3 });
  {
    const end = (await place.take()).run();
    const [first, second, third] = await place.engine.asked(3);
    first!.end(made());
    second!.end({ kind: "saved", id: "", saved: SAVED });
    third!.end({ kind: "saved", id: "", saved: null });
    assert.equal(await end, "released");
  }
  assert.deepEqual(place.names, ["job-0/0.png", "job-0/checkpoint-1.safetensors"]);
  const { state, files } = await place.job();
  assert.deepEqual([state, files.map(({ name }) => name)], ["queued", ["0.png"]]);
  place.engine.asks.length = 0;
  const run = await place.take();
  const end = run.run();
  const asks = await place.engine.asked(2);
  assert.deepEqual(asks.map(({ seed, task }) => [seed, task.saved]), [[8n, SAVED], [
    9n,
    undefined,
  ]]);
  assert.equal(run.open, 2);
  const told = Promise.withResolvers<JobProgress>();
  const unlisten = place.queue.listen(({ job }) => told.resolve(job.progress));
  asks[0]!.began(SAVED.step);
  const { step, etaMs } = await told.promise;
  unlisten();
  assert.deepEqual({ step, etaMs }, { step: STEPS + SAVED.step, etaMs: null });
  for (const ask of asks) ask.end(made());
  assert.equal(await end, "succeeded");
  assert.deepEqual((await place.job()).files.map(({ name }) => name).toSorted(), [
    "0.png",
    "1.png",
    "2.png",
  ]);
});

Deno.test("what a job that goes on takes is known by the steps that it makes here", async () => {
  await using place = await JobPlace.open();
  place.engine.stepMs = 1000;
  await place.add();
  const name = "checkpoint-0.safetensors";
  await place.queue.release((await place.queue.claim())!, [name]);
  place.store.files.set(`job-0/${name}`, encodeSamplerState(SAVED));
  const seen: JobProgress[] = [];
  const unlisten = place.queue.listen(({ job }) => seen.push(job.progress));
  const end = (await place.take()).run();
  const [ask] = await place.engine.asked(1);
  ask!.began(SAVED.step);
  ask!.progress(SAVED.step + 1);
  await tried(() => seen.filter(({ step }) => step === SAVED.step + 1).length, 1);
  unlisten();
  // One step was made here, in which kernels may have been compiled: what steps took of late says more.
  const { etaMs } = seen.at(-1)!;
  assert.equal(etaMs, (STEPS - SAVED.step - 1) * 1000);
  ask!.end(made());
  assert.equal(await end, "succeeded");
});

Deno.test("a saved state of more steps than the image has is none", async () => {
  await using place = await JobPlace.open();
  await place.add();
  const name = "checkpoint-0.safetensors";
  await place.queue.release((await place.queue.claim())!, [name]);
  const late = { ...SAVED, step: STEPS };
  place.store.files.set(`job-0/${name}`, encodeSamplerState(late));
  const seen = Promise.withResolvers<JobProgress>();
  const unlisten = place.queue.listen(({ change, job }) =>
    change === "progress" && seen.resolve(job.progress)
  );
  const end = (await place.take()).run();
  const [ask] = await place.engine.asked(1);
  assert.equal((await within(5, "a report", seen.promise)).step, 0);
  unlisten();
  ask!.end(made());
  assert.equal(await end, "succeeded");
});

Deno.test("a job that begins when the process is about to end has no image begun", async () => {
  await using place = await JobPlace.open();
  await place.add();
  const leaving = AbortSignal.abort();
  assert.equal(await within(5, "its end", (await place.take({ leaving })).run()), "released");
  assert.deepEqual(place.engine.asks, []);
});

Deno.test("a job that is stopped is given back when its files are stored, however long that takes", async () => {
  await using place = await JobPlace.open();
  const { put } = place.store;
  const stored = Promise.withResolvers<void>();
  let puts = 0;
  place.store.put = async (...file) => {
    puts++;
    await stored.promise;
    await put.apply(place.store, file);
  };
  await place.add({ preview: true });
  const end = (await place.take()).run();
  const [ask] = await place.engine.asked(1);
  ask!.preview(1, level([1], { level: 1, width: 16, height: 16 }));
  await tried(() => puts, 1);
  ask!.end({ kind: "saved", id: "", saved: null });
  let isOver = false;
  end.then(() => isOver = true);
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.equal(isOver, false);
  assert.equal((await place.job()).state, "running");
  stored.resolve();
  assert.equal(await end, "released");
  const { progress: { previews } } = await place.job();
  assert.deepEqual(previews.map(({ name }) => name), ["preview-0-1-16x16.png"]);
});

Deno.test("without a good saved state an image begins again", async (t) => {
  const name = "checkpoint-0.safetensors";
  const resume = async (prepare: (place: JobPlace) => void, checkpoints = [name]) => {
    using quiet = hush();
    await using place = await JobPlace.open();
    await place.add();
    const lease = await place.queue.claim();
    await place.queue.release(lease!, checkpoints);
    prepare(place);
    const end = (await place.take()).run();
    const [ask] = await place.engine.asked(1);
    assert.equal(ask!.task.saved, undefined);
    ask!.end(made());
    assert.equal(await end, "succeeded");
    return quiet.said;
  };
  const whole = encodeSamplerState(SAVED);
  await t.step("it is not there", async () => {
    await resume(() => {});
  });
  await t.step("it is damaged", async () => {
    const said = await resume(({ store }) => store.files.set(`job-0/${name}`, whole.slice(0, -1)));
    assert.match(said, /checkpoint-0/);
  });
  await t.step("it cannot be read", async () => {
    const said = await resume(({ store }) => {
      store.get = () => Promise.reject(new MdmError("The store does not answer."));
    });
    assert.match(said, /does not answer/);
  });
  await t.step("it is that of no image", async () => {
    const names = ["checkpoint-7.safetensors", "../0.png"];
    await resume(({ store }) => names.forEach((n) => store.files.set(`job-0/${n}`, whole)), names);
  });
});

Deno.test("a queue that cannot be reached for a while is told later", async () => {
  using quiet = hush();
  await using place = await JobPlace.open();
  await place.add();
  let calls = 0;
  const unreachable = <T>(work: () => Promise<T>) =>
    ++calls < 4 ? Promise.reject(new MdmError("It does not answer.")) : work();
  let finishes = 0;
  const queue = queueWith(place.queue, {
    heartbeat: (...about) => unreachable(() => place.queue.heartbeat(...about)),
    finish: (...about) =>
      finishes++ === 0
        ? Promise.reject(new MdmError("It does not answer."))
        : place.queue.finish(...about),
  });
  const end = (await place.take({ queue, leaseMs: 3000 })).run();
  const [ask] = await place.engine.asked(1);
  ask!.began();
  ask!.end(made());
  assert.equal(await end, "succeeded");
  assert.equal(finishes, 2);
  assert.equal((await place.job()).state, "succeeded");
  assert.match(quiet.said, /does not answer/);
});

Deno.test("who has not heard of the queue for as long as the lease lasts has lost the job", async () => {
  using _quiet = hush();
  await using place = await JobPlace.open();
  await place.add();
  const finish = () => Promise.reject(new Error("It was told"));
  const heartbeat = () => Promise.reject(new MdmError("It does not answer."));
  const queue = queueWith(place.queue, { heartbeat, finish });
  const end = (await place.take({ queue })).run();
  const [ask] = await place.engine.asked(1);
  assert.equal(await end, "lost");
  assert.equal(ask!.signal.aborted, true);
  assert.equal((await place.job()).state, "running");
});

Deno.test("a store that fails fails the job, with what it says", async () => {
  await using place = await JobPlace.open();
  place.store.put = () => Promise.reject(new MdmError("The disk is full."));
  await place.add();
  const end = (await place.take()).run();
  (await place.engine.asked(1))[0]!.end(made());
  assert.equal(await end, "failed");
  assert.deepEqual((await place.job()).error, { code: "failed", message: "The disk is full." });
});

const AWAY = new Unavailable("It is away.");

/** Waits until something has been tried so often. */
async function tried(times: () => number, count: number): Promise<void> {
  while (times() < count) await new Promise((resolve) => setTimeout(resolve, 5));
}

Deno.test("while the queue is away a job goes on, past its lease, and is ended when it is back", async () => {
  using quiet = hush();
  await using place = await JobPlace.open();
  await place.add();
  let away = true;
  let beats = 0;
  let finishes = 0;
  const unlessAway = <T>(work: () => Promise<T>) => away ? Promise.reject(AWAY) : work();
  const queue = queueWith(place.queue, {
    heartbeat: (...about) => {
      beats++;
      return unlessAway(() => place.queue.heartbeat(...about));
    },
    finish: (...about) => {
      finishes++;
      return unlessAway(() => place.queue.finish(...about));
    },
  });
  const end = (await place.take({ queue, leaseMs: 30 })).run();
  const [ask] = await place.engine.asked(1);
  ask!.began();
  await tried(() => beats, 5);
  ask!.end(made());
  await tried(() => finishes, 1);
  away = false;
  assert.equal(await end, "succeeded");
  assert.equal((await place.job()).state, "succeeded");
  assert.equal(quiet.said, "");
});

Deno.test("a queue that is away is not waited for when the process ends", async () => {
  await using place = await JobPlace.open();
  await place.add();
  const gone = new AbortController();
  const finish = () => {
    gone.abort();
    return Promise.reject(AWAY);
  };
  const queue = queueWith(place.queue, { finish });
  const end = (await place.take({ queue, gone: gone.signal })).run();
  (await place.engine.asked(1))[0]!.end(made());
  await assert.rejects(end, AWAY);
});

Deno.test("while the store is away an image waits for it, which does not count as time that the job runs", async () => {
  using quiet = hush();
  await using place = await JobPlace.open();
  const { put } = place.store;
  let puts = 0;
  place.store.put = (...file) => ++puts <= 2 ? Promise.reject(AWAY) : put.apply(place.store, file);
  await place.add({ levels: true });
  const end = (await place.take({ runMs: 500 })).run();
  const inner = level([2], { level: 1, width: 16, height: 16 });
  (await place.engine.asked(1))[0]!.end(made(level([1]), inner));
  // Two waits of a second.
  assert.equal(await end, "succeeded");
  assert.deepEqual(place.names, ["job-0/0.png", "job-0/0-16x16.png"]);
  assert.deepEqual((await place.job()).files.map(({ name }) => name), ["0.png", "0-16x16.png"]);
  assert.equal(quiet.said, "");
});

Deno.test("a job that waits for the store can be canceled", async () => {
  await using place = await JobPlace.open();
  let puts = 0;
  place.store.put = () => {
    puts++;
    return Promise.reject(AWAY);
  };
  await place.add();
  const end = (await place.take()).run();
  (await place.engine.asked(1))[0]!.end(made());
  await tried(() => puts, 1);
  await place.queue.cancel("job-0");
  assert.equal(await end, "canceled");
});

Deno.test("a preview that finds no store is not shown, and costs nothing else", async () => {
  await using place = await JobPlace.open();
  const { put } = place.store;
  place.store.put = (job, name, ...file) =>
    name.startsWith("preview") ? Promise.reject(AWAY) : put.call(place.store, job, name, ...file);
  await place.add({ preview: true });
  const end = (await place.take()).run();
  const [ask] = await place.engine.asked(1);
  ask!.preview(1, level([1], { level: 1, width: 16, height: 16 }));
  ask!.end(made());
  assert.equal(await end, "succeeded");
  const { files, progress } = await place.job();
  assert.deepEqual([files.length, progress.previews], [1, []]);
});

Deno.test("what cannot be kept before the process ends is given back, with what could be", async (t) => {
  const leave = async (prepare: (place: JobPlace, leaving: AbortController) => void) => {
    await using place = await JobPlace.open();
    await place.add({ count: 3 });
    const [leaving, gone] = [new AbortController(), new AbortController()];
    const end = (await place.take({ leaving: leaving.signal, gone: gone.signal })).run();
    const [first, second, third] = await place.engine.asked(3);
    first!.end(made());
    while (place.names.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    prepare(place, gone);
    second!.end(made());
    leaving.abort();
    third!.end({ kind: "saved", id: "", saved: SAVED });
    assert.equal(await end, "released");
    const { state, attempts, files } = await place.job();
    assert.deepEqual({ state, attempts }, { state: "queued", attempts: 0 });
    assert.deepEqual(files.map(({ name }) => name), ["0.png"]);
    assert.deepEqual(place.names, ["job-0/0.png"]);
  };
  await t.step("the store is away", () =>
    leave((place) => {
      place.store.put = () => Promise.reject(AWAY);
    }));
  await t.step("the store does not answer", () =>
    leave((place, gone) => {
      place.store.put = () => {
        gone.abort();
        return never;
      };
    }));
});

Deno.test("a job has not succeeded before all of its files are there: what is missing is made again", async () => {
  await using place = await JobPlace.open();
  await place.add({ count: 2 });
  const end = (await place.take()).run();
  const [first, second] = await place.engine.asked(2);
  first!.end(made(level([1])));
  while (place.names.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  // As if the folder had been removed by hand, and made anew for what comes after.
  place.store.files.clear();
  second!.end(made(level([2])));
  const [, , again] = await place.engine.asked(3);
  assert.equal(again!.seed, first!.seed);
  again!.end(made(level([1])));
  assert.equal(await end, "succeeded");
  assert.deepEqual(place.names.toSorted(), ["job-0/0.png", "job-0/1.png"]);
  assert.deepEqual((await place.job()).files.map(({ name }) => name).toSorted(), [
    "0.png",
    "1.png",
  ]);
});
