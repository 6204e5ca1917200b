import assert from "../assert.ts";
import { UsageError } from "../../src/errors.ts";
import type { Job, JobFile, JobRequest } from "../../src/jobs/job.ts";
import type { Limits } from "../../src/jobs/jobs.ts";
import { modelCard } from "../../src/jobs/model_card.ts";
import { type JobEvent, type JobQueue, NotTaking, QueueFull } from "../../src/jobs/queue/queue.ts";
import { watchQueue } from "../../src/jobs/queue/watched_queue.ts";
import { JobService, type JobServiceOptions, type WorkerHealth } from "../../src/jobs/service.ts";
import type { ResultStore } from "../../src/jobs/store/store.ts";
import { watchStore } from "../../src/jobs/store/watched_store.ts";
import { Unavailable } from "../../src/jobs/unavailable.ts";
import { JobPlace, MODEL, queueWith, requestOf } from "./job_place.ts";

const LIMITS: Limits = {
  pictures: 4,
  steps: 50,
  promptLength: 20,
  pixels: 64 ** 2,
  queueMs: 60_000,
  runMs: 60_000,
  waitMs: 60_000,
};

const READY: WorkerHealth = {
  worker: "ready",
  reason: null,
  slots: { all: 2, busy: 0 },
  stepMs: 12,
};

const warn = (line: string) => assert.fail(line);

function serviceOf(
  { queue, store }: { readonly queue: JobQueue; readonly store: ResultStore },
  worker: WorkerHealth = READY,
  more: Pick<JobServiceOptions, "defaults"> = {},
): JobService {
  const card = modelCard(MODEL);
  const version = () => Promise.resolve({ id: "a", changedAt: 0 });
  const watched = {
    queue: watchQueue(queue, { warn }),
    store: watchStore(store, { warn, writes: true }),
  };
  const model = { model: MODEL, card, version };
  return new JobService({ ...watched, ...model, limits: LIMITS, worker: () => worker, ...more });
}

const SEEN = { progress: { step: 0, steps: 4, etaMs: null, previews: [] }, files: [] };

function aFile(different: Partial<JobFile> = {}): JobFile {
  const size = { width: 32, height: 32, frames: 1, bytes: 3 };
  return {
    name: "0.png",
    picture: 0,
    level: 0,
    seed: "7",
    type: "image/png",
    ...size,
    ...different,
  };
}

/** Whether something is there already, after all that was begun has been done. */
async function isPending(promise: Promise<unknown>): Promise<boolean> {
  const pending = Symbol();
  const later = new Promise((resolve) => setTimeout(() => resolve(pending)));
  return await Promise.race([promise, later]) === pending;
}

Deno.test("what a request does not say is filled in when it is submitted", async () => {
  await using place = await JobPlace.open();
  const { queue } = place;
  const defaults = { steps: 7, sampler: "ddim", guidance: 2 } as const;
  const service = serviceOf(place, READY, { defaults });
  const { steps: _, ...nothing } = requestOf();
  const { id, request } = await service.submit(nothing);
  assert.deepEqual(request, { ...nothing, ...defaults });
  assert.deepEqual((await queue.get(id))!.request, request);
  const said = await service.submit({ ...nothing, steps: 3, guidance: 1 });
  assert.deepEqual(said.request, { ...nothing, ...defaults, steps: 3, guidance: 1 });
  const key = { idempotencyKey: "k" };
  const [first, again] = [await service.submit(nothing, key), await service.submit(nothing, key)];
  assert.equal(first.id, again.id);
  assert.deepEqual(service.defaults, defaults);
});

Deno.test("a request that says no steps asks for no more than the server takes", async () => {
  await using place = await JobPlace.open();
  const { steps: _, ...nothing } = requestOf();
  const service = serviceOf(place);
  // DDPM takes more unless told otherwise, DPM-Solver++ 20; 50 are the most here.
  assert.equal((await service.submit({ ...nothing, sampler: "ddpm" })).request.steps, 50);
  assert.equal((await service.submit(nothing)).request.steps, undefined);
  const few = serviceOf(place, READY, { defaults: { sampler: "ddpm" } });
  assert.equal((await few.submit(nothing)).request.steps, 50);
});

