/** What every queue has to hold, whatever keeps it. */
import assert from "../../assert.ts";
import { fileURLToPath } from "node:url";
import {
  JOB_STATES,
  type JobFile,
  type JobOutcome,
  type JobRequest,
} from "../../../src/jobs/job.ts";
import {
  type Delivery,
  JobConflict,
  type JobEvent,
  type JobQueue,
  type Lease,
  type NewJob,
  QueueFull,
} from "../../../src/jobs/queue/queue.ts";
import type { QueueOptions } from "../../../src/jobs/queue/queue_options.ts";
import { within } from "../../within.ts";

/** Where a test's jobs are. */
export interface QueueFixture {
  /** Opens a connection to them, as each process has one. */
  open(options?: Partial<QueueOptions>): Promise<JobQueue>;
  /** For other processes. */
  readonly address: string;
  /** What other processes need. */
  readonly permissions: readonly string[];
  now(): number;
  /** Lets time pass. */
  pass(ms: number): void;
}

/** The options of queues unless a test says otherwise. */
export const OPTIONS: QueueOptions = { limit: 100, leaseMs: 30_000, maxAttempts: 2 };

const LEASE_OVER = OPTIONS.leaseMs + 1;
const PROGRESS = { step: 0, steps: 0, etaMs: null, previews: [] };
const WEBHOOK = {
  url: "https://example.com/hook",
  events: ["start", "output", "logs", "completed"],
} as const;

/** Seconds that a test may take: one whose queue goes on for ever fails then. */
const PATIENCE_S = 10;
/** Seconds that one may take that starts processes. */
const PROCESSES_S = 120;

