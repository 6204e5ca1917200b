import assert from "node:assert/strict";
import { mock } from "node:test";
import type { ImageResult, ImageUpdate } from "../../src/engine/engine.ts";
import type { EngineCommand, EngineReport } from "../../src/engine/engine_protocol.ts";
import type { ImageTask, NewImageTask } from "../../src/engine/image_task.ts";
import { type EngineState, ThreadedEngine } from "../../src/engine/threaded_engine.ts";
import { planJob } from "../../src/jobs/plan_job.ts";
import { MODEL as DESCRIBED, requestOf } from "../jobs/job_place.ts";

const MODEL = "weights/shapes32";

function task(
  different: Parameters<typeof requestOf>[0] = {},
  more: Partial<ImageTask> = {},
): NewImageTask {
  const request = requestOf({ prompts: ["a red circle"], steps: 3, ...different });
  const { images: [resolved], output } = planJob(request, DESCRIBED);
  return { resolved: resolved!, output, priority: 0, createdAt: 0, ...more };
}

function engine(model = MODEL): ThreadedEngine {
  return new ThreadedEngine({ model, pipeline: { memory: 1 << 30 }, slots: 2 });
}

/** Waits until an engine is in a state. */
async function until(engine: ThreadedEngine, kind: EngineState["kind"]): Promise<EngineState> {
  const { promise, resolve } = Promise.withResolvers<EngineState>();
  engine.onState = (state) => state.kind === kind && resolve(state);
  return engine.state.kind === kind ? engine.state : await promise;
}

function bytes(end: ImageResult): Uint8Array {
  assert.equal(end.kind, "made", JSON.stringify(end));
  return (end as ImageResult & { kind: "made" }).files[0]!.bytes;
}

Deno.test("an engine makes pictures in a thread of its own", async (t) => {
  await using made = engine();
  const stages: string[] = [];
  made.onEvent = (event) => event.kind === "started" && stages.push(event.stage);

  await t.step("what is asked for before it is ready is made when it is", async () => {
    assert.equal(made.state.kind, "starting");
    const updates: ImageUpdate[] = [];
    const end = await made.make(task(), { onUpdate: (update) => updates.push(update) });
    assert.deepEqual(updates.map(({ kind }) => kind), [
      "began",
      "progress",
      "progress",
      "progress",
    ]);
    assert.ok(bytes(end).length > 100);
    assert.equal(made.state.kind, "ready");
    assert.deepEqual(stages, [
      "model",
      "device",
      "tokenizer",
      "text",
      "weights",
      "sampling",
      "reading",
    ]);
  });

  await t.step("the same picture is made once for all who ask for it at a time", async () => {
    const began: string[] = [];
    const ask = () =>
      made.make(task({ seed: "8" }), { onUpdate: (n) => n.kind === "began" && began.push(n.id) });
    const [a, b, other] = await Promise.all([ask(), ask(), made.make(task({ seed: "9" }))]);
    assert.equal(a, b);
    assert.equal(new Set(began).size, 1);
    assert.notDeepEqual(bytes(a!), bytes(other!));
    assert.equal(made.busy, 0);
  });

  await t.step("one who leaves does not take the picture from the others", async () => {
    const leaving = new AbortController();
    const left = made.make(task({ seed: "10", steps: 8 }), {
      signal: leaving.signal,
      onUpdate: () => leaving.abort(new Error("gone")),
    });
    const stayed = made.make(task({ seed: "10", steps: 8 }));
    await assert.rejects(left, /gone/);
    assert.ok(bytes(await stayed).length > 100);
  });

  await t.step("what does not fit into memory fails", async () => {
    const end = await made.make(task({ size: 4096 }));
    assert.equal(end.kind, "failed");
    assert.match(JSON.stringify(end), /"failed".*Cannot make a picture of 4096x4096 in 1.*GiB/);
  });

  await t.step(
    "pictures that are stopped go on with another engine to the same bytes",
    async () => {
      const long = task({ seed: "11", steps: 12 });
      const whole = bytes(await made.make(long));
      const end = await made.make(long, {
        onUpdate: ({ kind }) => kind === "progress" && made.save(),
      });
      assert.equal(end.kind, "saved");
      const { saved } = end as ImageResult & { kind: "saved" };
      assert.ok(saved !== null && saved.step > 0 && saved.step < 12);
      assert.deepEqual(bytes(await made.make({ ...long, saved })), whole);
    },
  );
});