Deno.test("a job over a limit is refused with the limit, and is not kept", async (t) => {
  await using place = await JobPlace.open();
  const service = serviceOf(place);
  const cases: [string, Partial<JobRequest>, string][] = [
    [
      "prompt",
      { prompts: ["a", "a".repeat(21)] },
      "The prompt has 21 letters: 20 are the most that this server takes.",
    ],
    [
      "negative prompt",
      { negative: "a".repeat(30) },
      "The prompt has 30 letters: 20 are the most that this server takes.",
    ],
    [
      "pictures",
      { prompts: ["a", "b"], count: 3 },
      "The job asks for 6 images: 4 are the most that this server makes of one job.",
    ],
    [
      "steps",
      { steps: 51 },
      "The job asks for 51 steps: 50 are the most that this server takes.",
    ],
    [
      "size",
      { size: 96 },
      "The job asks for a size of 96: 64 is the most that this server makes.",
    ],
  ];
  for (const [name, request, message] of cases) {
    await t.step(name, async () => {
      await assert.rejects(service.submit(requestOf(request)), new UsageError(message));
    });
  }
  const cannot: [Partial<JobRequest>, RegExp][] = [
    [{ size: 33 }, /cannot make pictures of size 33/],
    [{ seed: "18446744073709551616" }, /from 0 to 2\^64 - 1/],
    [{ format: "mp4" }, /one of the formats png, jpeg, webp/],
    [{ fps: 8 }, /images, not videos/],
    [{ steps: 0 }, /steps 0/],
  ];
  for (const [request, message] of cannot) {
    await t.step(String(message), async () => {
      await assert.rejects(service.submit(requestOf(request)), (error) => {
        assert.ok(error instanceof UsageError);
        assert.match(error.message, message);
        return true;
      });
    });
  }
  assert.deepEqual(await service.list(), []);
});

Deno.test("a job at every limit is kept, with the time by which it has to begin", async () => {
  await using place = await JobPlace.open();
  const service = serviceOf(place);
  const request = requestOf({ prompts: ["a".repeat(20)], count: 4, steps: 50, size: 64 });
  const job = await service.submit(request, { priority: 2, origin: "cog" });
  const { createdAt, beginBy, priority, origin } = job;
  assert.deepEqual({ priority, origin }, { priority: 2, origin: "cog" });
  assert.equal(beginBy, createdAt + LIMITS.queueMs);
  assert.deepEqual(await service.get(job.id), job);
  assert.equal(await service.position(job.id), 0);
});

Deno.test("a server that is stopping takes no jobs", async () => {
  await using place = await JobPlace.open();
  const service = serviceOf(place, { ...READY, worker: "draining" });
  await assert.rejects(service.submit(requestOf()), NotTaking);
  assert.deepEqual(await service.list(), []);
});

Deno.test("a full queue that knows of no job says when to come again by how long steps take", async () => {
  await using place = await JobPlace.open();
  const guess = new QueueFull(1, 15, true);
  const refusing = (error: Error, worker: Partial<WorkerHealth>) => {
    const queue = queueWith(place.queue, { add: () => Promise.reject(error) });
    const service = serviceOf({ store: place.store, queue }, { ...READY, ...worker });
    return (job: Partial<JobRequest>) =>
      service.submit(requestOf(job)).then(() => null, (error) => error);
  };
  const slots = { all: 2, busy: 0 };
  const known = refusing(guess, { stepMs: 500, slots });
  assert.deepEqual(await known({ steps: 20 }), new QueueFull(1, 10));
  assert.deepEqual(await known({ steps: 20, count: 3 }), new QueueFull(1, 20));
  assert.equal(await refusing(guess, { stepMs: null })({}), guess);
  const measured = new QueueFull(1, 3);
  assert.equal(await refusing(measured, { stepMs: 500 })({}), measured);
});

Deno.test("events begin with the job as it is and end with its end, in order", async () => {
  await using place = await JobPlace.open();
  const service = serviceOf(place);
  const id = await place.add();
  const other = await place.add();
  const seen: string[] = [];
  let lease: Awaited<ReturnType<typeof place.queue.claim>> = null;
  const acts = [
    async () => lease = await place.queue.claim(),
    () => place.queue.cancel(other),
    () => {
      const progress = {
        ...SEEN.progress,
        step: 1,
        previews: [aFile({ name: "preview", level: 1 })],
      };
      return place.queue.heartbeat(lease!, { progress, files: [aFile()] });
    },
    () =>
      place.queue.finish(lease!, {
        state: "succeeded",
        files: [aFile()],
        error: null,
        timings: null,
      }),
  ];
  for await (const { change, job, file } of service.events(id, new AbortController().signal)) {
    assert.equal(job.id, id);
    seen.push([change, job.state, file?.name].filter((part) => part !== undefined).join(" "));
    if (change === "state" || change === "file") {
      do await acts.shift()?.(); while (acts.length === 3);
    }
  }
  assert.deepEqual(seen, [
    "state queued",
    "state running",
    "progress running",
    "preview running preview",
    "file running 0.png",
    "state succeeded",
  ]);
});

Deno.test("events of no job, and of one that has ended, end at once", async () => {
  await using place = await JobPlace.open();
  const service = serviceOf(place);
  const all = async (id: string) =>
    (await Array.fromAsync(service.events(id, new AbortController().signal)))
      .map(({ change, job }) => [change, job.state]);
  assert.deepEqual(await all("none"), []);
  const id = await place.add();
  await service.cancel(id);
  assert.deepEqual(await all(id), [["state", "canceled"]]);
});