/** Registers the tests for one kind of queue; `withJobs` gives each a place without jobs. */
export function testQueue(
  name: string,
  withJobs: (use: (fixture: QueueFixture) => Promise<void>) => Promise<void>,
): void {
  const test = (
    sentence: string,
    run: (queue: JobQueue, fixture: QueueFixture) => Promise<void>,
    { patienceS = PATIENCE_S, ...options }: Partial<QueueOptions & { patienceS: number }> = {},
  ) =>
    Deno.test(`${name}: ${sentence}`, () =>
      withJobs((fixture) =>
        within(
          patienceS,
          "the queue",
          fixture.open(options).then(async (opened) => {
            await using queue = opened;
            await run(queue, fixture);
          }),
        )
      ));

  test("a job is kept as it was given, and waits", async (queue, fixture) => {
    const { now } = fixture;
    const options = {
      priority: 3,
      deadline: now() + 5000,
      beginBy: now() + 4000,
      webhook: WEBHOOK,
      origin: "cog",
      note: { any: ["thing", 1, null] },
    };
    const { beginBy, deadline, webhook, origin, note, priority } = options;
    const request: JobRequest = {
      ...requestOf("größer ☀"),
      guidanceInterval: [0.25, 0.75],
      seed: "18446744073709551615",
    };
    const expected = {
      ...{ id: "a", origin, note, request, priority, beginBy, deadline, webhook },
      ...{ state: "queued", attempts: 0, createdAt: now(), startedAt: null, finishedAt: null },
      ...{ progress: PROGRESS, files: [], error: null, warnings: [], timings: null },
    };
    assert.deepEqual(
      await queue.add({ id: "a", request, createdAt: now(), ...options }),
      expected,
    );
    await using other = await fixture.open();
    assert.deepEqual(await other.get("a"), expected);
  });

  test("it says what it is called, and can be written", async (queue) => {
    assert.match(queue.name, /^the queue (at [\w.]+:\d+|".+")$/);
    await queue.check();
    assert.deepEqual(await queue.list(), []);
  });

  test("a job that says little gets the defaults", async (queue, fixture) => {
    const job = await queue.add({ id: "a", request: requestOf("a"), createdAt: fixture.now() });
    const { origin, note, priority, beginBy, deadline, webhook } = job;
    assert.deepEqual(
      { origin, note, priority, beginBy, deadline, webhook },
      { origin: "plain", note: null, priority: 0, beginBy: null, deadline: null, webhook: null },
    );
  });

  test("what is not there is null", async (queue) => {
    assert.equal(await queue.get("nobody"), null);
    assert.equal(await queue.cancel("nobody"), null);
    assert.equal(await queue.retry("nobody"), null);
    assert.equal(await queue.claim(), null);
    assert.equal(await queue.position("nobody"), 0);
    assert.equal(await queue.purge("nobody"), 0);
    assert.deepEqual(await queue.list(), []);
    const lease = { job: { id: "nobody" }, token: "none" } as unknown as Lease;
    assert.equal(await queue.heartbeat(lease, { progress: PROGRESS, files: [] }), "lost");
    assert.equal(await queue.finish(lease, done()), false);
    assert.equal(await queue.release(lease, []), false);
  });

  test("a known id or idempotency key gives the job that has it", async (queue, { now }) => {
    const add = (job: Partial<NewJob>) =>
      queue.add({ id: "a", request: requestOf("a"), createdAt: now(), ...job });
    const first = await add({ idempotencyKey: "key" });
    assert.deepEqual(await add({ id: "b", idempotencyKey: "key" }), first);
    assert.deepEqual(await add({ idempotencyKey: "other" }), first);
    assert.equal(await queue.get("b"), null);
    // The same request, its fields in another order.
    const request = Object.fromEntries(Object.entries(first.request).reverse()) as never;
    assert.deepEqual(await add({ request }), first);
    assert.equal((await queue.counts()).queued, 1);
    await queue.finish((await queue.claim())!, done());
    assert.equal((await add({ id: "b", idempotencyKey: "key" })).state, "succeeded");
  });

  test("an id or key of another request is a conflict", async (queue, { now }) => {
    const add = (id: string, prompt: string, idempotencyKey?: string) =>
      queue.add({
        ...{ id, request: requestOf(prompt), createdAt: now() },
        ...idempotencyKey !== undefined && { idempotencyKey },
      });
    await add("a", "a", "key");
    await assert.rejects(add("a", "b"), JobConflict);
    await assert.rejects(add("b", "b", "key"), JobConflict);
    assert.equal(await queue.get("b"), null);
  });

  test("ids that look like numbers or names of objects are ids", async (queue, { now }) => {
    const ids = ["123", "0", "__proto__", "constructor", "a-b_C"];
    for (const id of ids) await queue.add({ id, request: requestOf(id), createdAt: now() });
    for (const id of ids) assert.equal((await queue.get(id))?.id, id);
    for (const id of ids) assert.equal((await queue.claim())?.job.id, id);
  });

  test("as many wait as may, and the next one hears when to come again", async (queue, fixture) => {
    const { now, pass } = fixture;
    const add = (id: string) => queue.add({ id, request: requestOf(id), createdAt: now() });
    const full = async () => {
      const error = await add("late").then(() => assert.fail("It was kept."), (error) => error);
      assert.ok(error instanceof QueueFull);
      assert.equal(error.limit, 2);
      return [error.retryAfter, error.isGuess];
    };
    await add("a");
    await add("b");
    assert.deepEqual(await full(), [15, true]); // Nothing is known yet.
    await add("a"); // It is known.
    const first = (await queue.claim())!;
    await add("c");
    assert.deepEqual(await full(), [15, true]);
    const progress = { step: 1, steps: 3, etaMs: 4200, previews: [] };
    await queue.heartbeat(first, { progress, files: [] });
    assert.deepEqual(await full(), [5, false]); // By its own steps.
    pass(6000);
    await queue.finish(first, done());
    assert.deepEqual(await full(), [6, false]); // As long as that one took.
    const second = (await queue.claim())!;
    await add("d");
    pass(2000);
    assert.deepEqual(await full(), [4, false]);
    pass(8000);
    assert.deepEqual(await full(), [1, false]);
    await queue.finish(second, done());
    assert.deepEqual(await full(), [8, false]); // The middle of 6 and 10 seconds.
    pass(3600_000);
    assert.deepEqual(await full(), [15, true]);
    assert.equal(await queue.get("late"), null);
  }, { limit: 2 });

  test("one that has waited too long makes room", async (queue, { now, pass }) => {
    await queue.add({ id: "a", request: requestOf("a"), createdAt: now(), beginBy: now() + 10 });
    pass(11);
    await queue.add({ id: "b", request: requestOf("b"), createdAt: now() });
    assert.equal((await queue.get("a"))?.error?.code, "expired");
  }, { limit: 1 });

  test("lists the newest first, by state, origin and number", async (queue, { now }) => {
    for (const id of ["a", "b", "c", "d"]) {
      const origin = id < "c" ? "cog" : "openai";
      await queue.add({ id, request: requestOf(id), createdAt: now(), origin });
    }
    await queue.claim();
    const ids = async (filter?: Parameters<JobQueue["list"]>[0]) =>
      (await queue.list(filter)).map(({ id }) => id).join("");
    assert.equal(await ids(), "dcba");
    assert.equal(await ids({ limit: 2 }), "dc");
    assert.equal(await ids({ origin: "cog" }), "ba");
    assert.equal(await ids({ states: ["running"] }), "a");
    assert.equal(await ids({ states: ["queued"], origin: "cog" }), "b");
    assert.equal(await ids({ states: ["queued"], origin: "openai", limit: 1 }), "d");
    assert.equal(await ids({ states: [] }), "");
    assert.equal(await ids({ before: "c" }), "ba");
    assert.equal(await ids({ before: "d", limit: 2 }), "cb");
    assert.equal(await ids({ before: "c", origin: "openai" }), "");
    assert.equal(await ids({ before: "d", states: ["running"] }), "a");
    assert.equal(await ids({ before: "a" }), "");
    assert.equal(await ids({ before: "gone" }), "");
  });

  test("the highest priority comes first, then the oldest", async (queue, { now, pass }) => {
    const priorities = { a: 0, b: -5, c: 10, d: 0, e: 1000, f: 10, g: 1 };
    for (const [id, priority] of Object.entries(priorities)) {
      await queue.add({ id, request: requestOf(id), createdAt: now(), priority });
      pass(1);
    }
    const order = ["e", "c", "f", "g", "a", "d", "b"];
    const positions = await Promise.all(order.map((id) => queue.position(id)));
    assert.deepEqual(positions, [0, 1, 2, 3, 4, 5, 6]);
    for (const id of order) assert.equal((await queue.claim())?.job.id, id);
    assert.equal(await queue.position("b"), 0);
  });

  test("requests that are being computed come first", async (queue, { now }) => {
    for (const [id, prompt] of [["a", "x"], ["b", "y"], ["c", "z"], ["d", "y"]] as const) {
      await queue.add({ id, request: requestOf(prompt), createdAt: now() });
    }
    const alike = [requestOf("y"), requestOf("nothing")];
    const claimed = async (requests?: JobRequest[]) =>
      (await queue.claim(requests === undefined ? {} : { alike: requests }))?.job.id;
    assert.equal(await claimed(alike), "b");
    assert.equal(await claimed(alike), "d");
    assert.equal(await claimed(alike), "a");
    assert.equal(await claimed(), "c");
  });

  test(
    "of those that ask for the same the most urgent comes first",
    async (queue, { now, pass }) => {
      for (
        const [id, priority] of [["old", 0], ["urgent", 2], ["as urgent", 2], ["other", 9]] as const
      ) {
        const request = requestOf(id === "other" ? id : "same");
        await queue.add({ id, request, createdAt: now(), priority });
        pass(1);
      }
      const order = [];
      for (let i = 0; i < 3; i++) {
        order.push((await queue.claim({ alike: [requestOf("same")] }))?.job.id);
      }
      assert.deepEqual(order, ["urgent", "as urgent", "old"]);
    },
  );

  test("counts jobs by state", async (queue, { now }) => {
    assert.deepEqual(
      await queue.counts(),
      Object.fromEntries([...JOB_STATES, "retried"].map((state) => [state, 0])),
    );
    for (const id of ["a", "b", "c", "d", "e"]) {
      await queue.add({ id, request: requestOf(id), createdAt: now() });
    }
    await queue.finish((await queue.claim())!, done());
    await queue.finish((await queue.claim())!, failure());
    await queue.claim();
    await queue.cancel("e");
    assert.deepEqual(
      await queue.counts(),
      { queued: 1, running: 1, succeeded: 1, failed: 1, canceled: 1, retried: 0 },
    );
  });

  test("counts how often a job is queued once more", async (queue, { now, pass, open }) => {
    const retried = async () => (await queue.counts()).retried;
    await queue.add({ id: "a", request: requestOf("a"), createdAt: now() });
    await queue.release((await queue.claim())!, []);
    assert.equal(await retried(), 0); // Its worker gave it back.
    await queue.claim();
    pass(LEASE_OVER);
    await queue.finish((await queue.claim())!, failure());
    assert.equal(await retried(), 1); // Its worker had died.
    await queue.retry("a");
    await queue.retry("a");
    assert.equal(await retried(), 2);
    await queue.cancel("a");
    await queue.retry("a");
    await using other = await open();
    assert.equal((await other.counts()).retried, 3);
  });

  test("a worker gets a job, says how far it is, and ends it", async (queue, { now, pass }) => {
    const createdAt = now();
    await queue.add({ id: "a", request: requestOf("a"), createdAt });
    pass(5);
    const lease = (await queue.claim())!;
    assert.deepEqual(lease.checkpoints, []);
    assert.deepEqual(lease.job, await queue.get("a"));
    assert.equal(lease.job.state, "running");
    assert.equal(lease.job.attempts, 1);
    assert.equal(lease.job.startedAt, createdAt + 5);
    const progress = { step: 3, steps: 20, etaMs: 170, previews: [fileOf("preview-0.png")] };
    const files = [fileOf("0.png")];
    assert.equal(await queue.heartbeat(lease, { progress, files }), "alive");
    assert.deepEqual(await queue.get("a"), { ...lease.job, progress, files });
    pass(7);
    const outcome = done("0.png", "1.png");
    assert.equal(await queue.finish(lease, outcome), true);
    assert.deepEqual(await queue.get("a"), {
      ...lease.job,
      ...outcome,
      progress: { ...progress, etaMs: null },
      finishedAt: createdAt + 12,
    });
  });

  test("a job that failed says why", async (queue, { now }) => {
    await queue.add({ id: "a", request: requestOf("a"), createdAt: now() });
    await queue.finish((await queue.claim())!, failure());
    const { state, error } = (await queue.get("a"))!;
    assert.deepEqual({ state, error }, { state: "failed", error: failure().error });
  });

  test("a job ends once, whatever is said after", async (queue, { now }) => {
    await queue.add({ id: "a", request: requestOf("a"), createdAt: now(), webhook: WEBHOOK });
    const lease = (await queue.claim())!;
    assert.equal(await queue.finish(lease, done("0.png")), true);
    const end = await queue.get("a");
    // It was this worker that ended it, which may not have heard the answer; but nothing more is done.
    assert.equal(await queue.finish(lease, failure()), true);
    assert.equal(await queue.finish({ ...lease, token: "made up" }, failure()), false);
    assert.equal(await queue.release(lease, []), false);
    assert.equal(await queue.heartbeat(lease, { progress: PROGRESS, files: [] }), "lost");
    assert.deepEqual(await queue.cancel("a"), end);
    assert.deepEqual(await queue.retry("a"), end);
    assert.deepEqual(await queue.get("a"), end);
    assert.equal(await queue.claim(), null);
    const events = (await queue.takeDeliveries(9)).map(({ event }) => event);
    assert.deepEqual(events, ["start", "output", "completed"]);
  });

  test("tokens cannot be guessed from others", async (queue, { now }) => {
    const tokens = new Set<string>();
    for (const id of ["a", "b", "c"]) {
      await queue.add({ id, request: requestOf(id), createdAt: now() });
      tokens.add((await queue.claim())!.token);
    }
    assert.equal(tokens.size, 3);
    for (const token of tokens) assert.match(token, /^[\w-]{20,}$/);
  });

  test("a lease that is kept alive is nobody else's", async (queue, { now, pass }) => {
    await queue.add({ id: "a", request: requestOf("a"), createdAt: now() });
    const lease = (await queue.claim())!;
    for (let i = 0; i < 5; i++) {
      pass(OPTIONS.leaseMs - 1000);
      assert.equal(await queue.heartbeat(lease, { progress: PROGRESS, files: [] }), "alive");
      assert.equal(await queue.claim(), null);
    }
  });

  test(
    "what a dead worker had is taken by another, and the dead one is not heard",
    async (queue, fixture) => {
      const { now, pass } = fixture;
      await queue.add({ id: "a", request: requestOf("a"), createdAt: now(), webhook: WEBHOOK });
      const old = (await queue.claim())!;
      await queue.heartbeat(old, {
        progress: { ...PROGRESS, step: 9, steps: 10 },
        files: [fileOf("0.png")],
      });
      await queue.add({ id: "b", request: requestOf("b"), createdAt: now() });
      pass(LEASE_OVER);
      const lease = (await queue.claim())!; // It is older than b.
      assert.equal(lease.job.id, "a");
      assert.equal(lease.job.attempts, 2);
      assert.equal(lease.job.startedAt, old.job.startedAt);
      assert.deepEqual(lease.job.progress, PROGRESS);
      assert.deepEqual(lease.job.files, [fileOf("0.png")]);
      assert.notEqual(lease.token, old.token);
      assert.equal(await queue.heartbeat(old, { progress: PROGRESS, files: [] }), "lost");
      assert.equal(await queue.release(old, ["x"]), false);
      assert.equal(await queue.finish(old, failure()), false);
      assert.deepEqual(await queue.get("a"), lease.job);
      assert.equal(await queue.finish(lease, done("0.png")), true);
      assert.equal(await queue.finish(old, failure()), false);
      assert.equal((await queue.get("a"))?.state, "succeeded");
      const events = (await queue.takeDeliveries(9)).map(({ event }) => event);
      assert.deepEqual(events, ["start", "output", "completed"]);
    },
  );

  test("a worker that was silent but has lost nothing may go on", async (queue, fixture) => {
    await queue.add({ id: "a", request: requestOf("a"), createdAt: fixture.now() });
    const lease = (await queue.claim())!;
    fixture.pass(LEASE_OVER);
    assert.equal(await queue.heartbeat(lease, { progress: PROGRESS, files: [] }), "alive");
    assert.equal(await queue.claim(), null);
    fixture.pass(LEASE_OVER);
    assert.equal(await queue.finish(lease, done()), true);
  });

  test(
    "a job over which workers die fails as lost after as many attempts as may be",
    async (queue, { now, pass }) => {
      await queue.add({ id: "a", request: requestOf("a"), createdAt: now(), webhook: WEBHOOK });
      for (let attempt = 1; attempt <= OPTIONS.maxAttempts; attempt++) {
        assert.equal((await queue.claim())?.job.attempts, attempt);
        pass(LEASE_OVER);
      }
      assert.equal(await queue.claim(), null);
      const { state, error, attempts, finishedAt } = (await queue.get("a"))!;
      assert.deepEqual(
        { state, code: error?.code, attempts, finishedAt },
        { state: "failed", code: "lost", attempts: 2, finishedAt: now() },
      );
      const events = (await queue.takeDeliveries(9)).map(({ event }) => event);
      assert.deepEqual(events, ["start", "completed"]);
    },
  );

  test(
    "what waited too long has failed when the next one is taken",
    async (queue, { now, pass }) => {
      const add = (id: string, times: Partial<NewJob>) =>
        queue.add({ id, request: requestOf(id), createdAt: now(), webhook: WEBHOOK, ...times });
      await add("begin", { beginBy: now() + 10 });
      await add("end", { deadline: now() + 10, priority: -1 });
      await add("both", { beginBy: now() + 99, deadline: now() + 10 });
      await add("late", { beginBy: now() + 99, deadline: now() + 99 });
      await add("never", {});
      pass(11);
      assert.equal((await queue.claim())?.job.id, "late");
      for (const id of ["begin", "end", "both"]) {
        const { state, error, attempts, finishedAt } = (await queue.get(id))!;
        assert.deepEqual(
          { state, code: error?.code, attempts, finishedAt },
          { state: "failed", code: "expired", attempts: 0, finishedAt: now() },
        );
      }
      const told = (await queue.takeDeliveries(9)).map(({ event, job }) => `${job.id} ${event}`);
      assert.deepEqual(told.sort(), [
        "begin completed",
        "both completed",
        "end completed",
        "late start",
      ]);
    },
  );

  test("one that has begun in time may wait again", async (queue, { now, pass }) => {
    await queue.add({ id: "a", request: requestOf("a"), createdAt: now(), beginBy: now() + 10 });
    await queue.release((await queue.claim())!, []);
    pass(11);
    assert.equal((await queue.claim())?.job.id, "a");
  });

  test("a job that waits is canceled at once", async (queue, { now }) => {
    await queue.add({ id: "a", request: requestOf("a"), createdAt: now(), webhook: WEBHOOK });
    const job = await queue.cancel("a");
    assert.deepEqual(job, await queue.get("a"));
    assert.equal(job?.state, "canceled");
    assert.equal(job?.finishedAt, now());
    assert.equal(await queue.claim(), null);
    const events = (await queue.takeDeliveries(9)).map(({ event }) => event);
    assert.deepEqual(events, ["completed"]);
  });

  test("the worker of a job that runs is asked to stop", async (queue, { now }) => {
    await queue.add({ id: "a", request: requestOf("a"), createdAt: now() });
    const lease = (await queue.claim())!;
    assert.equal((await queue.cancel("a"))?.state, "running");
    assert.equal(await queue.heartbeat(lease, { progress: PROGRESS, files: [] }), "canceled");
    assert.equal(await queue.heartbeat(lease, { progress: PROGRESS, files: [] }), "canceled");
    const outcome = { state: "canceled", files: [], error: null, timings: null } as const;
    assert.equal(await queue.finish(lease, outcome), true);
    assert.equal((await queue.get("a"))?.state, "canceled");
  });

  test("a job that was to stop is not begun again", async (queue, { now, pass }) => {
    for (const id of ["died", "gave back"]) {
      await queue.add({ id, request: requestOf(id), createdAt: now() });
    }
    await queue.claim();
    const lease = (await queue.claim())!;
    await queue.cancel("died");
    await queue.cancel("gave back");
    assert.equal(await queue.release(lease, ["x"]), true);
    pass(LEASE_OVER);
    assert.equal(await queue.claim(), null);
    for (const id of ["died", "gave back"]) {
      assert.equal((await queue.get(id))?.state, "canceled");
    }
  });

  test("a job that ended badly can be queued once more", async (queue, { now, pass }) => {
    const times = { beginBy: now() + 100, deadline: now() + 200 };
    await queue.add({
      ...{ id: "a", request: requestOf("a"), createdAt: now(), webhook: WEBHOOK, ...times },
    });
    const first = await queue.get("a");
    await queue.finish((await queue.claim())!, failure("0.png"));
    await queue.takeDeliveries(9);
    pass(1000);
    const shifted = { beginBy: times.beginBy + 1000, deadline: times.deadline + 1000 };
    assert.deepEqual(await queue.retry("a"), { ...first, ...shifted });
    assert.equal((await queue.retry("a"))?.state, "queued");
    const lease = (await queue.claim())!;
    assert.equal(lease.job.attempts, 1);
    assert.equal((await queue.retry("a"))?.state, "running");
    await queue.finish(lease, done("0.png"));
    assert.equal((await queue.retry("a"))?.state, "succeeded");
    const events = (await queue.takeDeliveries(9)).map(({ event }) => event);
    assert.deepEqual(events, ["start", "output", "completed"]);
  });

  test(
    "a job that is queued once more twice has as much time each time",
    async (queue, fixture) => {
      const { now, pass } = fixture;
      const times = { beginBy: now() + 100, deadline: now() + 200 };
      await queue.add({ id: "a", request: requestOf("a"), createdAt: now(), ...times });
      for (const ms of [1000, 3000]) {
        await queue.finish((await queue.claim())!, failure());
        pass(ms);
        const { beginBy, deadline } = (await queue.retry("a"))!;
        assert.deepEqual({ beginBy, deadline }, { beginBy: now() + 100, deadline: now() + 200 });
      }
    },
  );

  test(
    "one that was canceled, has expired or was lost can be queued once more",
    async (queue, { now, pass }) => {
      const add = (id: string, times: Partial<NewJob> = {}) =>
        queue.add({ id, request: requestOf(id), createdAt: now(), ...times });
      await add("canceled");
      await queue.cancel("canceled");
      await add("lost");
      for (let i = 0; i < OPTIONS.maxAttempts; i++) {
        await queue.claim();
        pass(LEASE_OVER);
      }
      await add("expired", { beginBy: now() + 10 });
      pass(11);
      assert.equal(await queue.claim(), null);
      for (const id of ["lost", "canceled", "expired"]) {
        assert.equal((await queue.retry(id))?.state, "queued");
        pass(1);
      }
      await add("new");
      for (const id of ["lost", "canceled", "expired", "new"]) {
        assert.equal((await queue.claim())?.job.id, id);
      }
    },
  );

  test("purging cancels what waits of one protocol only", async (queue, { now }) => {
    const origins = { a: "cog", b: "runpod", c: "cog", d: "cog" };
    for (const [id, origin] of Object.entries(origins)) {
      await queue.add({ id, request: requestOf(id), createdAt: now(), origin, webhook: WEBHOOK });
    }
    await queue.claim();
    assert.equal(await queue.purge("cog"), 2);
    const states = (await queue.list()).map(({ id, state }) => `${id} ${state}`);
    assert.deepEqual(states, ["d canceled", "c canceled", "b queued", "a running"]);
    const told = (await queue.takeDeliveries(9)).map(({ event, job }) => `${job.id} ${event}`);
    assert.deepEqual(told.sort(), ["a start", "c completed", "d completed"]);
  });

  test(
    "what should be known of a job is kept until it is queued once more",
    async (queue, { now }) => {
      await queue.add({ id: "a", request: requestOf("a"), createdAt: now() });
      const warnings = async () => (await queue.get("a"))!.warnings;
      assert.deepEqual(await warnings(), []);
      const lease = (await queue.claim())!;
      const seen = { progress: PROGRESS, files: [] };
      await queue.heartbeat(lease, { ...seen, warnings: ["Cut."] });
      assert.deepEqual(await warnings(), ["Cut."]);
      await queue.heartbeat(lease, seen);
      assert.deepEqual(await warnings(), ["Cut."]);
      await queue.release(lease, []);
      const again = (await queue.claim())!;
      assert.deepEqual(again.job.warnings, ["Cut."]);
      const error = { code: "failed", message: "It failed." } as const;
      const outcome = { state: "failed", files: [], error, timings: null } as const;
      await queue.finish(again, { ...outcome, warnings: ["Cut.", "Cut again."] });
      assert.deepEqual(await warnings(), ["Cut.", "Cut again."]);
      await queue.retry("a");
      assert.deepEqual(await warnings(), []);
    },
  );

  test(
    "a job that is given back is begun again first, from its checkpoints, as the same attempt",
    async (queue, { now, pass }) => {
      await queue.add({ id: "a", request: requestOf("a"), createdAt: now(), webhook: WEBHOOK });
      pass(1);
      await queue.add({ id: "b", request: requestOf("b"), createdAt: now() });
      const lease = (await queue.claim())!;
      await queue.heartbeat(lease, { progress: PROGRESS, files: [fileOf("0.png")] });
      const checkpoints = ["checkpoint-1.bin", "checkpoint-2.bin"];
      assert.equal(await queue.release(lease, checkpoints), true);
      assert.equal(await queue.release(lease, []), false);
      const { state, attempts } = (await queue.get("a"))!;
      assert.deepEqual({ state, attempts }, { state: "queued", attempts: 0 });
      const again = (await queue.claim())!;
      assert.equal(again.job.id, "a");
      assert.equal(again.job.attempts, 1);
      assert.equal(again.job.startedAt, lease.job.startedAt);
      assert.deepEqual(again.job.files, [fileOf("0.png")]);
      assert.deepEqual(again.checkpoints, checkpoints);
      assert.equal(await queue.heartbeat(lease, { progress: PROGRESS, files: [] }), "lost");
      pass(LEASE_OVER); // They still hold when that one dies as well.
      assert.deepEqual((await queue.claim())?.checkpoints, checkpoints);
      const events = (await queue.takeDeliveries(9)).map(({ event }) => event);
      assert.deepEqual(events, ["start", "output"]);
    },
  );

  test("giving back is no attempt, however often", async (queue, { now }) => {
    await queue.add({ id: "a", request: requestOf("a"), createdAt: now() });
    for (let i = 0; i < 5; i++) await queue.release((await queue.claim())!, []);
    assert.equal((await queue.claim())?.job.attempts, 1);
  });

  test("webhooks are told what they ask for, with the job as it was", async (queue, { now }) => {
    const ask = (id: string, events?: typeof WEBHOOK.events[number][]) =>
      queue.add({
        ...{ id, request: requestOf(id), createdAt: now() },
        ...events !== undefined && { webhook: { ...WEBHOOK, events } },
      });
    await ask("all", ["completed", "logs", "output", "start"]);
    await ask("end", ["completed", "completed"]);
    await ask("none", []);
    await ask("nobody");
    const seen = [];
    for (let i = 0; i < 4; i++) {
      const lease = (await queue.claim())!;
      seen.push(lease.job);
      await queue.heartbeat(lease, { progress: PROGRESS, files: [] });
      await queue.heartbeat(lease, { progress: PROGRESS, files: [fileOf("0.png")] });
      await queue.heartbeat(lease, { progress: PROGRESS, files: [fileOf("0.png")] });
      await queue.finish(lease, done("0.png", "1.png"));
    }
    const deliveries = await queue.takeDeliveries(99);
    assert.deepEqual(
      deliveries.map(({ event, job, attempts }) => [job.id, event, job.files.length, attempts]),
      [
        ["all", "start", 0, 0],
        ["all", "output", 1, 0],
        ["all", "output", 2, 0],
        ["all", "completed", 2, 0],
        ["end", "completed", 2, 0],
      ],
    );
    assert.deepEqual(deliveries[0]!.job, seen[0]);
    assert.deepEqual(deliveries[3]!.job, await queue.get("all"));
    assert.equal(new Set(deliveries.map(({ id }) => id)).size, 5);
  });

  test(
    "a webhook is one caller's for a minute, and tried until it is settled",
    async (queue, fixture) => {
      const { now, pass } = fixture;
      await using other = await fixture.open();
      await queue.add({ id: "a", request: requestOf("a"), createdAt: now(), webhook: WEBHOOK });
      await queue.finish((await queue.claim())!, done());
      const [start] = await queue.takeDeliveries(1);
      const [completed, ...more] = await other.takeDeliveries(9);
      assert.deepEqual([start?.event, completed?.event, more], ["start", "completed", []]);
      assert.deepEqual(await queue.takeDeliveries(9), []);
      await queue.settleDelivery(completed!.id, { retryAt: now() + 120_000 });
      pass(60_001);
      assert.deepEqual(await queue.takeDeliveries(9), [{ ...start!, attempts: 1 }]);
      await queue.settleDelivery(start!.id, "delivered");
      pass(60_000);
      assert.deepEqual(await other.takeDeliveries(9), [{ ...completed!, attempts: 1 }]);
      await other.settleDelivery(completed!.id, "dropped");
      await other.settleDelivery(completed!.id, "dropped");
      pass(1e9);
      assert.deepEqual(await queue.takeDeliveries(9), []);
    },
  );

  test("a webhook that is done with does not come back", async (queue, { now, pass }) => {
    await queue.add({ id: "a", request: requestOf("a"), createdAt: now(), webhook: WEBHOOK });
    await queue.cancel("a");
    const [{ id }] = await queue.takeDeliveries(9) as [Delivery];
    await queue.settleDelivery(id, "delivered");
    // By one who had it as well, after a minute.
    await queue.settleDelivery(id, { retryAt: now() });
    pass(120_000);
    assert.deepEqual(await queue.takeDeliveries(9), []);
  });

  test(
    "webhooks that are not settled are there after a restart, and after their job is forgotten",
    async (_, fixture) => {
      const { now, pass, open } = fixture;
      {
        await using queue = await open();
        await queue.add({ id: "a", request: requestOf("a"), createdAt: now(), webhook: WEBHOOK });
        await queue.cancel("a");
        assert.equal((await queue.takeDeliveries(9)).length, 1);
      }
      pass(60_001);
      await using queue = await open();
      assert.deepEqual(await queue.forget(now()), ["a"]);
      const [delivery, ...more] = await queue.takeDeliveries(9);
      assert.deepEqual(
        [delivery?.event, delivery?.job.id, delivery?.attempts, more],
        ["completed", "a", 1, []],
      );
    },
  );

  test("forgets only what ended before a time", async (queue, { now, pass }) => {
    const add = (id: string) =>
      queue.add({ id, request: requestOf(id), createdAt: now(), idempotencyKey: `key-${id}` });
    for (const id of ["a", "b", "c", "d", "e"]) await add(id);
    await queue.finish((await queue.claim())!, done());
    await queue.cancel("b");
    pass(10);
    const time = now();
    await queue.finish((await queue.claim())!, failure());
    await queue.claim();
    pass(10);
    assert.deepEqual((await queue.forget(time)).sort(), ["a", "b"]);
    assert.deepEqual(await queue.forget(time), []);
    assert.equal(await queue.get("a"), null);
    const left = (await queue.list()).map(({ id, state }) => `${id} ${state}`);
    assert.deepEqual(left, ["e queued", "d running", "c failed"]);
    await queue.add({
      ...{ id: "a", request: requestOf("other"), createdAt: now(), idempotencyKey: "key-a" },
    });
    assert.deepEqual(await queue.counts(), {
      ...{ queued: 2, running: 1, succeeded: 0, failed: 1, canceled: 0, retried: 0 },
    });
  });

  test(
    "gives only what is more urgent than a priority, where that is wanted",
    async (queue, { now }) => {
      for (const [id, priority] of [["a", 0], ["b", 2], ["c", -1]] as const) {
        await queue.add({ id, request: requestOf(id), createdAt: now(), priority });
      }
      const next = async (above?: number) =>
        (await queue.claim(above === undefined ? {} : { above }))?.job.id ?? null;
      assert.equal(await next(2), null);
      assert.equal(await next(1), "b");
      assert.equal(await next(0), null);
      assert.equal(await next(-1), "a");
      assert.equal(await next(-1), null);
      assert.equal(await next(), "c");
    },
  );

  test("removes a job that has ended, and no other", async (queue, { now }) => {
    for (const id of ["a", "b"]) await queue.add({ id, request: requestOf(id), createdAt: now() });
    assert.equal(await queue.remove("a"), false);
    const lease = (await queue.claim())!;
    assert.equal(await queue.remove("a"), false);
    await queue.finish(lease, done());
    assert.equal(await queue.remove("a"), true);
    assert.equal(await queue.remove("a"), false);
    assert.deepEqual((await queue.list()).map(({ id }) => id), ["b"]);
  });

  test("listeners hear of changes, the end of a job last", async (queue, { now }) => {
    const heard: string[] = [];
    const stop = queue.listen(({ change, job, file }) =>
      heard.push([change, job.id, job.state, ...file === undefined ? [] : [file.name]].join(" "))
    );
    const told = async (expected: string[]) => {
      await until(() => heard.length >= expected.length);
      assert.deepEqual(heard.splice(0), expected);
    };
    await queue.add({ id: "a", request: requestOf("a"), createdAt: now() });
    await told(["state a queued"]);
    const lease = (await queue.claim())!;
    await told(["state a running"]);
    const previews = [fileOf("preview-0.png")];
    const progress = { ...PROGRESS, step: 1, steps: 9, previews };
    await queue.heartbeat(lease, { progress, files: [] });
    await told(["progress a running", "preview a running preview-0.png"]);
    await queue.heartbeat(lease, { progress: { ...progress, step: 2 }, files: [] });
    await told(["progress a running"]);
    const files = [fileOf("0.png")];
    await queue.heartbeat(lease, { progress: { ...progress, step: 2 }, files });
    await told(["file a running 0.png"]);
    await queue.finish(lease, done("0.png", "1.png"));
    await told(["file a succeeded 1.png", "state a succeeded"]);
    stop();
    await queue.add({ id: "b", request: requestOf("b"), createdAt: now() });
    const heardAfter: string[] = [];
    const stopAgain = queue.listen(({ job }) => heardAfter.push(job.id));
    await queue.add({ id: "c", request: requestOf("c"), createdAt: now() });
    await until(() => heardAfter.length > 0);
    assert.deepEqual([heard, heardAfter], [[], ["c"]]);
    stopAgain();
  });

  test("listeners hear of what other processes change", async (queue, fixture) => {
    await queue.add({ id: "a", request: requestOf("a"), createdAt: fixture.now() });
    const heard: JobEvent[] = [];
    const stop = queue.listen((event) => heard.push(event));
    await using other = await fixture.open();
    const lease = (await other.claim())!;
    await until(() => heard.length > 0);
    assert.deepEqual(heard.splice(0), [{ change: "state", job: lease.job }]);
    const progress = { ...PROGRESS, step: 5, steps: 9 };
    await other.heartbeat(lease, { progress, files: [] });
    await until(() => heard.length > 0);
    assert.deepEqual(heard.splice(0), [{ change: "progress", job: { ...lease.job, progress } }]);
    await other.finish(lease, done());
    await until(() => heard.length > 0);
    assert.deepEqual(heard, [{ change: "state", job: (await other.get("a"))! }]);
    stop();
  });

  test("a change after all was forgotten is heard", async (queue, fixture) => {
    await using other = await fixture.open();
    const heard: string[] = [];
    const stop = queue.listen(({ job }) => heard.push(`${job.id} ${job.state}`));
    await queue.add({ id: "a", request: requestOf("a"), createdAt: fixture.now() });
    await queue.cancel("a");
    await until(() => heard.includes("a canceled"));
    assert.deepEqual(await other.forget(fixture.now() + 1), ["a"]);
    await other.add({ id: "b", request: requestOf("b"), createdAt: fixture.now() });
    await until(() => heard.includes("b queued"));
    stop();
  });

  test(
    "a listener may change something, and another hears all of it in order",
    async (queue, { now }) => {
      const heard: string[] = [];
      const stops = [
        queue.listen(({ job }) => job.state === "queued" && void queue.cancel(job.id)),
        queue.listen(({ job }) => heard.push(job.state)),
      ];
      await queue.add({ id: "a", request: requestOf("a"), createdAt: now() });
      await until(() => heard.length === 2);
      stops.forEach((stop) => stop());
      assert.deepEqual(heard.toSorted(), ["canceled", "queued"]);
    },
  );

  test("jobs are there after a restart", async (_, { now, open }) => {
    const request = requestOf("a");
    {
      await using queue = await open();
      await queue.add({ id: "a", request, createdAt: now(), idempotencyKey: "key" });
    }
    await using queue = await open();
    assert.equal(
      (await queue.add({ id: "b", request, createdAt: now(), idempotencyKey: "key" })).id,
      "a",
    );
    assert.equal((await queue.claim())?.job.id, "a");
  });

  test("many callers at once get what one after the other would", async (queue, fixture) => {
    await using other = await fixture.open({ limit: 6 });
    const queues = Array.from({ length: 12 }, (_, i) => i % 2 === 0 ? queue : other);
    const createdAt = fixture.now();
    const same = await Promise.all(
      queues.map((queue, i) =>
        queue.add({ id: `same-${i}`, request: requestOf("same"), createdAt, idempotencyKey: "key" })
      ),
    );
    assert.equal(new Set(same.map(({ id }) => id)).size, 1);
    const added = await Promise.allSettled(
      queues.map((queue, i) => queue.add({ id: `${i}`, request: requestOf(`${i}`), createdAt })),
    );
    assert.equal(added.filter(({ status }) => status === "fulfilled").length, 5);
    const leases = (await Promise.all(queues.map((queue) => queue.claim())))
      .filter((lease) => lease !== null);
    assert.equal(leases.length, 6);
    assert.equal(new Set(leases.map(({ job }) => job.id)).size, 6);
    const beat = (lease: Lease) => queue.heartbeat(lease, { progress: PROGRESS, files: [] });
    for (const lease of leases) {
      const beats = async () => {
        for (let i = 0; i < 5; i++) await beat(lease);
      };
      await Promise.all([beats(), other.cancel(lease.job.id)]);
      assert.equal(await beat(lease), "canceled");
    }
  }, { limit: 6 });

  test("what a killed process had is another's after its lease", async (queue, fixture) => {
    await queue.add({ id: "a", request: requestOf("a"), createdAt: fixture.now() });
    const child = start(fixture, "hold");
    const { value: token } = await linesOf(child).next();
    child.kill("SIGKILL");
    await Promise.all([child.status, child.stdin.close()]);
    const job = (await queue.get("a"))!;
    assert.equal(job.state, "running");
    assert.equal(await queue.claim(), null);
    fixture.pass(LEASE_OVER + 10_000);
    const lease = (await queue.claim())!;
    assert.equal(lease.job.attempts, 2);
    assert.equal(await queue.finish({ job, token: token! }, failure()), false);
    assert.equal(await queue.finish(lease, done()), true);
  }, { patienceS: PROCESSES_S });

  test("several processes at once end each job once", async (queue, fixture) => {
    const ids = Array.from({ length: 60 }, (_, i) => `job-${i}`);
    for (const id of ids) {
      await queue.add({ id, request: requestOf(id), createdAt: fixture.now(), webhook: WEBHOOK });
    }
    const children = [1, 2, 3].map(() => start(fixture, "work"));
    const outputs = children.map(linesOf);
    for (const output of outputs) assert.equal((await output.next()).value, "ready");
    for (const child of children) await child.stdin.close();
    const ended = await Promise.all(outputs.map((output) => Array.fromAsync(output)));
    for (const child of children) assert.equal((await child.status).code, 0);
    assert.deepEqual(ended.flat().sort(), ids.toSorted());
    fixture.pass(60_000); // The others' clocks go on.
    const told = (await queue.takeDeliveries(999)).filter(({ event }) => event === "completed");
    assert.deepEqual(told.map(({ job }) => job.id).sort(), ids.toSorted());
  }, { patienceS: PROCESSES_S });
}