Deno.test("an engine whose model cannot be loaded says why, now and later", async () => {
  await using broken = engine("weights/nothing");
  const waiting = broken.make(task());
  const state = await until(broken, "failed");
  assert.match(JSON.stringify(state), /weights\/nothing/);
  for (const end of [await waiting, await broken.make(task())]) {
    assert.equal(end.kind, "failed");
    assert.match(JSON.stringify(end), /weights\/nothing/);
  }
});

Deno.test("an engine that is not ready yet can be ended", async () => {
  await using made = engine();
  assert.equal(made.state.kind, "starting");
});

/** A thread that is played by the test. */
class Stage {
  readonly threads: PlayedThread[] = [];

  start = () => {
    const thread = new PlayedThread();
    this.threads.push(thread);
    return thread;
  };
}

class PlayedThread {
  onmessage: ((event: MessageEvent<EngineReport>) => void) | null = null;
  onerror = null;
  readonly commands: EngineCommand[] = [];
  /** Is called when it is told to end. */
  onClose = () => this.report({ kind: "ended" });

  postMessage(command: EngineCommand): void {
    this.commands.push(command);
    if (command.kind === "close") this.onClose();
  }

  report(data: EngineReport): void {
    this.onmessage!({ data } as MessageEvent<EngineReport>);
  }

  /** Tasks that it was asked for. */
  get tasks(): ImageTask[] {
    return this.commands.flatMap((command) => command.kind === "make" ? [command.task] : []);
  }
}

const READY = { kind: "ready", adapter: "played", slots: 2 } as const;

Deno.test("who comes later hears what should be known of the picture as well", async () => {
  const stage = new Stage();
  await using made = new ThreadedEngine({ model: MODEL, pipeline: {}, slots: 2 }, stage.start);
  const [thread] = stage.threads;
  thread!.report(READY);
  const heard: ImageUpdate["kind"][][] = [[], []];
  const ask = (i: number) => made.make(task(), { onUpdate: ({ kind }) => heard[i]!.push(kind) });
  const first = ask(0);
  const { id } = thread!.tasks[0]!;
  thread!.report({ kind: "warned", id, warnings: ["Cut."] });
  thread!.report({ kind: "began", id, step: 0, steps: 3 });
  thread!.report({ kind: "progress", id, step: 1, steps: 3 });
  const second = ask(1);
  assert.deepEqual(heard, [["warned", "began", "progress"], ["warned", "progress"]]);
  thread!.report({ kind: "saved", id, saved: null });
  assert.equal(await first, await second);
});

Deno.test("an engine that breaks while it ends is not started again", async () => {
  const { timers } = mock;
  timers.enable({ apis: ["setTimeout"] });
  using _ = { [Symbol.dispose]: () => timers.reset() };
  const stage = new Stage();
  {
    await using made = new ThreadedEngine({ model: MODEL, pipeline: {}, slots: 2 }, stage.start);
    const [thread] = stage.threads;
    thread!.report(READY);
    assert.equal(made.state.kind, "ready");
    thread!.onClose = () => {
      thread!.report({ kind: "broken", message: "The GPU was lost." });
      thread!.report({ kind: "ended" });
    };
  }
  timers.tick(10_000);
  assert.equal(stage.threads.length, 1);
});

Deno.test("the end of an engine is that of its last thread", async () => {
  const { timers } = mock;
  timers.enable({ apis: ["setTimeout"] });
  using _ = { [Symbol.dispose]: () => timers.reset() };
  const stage = new Stage();
  const made = new ThreadedEngine({ model: MODEL, pipeline: {}, slots: 2 }, stage.start);
  stage.threads[0]!.report(READY);
  stage.threads[0]!.report({ kind: "broken", message: "The GPU was lost." });
  stage.threads[0]!.report({ kind: "ended" });
  timers.tick(1000);
  const last = stage.threads[1]!;
  last.report(READY);
  last.onClose = () => {};
  let isOver = false;
  const ended = made[Symbol.asyncDispose]().then(() => isOver = true);
  for (let turn = 0; turn < 10; turn++) await Promise.resolve();
  assert.equal(isOver, false);
  last.report({ kind: "ended" });
  await ended;
  assert.equal(made.state.kind, "closed");
});

