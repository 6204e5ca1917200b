import assert from "../assert.ts";
import type { ImageResult, ImageUpdate } from "../../src/engine/engine.ts";
import { type EngineState, ThreadedEngine } from "../../src/engine/threaded_engine.ts";
import { task } from "./task.ts";

const MODEL = "weights/shapes32";

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

Deno.test("an engine makes images in a thread of its own", async (t) => {
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

  await t.step("the same image is made once for all who ask for it at a time", async () => {
    const began: string[] = [];
    const ask = () =>
      made.make(task({ seed: "8" }), { onUpdate: (n) => n.kind === "began" && began.push(n.id) });
    const [a, b, other] = await Promise.all([ask(), ask(), made.make(task({ seed: "9" }))]);
    assert.equal(a, b);
    assert.equal(new Set(began).size, 1);
    assert.notDeepEqual(bytes(a!), bytes(other!));
    assert.equal(made.busy, 0);
  });

  await t.step("one who leaves does not take the image from the others", async () => {
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
    "images that are stopped go on with another engine to the same bytes",
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
