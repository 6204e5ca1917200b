/** Processes that die between two commands to Redis: whatever was promised is kept, and BullMQ's jobs end where their records do. */
import assert from "../../../assert.ts";
import { mock } from "node:test";
import { Queue } from "../../../../src/deps/bullmq.ts";
import { Redis } from "../../../../src/deps/ioredis.ts";
import { isEnded, type Job, type JobOutcome } from "../../../../src/jobs/job.ts";
import type { Lease, NewJob } from "../../../../src/jobs/queue/queue.ts";
import { disconnect } from "../../../../src/jobs/queue/redis/connection.ts";
import { RedisQueue } from "../../../../src/jobs/queue/redis/redis_queue.ts";
import { OPTIONS, requestOf, until } from "../queue_conformance.ts";
import { withRedis } from "./redis_server.ts";

/** Milliseconds: BullMQ waits for twice as long until it gives a job of a dead worker to another. */
const LEASE_MS = 20;

const PROCESS = { ...OPTIONS, leaseMs: LEASE_MS, maxAttempts: 9 };

const DONE: JobOutcome = { state: "succeeded", files: [], error: null, timings: null };
const FAILED: JobOutcome = {
  ...DONE,
  state: "failed",
  error: { code: "failed", message: "The device was lost." },
};
const JOB: NewJob = {
  id: "a",
  request: requestOf("a"),
  createdAt: 1,
  webhook: { url: "https://example.com/hook", events: ["completed"] },
};

/** What a process does that dies over it. */
interface Deed {
  /** What it did before; gives the lease that it has, if any. */
  readonly before?: (queue: RedisQueue) => Promise<unknown>;
  readonly dying: (queue: RedisQueue, lease: Lease) => Promise<unknown>;
  /** How the job may end where this was not done, and how it ends where it was; "none": there is no such job. */
  readonly ends: readonly (Job["state"] | "none")[];
}

const add = (queue: RedisQueue) => queue.add(JOB);

async function addAndClaim(queue: RedisQueue): Promise<Lease> {
  await add(queue);
  return (await queue.claim())!;
}

const DEEDS: Readonly<Record<string, Deed>> = {
  "adds a job": { dying: add, ends: ["none", "succeeded"] },
  "takes a job": { before: add, dying: (queue) => queue.claim(), ends: ["succeeded"] },
  "takes a job that is like another": {
    before: add,
    dying: (queue) => queue.claim({ alike: [JOB.request] }),
    ends: ["succeeded"],
  },
  "ends a job": {
    before: addAndClaim,
    dying: (queue, lease) => queue.finish(lease, DONE),
    ends: ["succeeded"],
  },
  "ends a job badly": {
    before: addAndClaim,
    dying: (queue, lease) => queue.finish(lease, FAILED),
    ends: ["succeeded", "failed"],
  },
  "gives a job back": {
    before: addAndClaim,
    dying: (queue, lease) => queue.release(lease, []),
    ends: ["succeeded"],
  },
  "cancels a job that waits": {
    before: add,
    dying: (queue) => queue.cancel("a"),
    ends: ["succeeded", "canceled"],
  },
  "cancels a job that runs": {
    before: addAndClaim,
    dying: (queue) => queue.cancel("a"),
    ends: ["succeeded", "canceled"],
  },
  "takes from a dead worker": {
    before: async (queue) => {
      await addAndClaim(queue);
      await new Promise((resolve) => setTimeout(resolve, LEASE_MS + 1));
    },
    dying: (queue) => queue.claim(),
    ends: ["succeeded"],
  },
  "ends what waited too long": {
    before: (queue) => queue.add({ ...JOB, beginBy: 2 }),
    dying: (queue) => queue.claim(),
    ends: ["failed"],
  },
  "queues a job once more": {
    before: async (queue) => {
      await queue.finish(await addAndClaim(queue), FAILED);
    },
    dying: (queue) => queue.retry("a"),
    ends: ["failed", "succeeded"],
  },
  "queues a canceled job once more": {
    before: async (queue) => {
      await queue.add(JOB);
      await queue.cancel("a");
    },
    dying: (queue) => queue.retry("a"),
    ends: ["canceled", "succeeded"],
  },
  "removes a job": {
    before: async (queue) => {
      await queue.finish(await addAndClaim(queue), DONE);
    },
    dying: (queue) => queue.remove("a"),
    ends: ["succeeded", "none"],
  },
};