Deno.test("what nobody waits for any more is canceled, and asked for anew it is made anew", async () => {
  const stage = new Stage();
  await using made = new ThreadedEngine({ model: MODEL, pipeline: {}, slots: 2 }, stage.start);
  const [thread] = stage.threads;
  thread!.report(READY);
  const leaving = new AbortController();
  const left = made.make(task(), { signal: leaving.signal });
  const [first] = thread!.tasks;
  thread!.report({ kind: "began", id: first!.id, step: 0, steps: 3 });
  assert.equal(made.busy, 1);
  leaving.abort(new Error("gone"));
  await assert.rejects(left, /gone/);
  assert.equal(made.busy, 0);
  assert.deepEqual(thread!.commands.at(-1), { kind: "cancel", id: first!.id });
  await assert.rejects(made.make(task(), { signal: leaving.signal }), /gone/);
  const again = made.make(task());
  const [, second] = thread!.tasks;
  assert.notEqual(second!.id, first!.id);
  const nothing = { files: [], timings: { textMs: 0, stepsMs: 0, encodeMs: 0, gpuMs: 0 } };
  // What was under way is not taken for it.
  thread!.report({ kind: "failed", id: first!.id, error: { code: "failed", message: "late" } });
  thread!.report({ kind: "made", id: second!.id, ...nothing });
  assert.equal((await again).kind, "made");
});

Deno.test("an engine that breaks is replaced, and its pictures are begun again, but not for ever", async () => {
  const timers = mock.timers;
  timers.enable({ apis: ["setTimeout"] });
  using _ = { [Symbol.dispose]: () => timers.reset() };
  const stage = new Stage();
  await using made = new ThreadedEngine({ model: MODEL, pipeline: {}, slots: 2 }, stage.start);
  const running = made.make(task());
  const waiting = made.make(task({ seed: "8" }));
  for (let breaks = 1; breaks <= 2; breaks++) {
    const thread = stage.threads.at(-1)!;
    thread.report(READY);
    const [first] = thread.tasks;
    thread.report({ kind: "began", id: first!.id, step: 0, steps: 3 });
    thread.report({ kind: "broken", message: "The GPU was lost." });
    assert.deepEqual(made.state, { kind: "starting", reason: "The GPU was lost." });
    timers.tick(1000);
    assert.equal(stage.threads.length, 1 + breaks);
  }
  assert.deepEqual((await running as { error?: unknown }).error, {
    code: "failed",
    message: "The GPU was lost.",
  });
  const last = stage.threads.at(-1)!;
  assert.deepEqual(last.tasks.map(({ resolved }) => resolved.jobs[0]!.seed), [8n]);
  last.report(READY);
  const made8 = { files: [], timings: { textMs: 0, stepsMs: 0, encodeMs: 0, gpuMs: 0 } };
  last.report({ kind: "made", id: last.tasks[0]!.id, ...made8 });
  assert.equal((await waiting).kind, "made");
});

Deno.test("a break counts against the images that had begun, not against those that had yet to begin again", async () => {
  const { timers } = mock;
  timers.enable({ apis: ["setTimeout"] });
  using _ = { [Symbol.dispose]: () => timers.reset() };
  const stage = new Stage();
  await using made = new ThreadedEngine({ model: MODEL, pipeline: {}, slots: 2 }, stage.start);
  const image = made.make(task());
  const [{ id }] = stage.threads[0]!.tasks as [ImageTask];
  for (const begins of [true, false, false]) {
    const thread = stage.threads.at(-1)!;
    thread.report(READY);
    if (begins) thread.report({ kind: "began", id, step: 0, steps: 3 });
    thread.report({ kind: "broken", message: "The GPU was lost." });
    assert.equal(made.busy, 0);
    timers.tick(1000);
  }
  const last = stage.threads.at(-1)!;
  assert.deepEqual(last.tasks.map(({ id }) => id), [id]);
  last.report(READY);
  last.report({ kind: "saved", id, saved: null });
  assert.equal((await image).kind, "saved");
});

Deno.test("an engine has slots while it is ready, and knows the median of its last 32 steps", async () => {
  const stage = new Stage();
  await using made = new ThreadedEngine({ model: MODEL, pipeline: {}, slots: 2 }, stage.start);
  assert.deepEqual([made.slots, made.stepMs], [0, null]);
  const [thread] = stage.threads;
  thread!.report(READY);
  assert.deepEqual([made.slots, made.stepMs], [2, null]);
  const steps: number[] = [];
  made.onEvent = (event) => event.kind === "step" && steps.push(event.ms);
  for (const ms of [7, 1, 3]) thread!.report({ kind: "step", ms, images: 1 });
  assert.deepEqual(steps, [7, 1, 3]);
  assert.equal(made.stepMs, 3);
  for (let i = 0; i < 31; i++) thread!.report({ kind: "step", ms: 100 + i, images: 2 });
  // 3, 100, ... 130: the first two are forgotten.
  assert.equal(made.stepMs, 114.5);
});