Deno.test("for a slow reader no more is kept than the newest of each kind, and every file", async () => {
  await using place = await JobPlace.open();
  const service = serviceOf(place);
  const id = await place.add();
  const lease = await place.queue.claim();
  const both = [aFile(), aFile({ name: "1.png", picture: 1 })];
  const events = service.events(id, new AbortController().signal);
  await events.next();
  for (let step = 1; step <= 300; step++) {
    const previews = [aFile({ name: `preview-${step}`, level: 1 })];
    const files = step < 200 ? [] : step < 250 ? [aFile()] : both;
    await place.queue.heartbeat(lease!, { progress: { ...SEEN.progress, step, previews }, files });
  }
  await place.queue.finish(lease!, {
    state: "canceled",
    files: both,
    error: null,
    timings: null,
  });
  const rest: JobEvent[] = await Array.fromAsync(events);
  assert.deepEqual(rest.map(({ change, file }) => [change, file?.name]), [
    ["file", "0.png"],
    ["file", "1.png"],
    ["progress", undefined],
    ["preview", "preview-300"],
    ["state", undefined],
  ]);
  assert.equal(rest[2]!.job.progress.step, 300);
});

Deno.test("who stops listening is forgotten", async () => {
  await using place = await JobPlace.open();
  let listeners = 0;
  const queue = queueWith(place.queue, {
    listen: (listener) => {
      listeners++;
      const unlisten = place.queue.listen(listener);
      return () => {
        listeners--;
        unlisten();
      };
    },
  }) as typeof place.queue;
  const service = serviceOf({ queue, store: place.store });
  const id = await place.add();
  const leaving = new AbortController();
  const reading = Array.fromAsync(service.events(id, leaving.signal));
  assert.ok(await isPending(reading));
  assert.equal(listeners, 1);
  leaving.abort();
  assert.equal((await reading).length, 1);
  for await (const _ of service.events(id, new AbortController().signal)) break;
  assert.equal(listeners, 0);
});

Deno.test("when nobody follows jobs any more, events end after what has been heard", async () => {
  await using place = await JobPlace.open();
  const service = serviceOf(place);
  const [id, other] = [await place.add(), await place.add()];
  const events = service.events(id, new AbortController().signal);
  await events.next();
  const waiting = service.wait(other, 60_000);
  assert.ok(await isPending(waiting));
  await service.cancel(id);
  service.close();
  assert.deepEqual((await Array.fromAsync(events)).map(({ job }) => job.state), ["canceled"]);
  assert.equal((await waiting)?.state, "queued");
  assert.equal((await service.wait(other, 60_000))?.state, "queued");
});

Deno.test("a wait ends with the job, with its time, or with who waits", async (t) => {
  await using place = await JobPlace.open();
  const service = serviceOf(place);
  const id = await place.add();
  await t.step("with its time", async () => {
    for (const ms of [0, 5]) assert.equal((await service.wait(id, ms))?.state, "queued");
  });
  await t.step("with who waits", async () => {
    const leaving = new AbortController();
    const waiting = service.wait(id, 60_000, leaving.signal);
    assert.ok(await isPending(waiting));
    leaving.abort();
    assert.equal((await waiting)?.state, "queued");
    assert.equal((await service.wait(id, 60_000, leaving.signal))?.state, "queued");
  });
  await t.step("with the job", async () => {
    const waiting = service.wait(id, 60_000);
    assert.ok(await isPending(waiting));
    await place.queue.cancel(id);
    assert.equal((await waiting)?.state, "canceled");
    assert.equal((await service.wait(id, 60_000))?.state, "canceled");
  });
  await t.step("where there is none", async () => {
    assert.equal(await service.wait("none", 60_000), null);
  });
  await t.step("a time longer than timers can wait", async () => {
    const waiting = service.wait(await place.add(), 1e12);
    assert.ok(await isPending(waiting.then(() => "over")));
    await service.purge("plain");
    assert.equal((await waiting)?.state, "canceled");
  });
});

Deno.test("who cancels a job that runs hears of it when its worker has let go", async () => {
  await using place = await JobPlace.open();
  const service = serviceOf(place);
  const id = await place.add();
  const lease = await place.queue.claim();
  const canceled = service.cancel(id);
  assert.ok(await isPending(canceled));
  assert.equal(await place.queue.heartbeat(lease!, SEEN), "canceled");
  assert.ok(await isPending(canceled));
  await place.queue.finish(lease!, { state: "canceled", files: [], error: null, timings: null });
  assert.equal((await canceled)?.state, "canceled");
  assert.equal(await service.cancel("none"), null);
});