/** How many commands may still be sent to Redis. */
let allowed = Infinity;

/** Has connections fall silent that have sent what they may. */
function mayDie(): Disposable {
  const { sendCommand } = Redis.prototype;
  const { mock: dying } = mock.method(
    Redis.prototype,
    "sendCommand",
    function (this: Redis, ...about: Parameters<typeof sendCommand>) {
      return allowed-- > 0 ? sendCommand.apply(this, about) : new Promise(() => {});
    },
  );
  return { [Symbol.dispose]: () => dying.restore() };
}

/** Does something in a process that dies after so many commands; gives whether it was done before. */
async function die(url: string, deed: Deed, after: number): Promise<boolean> {
  using stack = new DisposableStack();
  stack.defer(() => allowed = Infinity);
  await using queue = await RedisQueue.open(url, PROCESS);
  await queue.claim(); // So that there are all connections.
  const lease = await deed.before?.(queue) as Lease;
  let isDone = false;
  allowed = after;
  deed.dying(queue, lease).then(() => isDone = true, () => {});
  await until(() => isDone || allowed <= 0);
  await new Promise((resolve) => setTimeout(resolve, 5)); // The last one is on its way.
  return isDone;
}

/** Takes all jobs and ends them, a lease later, until BullMQ has none any more. */
async function goOn(url: string, board: Queue): Promise<RedisQueue> {
  const now = () => Date.now() + LEASE_MS + 1;
  const queue = await RedisQueue.open(url, { ...PROCESS, now });
  await until(async () => {
    const lease = await queue.claim();
    if (lease !== null) await queue.finish(lease, DONE);
    return lease === null && await board.getJobCountByTypes("active", "wait", "prioritized") === 0;
  });
  return queue;
}

/** What was promised has to hold, and no trace of the death to be left. */
async function check(queue: RedisQueue, redis: Redis, board: Queue, ends: Deed["ends"]) {
  const job = await queue.get("a");
  const end = job?.state ?? "none";
  assert.ok(ends.includes(end), `It is ${end}.`);
  const { completed, failed } = await board.getJobCounts("completed", "failed");
  assert.deepEqual(
    { completed, failed },
    {
      completed: end === "succeeded" ? 1 : 0,
      failed: end === "failed" || end === "canceled" ? 1 : 0,
    },
  );
  assert.deepEqual(await redis.hgetall("{mdm}:pending"), {});
  if (job === null) return;
  assert.ok(isEnded(job));
  const told = (await queue.takeDeliveries(9)).filter((one) => one.job.state === end);
  assert.equal(told.length, 1);
}

for (const [name, deed] of Object.entries(DEEDS)) {
  Deno.test(`a process that ${name} may die at any moment`, () =>
    withRedis(async ({ url, port }) => {
      using _dying = mayDie();
      await using stack = new AsyncDisposableStack();
      const redis = stack.adopt(new Redis({ port }), disconnect);
      const board = stack.adopt(
        new Queue("jobs", { connection: { port }, prefix: "{mdm}" }),
        (board) => board.close(),
      );
      for (let after = 0, isDone = false; !isDone; after++) {
        await redis.flushdb();
        isDone = await die(url, deed, after);
        try {
          await using queue = await goOn(url, board);
          await check(queue, redis, board, isDone ? deed.ends.slice(-1) : deed.ends);
        } catch (error) {
          throw new Error(`After ${after} commands`, { cause: error });
        }
      }
    }));
}