/** A request for a picture. */
export function requestOf(prompt: string): JobRequest {
  return { prompts: [prompt], count: 1, seed: "7", levels: false, preview: false };
}

/** A picture of a job. */
export function fileOf(name: string): JobFile {
  return {
    ...{ name, picture: 0, level: 0, seed: "7", type: "image/png" },
    ...{ width: 32, height: 32, frames: 1, bytes: 1234 },
  };
}

function done(...names: string[]): JobOutcome {
  const timings = { queueMs: 1, textMs: 2, stepsMs: 3, encodeMs: 4, gpuSeconds: 0.5 };
  return { state: "succeeded", files: names.map(fileOf), error: null, timings };
}

function failure(...names: string[]): JobOutcome {
  const error = { code: "failed", message: "The device was lost." } as const;
  return { state: "failed", files: names.map(fileOf), error, timings: null };
}

/** Waits for what happens beside the test; fails when it does not within ten seconds. */
export async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  const end = Date.now() + 10_000;
  while (!await holds()) {
    assert.ok(Date.now() < end, "It did not happen.");
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** Starts another process; see queue_process.ts. */
export function start(
  { address, permissions }: Pick<QueueFixture, "address" | "permissions">,
  task: "hold" | "work",
): Deno.ChildProcess {
  return new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "--no-prompt", ...permissions],
      fileURLToPath(new URL("queue_process.ts", import.meta.url)),
      ...[task, address, String(OPTIONS.leaseMs)],
    ],
    stdin: "piped",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
}

/** What a process says, line by line. */
export async function* linesOf({ stdout }: Deno.ChildProcess): AsyncGenerator<string, undefined> {
  let rest = "";
  for await (const text of stdout.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop()!;
    yield* lines;
  }
}