Deno.test("a job that has ended is removed with its files, one that has not stays", async () => {
  await using place = await JobPlace.open();
  const service = serviceOf(place);
  const id = await place.add();
  await place.store.put(id, "0.png", Uint8Array.of(1));
  assert.equal(await service.remove(id), false);
  assert.deepEqual(place.names, [`${id}/0.png`]);
  assert.equal((await service.read(id, "0.png"))?.bytes, 1);
  await service.cancel(id);
  assert.equal(await service.remove(id), true);
  assert.deepEqual(place.names, []);
  assert.equal(await service.get(id), null);
  assert.equal(await service.read(id, "0.png"), null);
  assert.equal(await service.remove(id), false);
});

Deno.test("a job can be had once more, and health counts all of them", async () => {
  await using place = await JobPlace.open();
  const service = serviceOf(place);
  const id = await place.add();
  await service.cancel(id);
  const counts = async () => {
    const { jobs, ...known } = await service.health();
    assert.deepEqual(known, { ...READY, away: null });
    return [jobs.queued, jobs.canceled];
  };
  assert.deepEqual(await counts(), [0, 1]);
  const again = await service.retry(id) as Job;
  assert.equal(again.state, "queued");
  assert.deepEqual(await counts(), [1, 0]);
  assert.equal(await service.link(id, "0.png"), null);
});

/** A service of which the queue and the store can be away. */
function breakable(place: JobPlace) {
  const state = { queue: null as string | null, store: null as string | null };
  const look = (of: keyof typeof state) => () =>
    state[of] === null ? Promise.resolve() : Promise.reject(new Unavailable(state[of]!));
  const queue = queueWith(place.queue, { check: look("queue") });
  place.store.check = look("store");
  const options = { warn: () => {}, lookMs: 1 };
  const watched = {
    queue: watchQueue(queue, options),
    store: watchStore(place.store, { ...options, writes: true }),
  };
  const service = new JobService({
    version: () => Promise.resolve({ id: "a", changedAt: 0 }),
    ...watched,
    model: MODEL,
    card: modelCard(MODEL),
    limits: LIMITS,
    worker: () => READY,
  });
  return { service, state, queue: place.queue, ...{ watched } };
}

Deno.test("what is away is known, and numbers are as they were before", async () => {
  await using place = await JobPlace.open();
  const { service, state, watched } = breakable(place);
  await place.add();
  assert.equal(await service.look(), null);
  assert.deepEqual((await service.health()).jobs.queued, 1);
  place.queue.counts = () => Promise.reject(new Unavailable("It is away."));
  const { jobs, away } = await service.health();
  assert.deepEqual([jobs.queued, away], [1, "It is away."]);
  assert.equal(service.knownHealth().away, "It is away.");
  assert.equal(await service.look(), "It is away.");
  while (service.knownHealth().away !== null) await new Promise((r) => setTimeout(r, 1));
  state.store = "The disk is full.";
  assert.equal(await service.look(), "The disk is full.");
  assert.deepEqual(service.knownHealth(), { ...READY, away: "The disk is full." });
  for (const { outage } of [watched.queue, watched.store]) outage[Symbol.dispose]();
});

Deno.test("a job of which nobody heard that it was accepted is withdrawn, unless its client can ask again", async () => {
  await using place = await JobPlace.open();
  const { service, state } = breakable(place);
  const { add } = place.queue;
  place.queue.add = async (job) => {
    await add.call(place.queue, job);
    throw new Unavailable("The answer was lost.");
  };
  state.queue = "It is away.";
  await assert.rejects(service.submit(requestOf({ seed: "1" })), Unavailable);
  await assert.rejects(service.submit(requestOf({ seed: "2" }), { id: "known" }), Unavailable);
  await assert.rejects(
    service.submit(requestOf({ seed: "3" }), { idempotencyKey: "key" }),
    Unavailable,
  );
  const seeds = async () => (await place.queue.list()).map(({ request }) => request.seed);
  assert.deepEqual(await seeds(), ["3", "2", "1"]);
  state.queue = null;
  while ((await seeds()).includes("1")) await new Promise((resolve) => setTimeout(resolve, 1));
  assert.deepEqual(await seeds(), ["3", "2"]);
});

Deno.test("no job is removed while its files could not be", async () => {
  await using place = await JobPlace.open();
  const { service, state, watched } = breakable(place);
  const id = await place.add();
  await service.cancel(id);
  state.store = "The store is away.";
  await service.look();
  await assert.rejects(service.remove(id), new Unavailable("The store is away."));
  assert.equal((await service.get(id))?.id, id);
  state.store = null;
  while (watched.store.outage.reason !== null) await new Promise((r) => setTimeout(r, 1));
  assert.equal(await service.remove(id), true);
});
