/** A store that is watched: what has no place in the tests of `Outage`. */
import assert from "../../assert.ts";
import { removeFiles } from "../../../src/jobs/store/remove_files.ts";
import { watchStore } from "../../../src/jobs/store/watched_store.ts";
import { Unavailable } from "../../../src/jobs/unavailable.ts";
import { MemoryStore } from "../job_place.ts";

const warn = () => {};
const content = (...bytes: number[]) => Uint8Array.from(bytes);

Deno.test("a file is read as it is, and one that stalls breaks off, which is no outage", async () => {
  const store = new MemoryStore();
  await using watched = watchStore(store, { warn, writes: true, stallMs: 20 });
  await watched.put("job", "0.png", content(1, 2, 3), "image/png");
  const file = (await watched.get("job", "0.png"))!;
  assert.equal(file.bytes, 3);
  assert.deepEqual(await new Response(file.body).bytes(), content(1, 2, 3));
  assert.equal(await watched.get("job", "1.png"), null);

  let canceled = false;
  store.get = () => {
    const body = new ReadableStream<Uint8Array<ArrayBuffer>>({
      start: (controller) => controller.enqueue(content(1)),
      cancel: () => void (canceled = true),
    });
    return Promise.resolve({ body, bytes: 3 });
  };
  const stalled = (await watched.get("job", "0.png"))!;
  await assert.rejects(
    new Response(stalled.body).bytes(),
    new Unavailable("Cannot use the results in memory: a file came only in part."),
  );
  assert.ok(canceled);
  assert.equal(watched.outage.reason, null);
  canceled = false;
  await (await watched.get("job", "0.png"))!.body.cancel();
  assert.ok(canceled);
});

Deno.test("a file that comes too late is let go", async () => {
  const store = new MemoryStore();
  const coming = Promise.withResolvers<void>();
  const canceled = Promise.withResolvers<void>();
  store.get = async () => {
    await coming.promise;
    return { body: new ReadableStream({ cancel: () => canceled.resolve() }), bytes: 3 };
  };
  const watched = watchStore(store, { warn, writes: true, patienceMs: 20 });
  await assert.rejects(watched.get("job", "0.png"), Unavailable);
  coming.resolve();
  await canceled.promise;
  watched.outage[Symbol.dispose]();
});

Deno.test("what a process looks for is whether it can do what it does", async () => {
  const store = new MemoryStore();
  const asked: unknown[] = [];
  store.check = (...about: unknown[]) => {
    asked.push(...about);
    return Promise.resolve();
  };
  for (const writes of [true, false]) {
    await using watched = watchStore(store, { warn, writes });
    assert.equal(await watched.outage.look(), null);
  }
  assert.deepEqual(asked, [true, false]);
});

Deno.test("files of forgotten jobs are removed as soon as the store is there", async () => {
  const store = new MemoryStore();
  const watched = watchStore(store, { warn, writes: true, lookMs: 1 });
  for (const job of ["a", "b", "c"]) await watched.put(job, "0.png", content(1), "image/png");
  const { remove } = store;
  let away = true;
  store.remove = async (job) => {
    if (away && job === "b") throw new Unavailable("It is away.");
    await remove.call(store, job);
  };
  store.check = () => away ? Promise.reject(new Unavailable("It is away.")) : Promise.resolve();
  await removeFiles(watched, ["a", "b", "c"]);
  assert.deepEqual([...store.files.keys()], ["b/0.png", "c/0.png"]);
  away = false;
  while (store.files.size > 0) await new Promise((resolve) => setTimeout(resolve, 1));
});
