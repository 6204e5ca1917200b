import assert from "../assert.ts";
import { mock } from "node:test";
import type { ImageUpdate } from "../../src/engine/engine.ts";
import type { EngineCommand, EngineReport } from "../../src/engine/engine_protocol.ts";
import type { ImageTask } from "../../src/engine/image_task.ts";
import { ThreadedEngine } from "../../src/engine/threaded_engine.ts";
import { within } from "../within.ts";
import { task } from "./task.ts";

const MODEL = "weights/shapes32";

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

Deno.test("who comes later hears what should be known of the image as well", async () => {
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

Deno.test("an engine that breaks is replaced, and its images are begun again, but not for ever", async () => {
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

Deno.test("an image is shared by those who want the same of it, and not when it goes on", async () => {
  const stage = new Stage();
  await using made = new ThreadedEngine({ model: MODEL, pipeline: {}, slots: 2 }, stage.start);
  const [thread] = stage.threads;
  const saved = { step: 1, weights: "0", latents: [], estimates: [] };
  const asked = [
    ...[task(), task({}, { priority: 1, createdAt: 7 })],
    ...[task({ format: "jpeg" }), task({ levels: true }), task({ preview: true })],
    ...[task({ steps: 4 }), task({ seed: "8" }), task({ negative: "a ring" })],
    ...[task({}, { saved }), task({}, { saved })],
  ].map((one) => made.make(one));
  assert.equal(thread!.tasks.length, asked.length - 1);
  for (const { id } of thread!.tasks) thread!.report({ kind: "saved", id, saved: null });
  await Promise.all(asked);
});

Deno.test("an engine that is stopped before it is ready gives back the states that it got", async () => {
  const stage = new Stage();
  await using made = new ThreadedEngine({ model: MODEL, pipeline: {}, slots: 2 }, stage.start);
  const saved = { step: 1, weights: "0", latents: [], estimates: [] };
  const ends = [made.make(task()), made.make(task({}, { saved }))];
  made.save();
  const states = (await within(1, "the images to end", Promise.all(ends)))
    .map((end) => end.kind === "saved" && end.saved);
  assert.deepEqual(states, [null, saved]);
  // One that is ready is asked for them.
  stage.threads[0]!.report(READY);
  made.save();
  assert.deepEqual(stage.threads[0]!.commands.at(-1), { kind: "save" });
});
