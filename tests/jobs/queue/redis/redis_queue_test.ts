/** The queue on Redis: what is special to it. */
import assert from "../../../assert.ts";
import { mock } from "node:test";
import { Queue, Worker } from "../../../../src/deps/bullmq.ts";
import { Redis } from "../../../../src/deps/ioredis.ts";
import { MdmError } from "../../../../src/errors.ts";
import { canceled, queued } from "../../../../src/jobs/queue/job_record.ts";
import type { Delivery, NewJob } from "../../../../src/jobs/queue/queue.ts";
import { asRedisError, connect } from "../../../../src/jobs/queue/redis/connection.ts";
import { RedisRecords } from "../../../../src/jobs/queue/redis/records.ts";
import { RedisQueue } from "../../../../src/jobs/queue/redis/redis_queue.ts";
import { CHANGES } from "../../../../src/jobs/queue/redis/scripts.ts";
import { Unavailable } from "../../../../src/jobs/unavailable.ts";
import {
  fileOf,
  linesOf,
  OPTIONS,
  requestOf,
  start,
  testQueue,
  until,
} from "../queue_conformance.ts";
import { freePort, withRedis, withRedisFor } from "./redis_server.ts";

testQueue("Redis", (use) =>
  withRedis(({ port, url }) => {
    let time = Date.now();
    const now = () => time;
    return use({
      open: (options) => RedisQueue.open(url, { ...OPTIONS, now, ...options }),
      address: url,
      // The client looks at all variables of the environment, and needs none.
      permissions: [`--allow-net=127.0.0.1:${port}`, "--ignore-env"],
      now,
      pass: (ms) => void (time += ms),
    });
  }));

/** Seconds that a test may take: some wait for a server that is away, or start a process. */
const PATIENCE_S = 30;

const SILENT =
  "it does not answer. Check that it runs, the address, and whether it wants rediss://.";

const DONE = { state: "succeeded", files: [], error: null, timings: null } as const;
const FAILED = {
  ...DONE,
  state: "failed",
  error: { code: "failed", message: "The device was lost." },
} as const;

const JOB: NewJob = { id: "a", request: requestOf("a"), createdAt: 1 };

/** Opening has to fail with one sentence. */
async function refuses(url: string, host: string, reason: string): Promise<void> {
  await assert.rejects(
    RedisQueue.open(url, OPTIONS),
    new MdmError(`Cannot use the queue at ${host}: ${reason}`),
  );
}

async function openssl(...args: string[]): Promise<void> {
  const { code, stderr } = await new Deno.Command("openssl", { args, stderr: "piped" }).output();
  assert.equal(code, 0, new TextDecoder().decode(stderr));
}

Deno.test("what becomes of a job is written only by one who knows how it is", () =>
  withRedisFor(PATIENCE_S, async ({ url }) => {
    const redis = await connect(url);
    const records = new RedisRecords(redis, "{mdm}");
    const record = queued(JOB);
    const kept = await records.save(null, record, { now: 1, limit: 2 });
    assert.ok(typeof kept === "object");
    assert.equal(await records.save(null, record, { now: 2, limit: 2 }), "changed");
    assert.ok(typeof await records.save(kept, canceled(record, 3), { now: 3 }) === "object");
    assert.equal(await records.save(kept, canceled(record, 4), { now: 4 }), "changed");
    assert.equal(await records.forget(kept, {}), false);
    assert.equal((await records.read("a"))?.record.job.finishedAt, 3);
    redis.disconnect();
  }));

Deno.test("a note is struck out by the one who wrote it, not by one who was late", () =>
  withRedisFor(PATIENCE_S, async ({ url }) => {
    const redis = await connect(url);
    const records = new RedisRecords(redis, "{mdm}");
    const record = queued(JOB);
    const first = await records.save(null, record, { now: 1, limit: 2, note: "1 " });
    assert.ok(typeof first === "object");
    const { bullId } = first;
    await records.save(first, canceled(record, 2), { now: 2, note: "2 lock" });
    await records.strike(bullId, "1 ");
    assert.deepEqual(await records.pending(), new Map([[bullId, "2 lock"]]));
    await records.strike(bullId, "2 lock");
    assert.equal(await records.countPending(), 0);
    redis.disconnect();
  }));

Deno.test("a job whose process died before BullMQ had it is taken all the same", () =>
  withRedisFor(PATIENCE_S, async ({ url }) => {
    const redis = await connect(url);
    const about = { now: 1, limit: 1, note: "1 " } as const;
    await new RedisRecords(redis, "{mdm}").save(null, queued(JOB), about);
    redis.disconnect();
    await using queue = await RedisQueue.open(url, OPTIONS);
    assert.equal((await queue.claim())?.job.id, "a");
    assert.equal(await queue.claim(), null);
  }));

Deno.test("a job whose worker died while it took it is given to another one", () =>
  withRedisFor(PATIENCE_S, async ({ port, url }) => {
    const options = { ...OPTIONS, leaseMs: 50 };
    await using queue = await RedisQueue.open(url, options);
    await queue.add(JOB);
    const worker = new Worker("jobs", null, {
      connection: { port },
      prefix: "{mdm}",
      autorun: false,
      lockDuration: 50,
    });
    assert.ok(await worker.getNextJob("token", { block: false }));
    await worker.close(true);
    await until(async () => (await queue.claim())?.job.id === "a");
  }));

/** The queue, as Bull Board sees it. */
function boardOf(port: number): Queue {
  return new Queue("jobs", { connection: { port }, prefix: "{mdm}" });
}

/** Removes a job, as Bull Board does. */
async function removeOf(board: Queue, id: string): Promise<void> {
  const jobs = await board.getJobs();
  await jobs.find((job) => job.data.id === id)!.remove();
}

/** Has BullMQ find that a job has stalled, as after its lock was over. */
async function stall(port: number, bullId: string): Promise<void> {
  const redis = await connect(`redis://127.0.0.1:${port}`);
  await redis.del(`{mdm}:jobs:${bullId}:lock`);
  await redis.lrem("{mdm}:jobs:active", 1, bullId);
  await redis.rpush("{mdm}:jobs:wait", bullId);
  redis.disconnect();
}

Deno.test("a job that waits and is removed in Bull Board is no more, and those who wait hear that it was canceled", () =>
  withRedisFor(PATIENCE_S, async ({ port, url }) => {
    await using queue = await RedisQueue.open(url, { ...OPTIONS, limit: 3 });
    await using other = await RedisQueue.open(url, OPTIONS);
    const board = boardOf(port);
    const heard: string[] = [];
    const stop = other.listen(({ job }) => heard.push(`${job.id} ${job.state}`));
    const webhook = { url: "https://example.com/hook", events: ["completed"] } as const;
    for (const id of ["a", "b", "c"]) await queue.add({ ...JOB, id, webhook });
    await until(() => heard.length === 3);
    await removeOf(board, "b");
    // Nobody looks at the queue, but those who listen.
    await until(() => heard.includes("b canceled"));
    assert.equal(await queue.get("b"), null);
    assert.deepEqual((await queue.list()).map(({ id }) => id), ["c", "a"]);
    assert.equal((await queue.counts()).queued, 2);
    const [{ job, event }] = await queue.takeDeliveries(9) as [Delivery];
    assert.deepEqual([job.id, job.state, event], ["b", "canceled", "completed"]);
    // There is room, also for the same id.
    await queue.add({ ...JOB, id: "b", idempotencyKey: "key" });
    await until(() => heard.length === 5);
    assert.deepEqual(await queue.forget(0), []);
    const claimed = [await queue.claim(), await queue.claim(), await queue.claim()];
    assert.deepEqual(claimed.map((lease) => lease?.job.id), ["a", "c", "b"]);
    assert.deepEqual((await queue.counts()).running, 3);
    stop();
    await board.close();
  }));

Deno.test("Bull Board shows which jobs wait, are active, have completed and failed", () =>
  withRedisFor(PATIENCE_S, async ({ port, url }) => {
    let time = Date.now();
    await using queue = await RedisQueue.open(url, { ...OPTIONS, now: () => time });
    const board = boardOf(port);
    const counts = () => board.getJobCounts("prioritized", "wait", "active", "completed", "failed");
    const add = (id: string, about: Partial<NewJob> = {}) =>
      queue.add({ ...JOB, id, createdAt: time++, ...about });
    for (const id of ["active", "done", "bad", "stopped", "back", "again"]) await add(id);
    for (const id of ["waits", "canceled"]) await add(id);
    await add("late", { beginBy: time - 1 });
    const none = { prioritized: 0, wait: 0, active: 0, completed: 0, failed: 0 };
    assert.deepEqual(await counts(), { ...none, prioritized: 9 });

    const active = (await queue.claim())!;
    const progress = { step: 5, steps: 20, etaMs: null, previews: [] };
    assert.equal(await queue.heartbeat(active, { progress, files: [] }), "alive");
    const files = [fileOf("0.png"), fileOf("1.png")];
    await queue.finish((await queue.claim())!, { ...DONE, files });
    await queue.finish((await queue.claim())!, FAILED);
    await queue.finish((await queue.claim())!, { ...DONE, state: "canceled" });
    await queue.release((await queue.claim())!, []);
    await queue.finish((await queue.claim())!, FAILED); // "back"
    await queue.finish((await queue.claim())!, FAILED); // "again"
    await queue.retry("again");
    await queue.cancel("canceled");
    assert.equal((await queue.claim())?.job.id, "waits");
    assert.deepEqual(await counts(), {
      ...none,
      prioritized: 1,
      active: 2,
      completed: 1,
      failed: 5,
    });

    const [job] = await board.getJobs(["completed"]);
    const { data, returnvalue, timestamp } = job!;
    assert.deepEqual(data, { id: "done", request: JOB.request });
    assert.deepEqual(returnvalue, { files: ["0.png", "1.png"] });
    assert.equal(timestamp, (await queue.get("done"))?.createdAt);
    const shown = await board.getJobs(["active"]);
    assert.equal(shown.find(({ data }) => data.id === "active")?.progress, 25);
    const failed = await board.getJobs(["failed"]);
    const reasons = Object.fromEntries(failed.map((job) => [job.data.id, job.failedReason]));
    assert.deepEqual(reasons, {
      bad: FAILED.error.message,
      back: FAILED.error.message,
      stopped: "The job was canceled.",
      canceled: "The job was canceled.",
      late: "The job waited as long as jobs may: try again later.",
    });

    time += OPTIONS.leaseMs + 1; // The workers of two have died.
    await queue.claim();
    assert.deepEqual(await counts(), {
      ...none,
      prioritized: 2,
      active: 1,
      completed: 1,
      failed: 5,
    });
    for (const id of ["done", "bad", "stopped", "back", "canceled", "late"]) {
      assert.equal(await queue.remove(id), true);
    }
    assert.deepEqual(await counts(), { ...none, prioritized: 2, active: 1 });
    await board.close();
  }));

Deno.test("a job that is retried in Bull Board is queued once more", () =>
  withRedisFor(PATIENCE_S, async ({ port, url }) => {
    await using queue = await RedisQueue.open(url, OPTIONS);
    const board = boardOf(port);
    const retry = async (state: "failed" | "completed") =>
      await (await board.getJobs([state]))[0]!.retry(state);
    await queue.add(JOB);
    await queue.finish((await queue.claim())!, FAILED);
    await retry("failed");
    const lease = (await queue.claim())!;
    assert.deepEqual([lease.job.id, lease.job.attempts, lease.job.error], ["a", 1, null]);
    await queue.finish(lease, DONE);
    assert.equal((await queue.counts()).retried, 1);
    // What has succeeded stays so.
    await retry("completed");
    assert.equal(await queue.claim(), null);
    assert.deepEqual(await board.getJobCounts("prioritized", "completed"), {
      prioritized: 0,
      completed: 1,
    });
    await board.close();
  }));

Deno.test("nothing is taken while the queue is paused in Bull Board", () =>
  withRedisFor(PATIENCE_S, async ({ port, url }) => {
    await using queue = await RedisQueue.open(url, OPTIONS);
    const board = boardOf(port);
    await queue.add(JOB);
    await queue.add({ ...JOB, id: "b" });
    await board.pause();
    await queue.cancel("a");
    assert.equal(await queue.claim(), null);
    assert.equal(await queue.position("b"), 0);
    assert.deepEqual((await queue.list({ states: ["queued"] })).map(({ id }) => id), ["b"]);
    await board.resume();
    assert.equal((await queue.claim())?.job.id, "b");
    await board.close();
  }));

Deno.test("a job of BullMQ's that we know nothing of is removed", () =>
  withRedisFor(PATIENCE_S, async ({ port, url }) => {
    await using queue = await RedisQueue.open(url, OPTIONS);
    const board = boardOf(port);
    await board.add("job", {});
    await queue.add(JOB);
    assert.equal((await queue.claim())?.job.id, "a");
    assert.deepEqual(await board.getJobCounts("wait", "active", "completed", "failed"), {
      ...{ wait: 0, active: 1, completed: 0, failed: 0 },
    });
    await board.close();
  }));

Deno.test("a job that another program's worker has ended is queued again", () =>
  withRedisFor(PATIENCE_S, async ({ port, url }) => {
    await using queue = await RedisQueue.open(url, OPTIONS);
    await queue.add(JOB);
    const worker = new Worker("jobs", null, {
      ...{ connection: { port }, prefix: "{mdm}", autorun: false },
    });
    const job = (await worker.getNextJob("token", { block: false }))!;
    await job.moveToCompleted(null, "token", false);
    await worker.close();
    await until(async () => (await queue.claim())?.job.id === "a");
  }));

Deno.test("a worker that says that it is alive keeps BullMQ's lock", () =>
  withRedisFor(PATIENCE_S, async ({ port, url }) => {
    await using queue = await RedisQueue.open(url, OPTIONS);
    const board = boardOf(port);
    const redis = await connect(url);
    await queue.add(JOB);
    const lease = (await queue.claim())!;
    const lock = `{mdm}:jobs:${(await board.getJobs(["active"]))[0]!.id}:lock`;
    assert.equal(await redis.get(lock), lease.token);
    await redis.pexpire(lock, OPTIONS.leaseMs / 2);
    await queue.heartbeat(lease, { progress: lease.job.progress, files: [] });
    assert.ok(await redis.pttl(lock) > OPTIONS.leaseMs / 2);
    redis.disconnect();
    await board.close();
  }));

Deno.test("what BullMQ takes from a dead worker waits as its priority says", () =>
  withRedisFor(PATIENCE_S, async ({ port, url }) => {
    let time = Date.now();
    await using queue = await RedisQueue.open(url, { ...OPTIONS, now: () => time });
    const board = boardOf(port);
    await queue.add(JOB);
    await queue.claim();
    await queue.add({ ...JOB, id: "urgent", priority: 5 });
    await queue.add({ ...JOB, id: "new" });
    await stall(port, (await board.getJobs(["active"]))[0]!.id!);
    time += OPTIONS.leaseMs + 1;
    const order = [];
    for (let i = 0; i < 3; i++) order.push((await queue.claim())?.job.id);
    assert.deepEqual(order, ["urgent", "a", "new"]);
    await board.close();
  }));

Deno.test("a worker whose lock was over keeps its job if it comes back in time", () =>
  withRedisFor(PATIENCE_S, async ({ port, url }) => {
    await using queue = await RedisQueue.open(url, OPTIONS);
    const board = boardOf(port);
    await queue.add(JOB);
    await queue.add({ ...JOB, id: "b" });
    const lease = (await queue.claim())!;
    const id = (await board.getJobs(["active"]))[0]!.id!;
    await stall(port, id);
    const other = (await queue.claim())!;
    assert.equal(other.job.id, "b");
    assert.equal(
      await queue.heartbeat(lease, { progress: lease.job.progress, files: [] }),
      "alive",
    );
    assert.equal(await queue.finish(lease, DONE), true);
    assert.equal(await queue.claim(), null);
    assert.deepEqual(await board.getJobCounts("wait", "active", "completed"), {
      ...{ wait: 0, active: 1, completed: 1 },
    });
    await board.close();
  }));

Deno.test("jobs that were given back are taken before others, the oldest first", () =>
  withRedisFor(PATIENCE_S, async ({ url }) => {
    await using queue = await RedisQueue.open(url, OPTIONS);
    for (const [i, id] of ["c", "a", "b", "d"].entries()) {
      await queue.add({ ...JOB, id, createdAt: i });
    }
    const leases = [await queue.claim(), await queue.claim(), await queue.claim()];
    for (const lease of [leases[1]!, leases[2]!, leases[0]!]) await queue.release(lease!, []);
    const order = [];
    for (let i = 0; i < 4; i++) order.push((await queue.claim())?.job.id);
    assert.deepEqual(order, ["c", "a", "b", "d"]);
  }));

Deno.test("a job that was taken for its request has its own priority when it is given back", () =>
  withRedisFor(PATIENCE_S, async ({ url }) => {
    await using queue = await RedisQueue.open(url, OPTIONS);
    await queue.add({ ...JOB, request: requestOf("like another") });
    await queue.add({ ...JOB, id: "urgent", priority: 5 });
    const lease = (await queue.claim({ alike: [requestOf("like another")] }))!;
    assert.equal(lease.job.id, "a");
    await queue.release(lease, []);
    assert.equal(await queue.position("a"), 1);
    assert.equal((await queue.claim())?.job.id, "urgent");
    const again = (await queue.claim({ alike: [requestOf("like another")] }))!;
    await queue.finish(again, FAILED);
    await queue.retry("a");
    await queue.add({ ...JOB, id: "urgent too", priority: 5 });
    assert.equal((await queue.claim())?.job.id, "urgent too");
  }));

Deno.test("what was only taken since it was next is given back where it is not wanted", () =>
  withRedisFor(PATIENCE_S, async ({ port, url }) => {
    await using queue = await RedisQueue.open(url, OPTIONS);
    const board = boardOf(port);
    for (const id of ["a", "b"]) await queue.add({ ...JOB, id });
    await queue.add({ ...JOB, id: "urgent", priority: 5 });
    await queue.cancel("urgent"); // It is the next, until it is seen to have ended.
    assert.equal(await queue.claim({ above: 1 }), null);
    const counts = await board.getJobCounts("active", "wait", "prioritized", "failed");
    assert.deepEqual(counts, { active: 0, wait: 0, prioritized: 2, failed: 1 });
    const { state, attempts } = (await queue.get("a"))!;
    assert.deepEqual({ state, attempts }, { state: "queued", attempts: 0 });
    assert.equal((await queue.claim())?.job.id, "a");
    await board.close();
  }));

Deno.test("priorities that BullMQ has no room for are its highest and lowest", () =>
  withRedisFor(PATIENCE_S, async ({ url }) => {
    await using queue = await RedisQueue.open(url, OPTIONS);
    for (
      const [id, priority] of [["least", -1e9], ["a", 0], ["most", 1e9], ["too", 2e9]] as const
    ) {
      await queue.add({ ...JOB, id, priority });
    }
    const order = [];
    for (let i = 0; i < 4; i++) order.push((await queue.claim())?.job.id);
    assert.deepEqual(order, ["most", "too", "a", "least"]);
  }));

Deno.test("jobs of an older mdm are left to it", () =>
  withRedisFor(PATIENCE_S, async ({ port, url }) => {
    const redis = await connect(url);
    await redis.hset("{mdm}:entries", "a", "{}");
    await refuses(
      url,
      `127.0.0.1:${port}`,
      "its jobs are of an older mdm. Let that one finish them, then give another database, such as redis://HOST:PORT/1.",
    );
    redis.disconnect();
  }));

Deno.test("what is seen of a queue does not have what was removed in Bull Board", () =>
  withRedisFor(PATIENCE_S, async ({ port, url }) => {
    await using queue = await RedisQueue.open(url, { ...OPTIONS, limit: 1 });
    const board = boardOf(port);
    const added = async (id: string, remove: () => Promise<unknown>) => {
      await queue.add({ ...JOB, id });
      await remove();
    };
    await added("a", () => removeOf(board, "a"));
    assert.equal(await queue.get("a"), null);
    await added("b", () => board.drain());
    assert.deepEqual(await queue.list(), []);
    await added("c", () => board.obliterate());
    assert.equal((await queue.counts()).queued, 0);
    await added("d", () => board.clean(0, 10, "prioritized"));
    await queue.add({ ...JOB, id: "e" }); // The only one that may wait.
    const lease = (await queue.claim())!;
    assert.equal(lease.job.id, "e");
    await queue.release(lease, ["checkpoint"]);
    await removeOf(board, "e");
    assert.equal(await queue.claim(), null);
    assert.equal(await queue.get("e"), null);
    // Their files are still to be removed, once.
    assert.deepEqual((await queue.forget(0)).sort(), ["a", "b", "c", "d", "e"]);
    assert.deepEqual(await queue.forget(0), []);
    await board.close();
  }));

Deno.test("a change that could not be asked for is heard of later, though nothing else happens", () =>
  withRedisFor(PATIENCE_S, async ({ url }) => {
    await using queue = await RedisQueue.open(url, OPTIONS);
    const heard: string[] = [];
    const stop = queue.listen(({ job }) => heard.push(job.id));
    await queue.add(JOB);
    await until(() => heard.length === 1);
    const { eval: ask } = Redis.prototype;
    let failures = 0;
    const { mock: failing } = mock.method(
      Redis.prototype,
      "eval",
      async function (this: Redis, script: string, ...about: unknown[]) {
        if (script === CHANGES && failures++ === 0) throw new Error("Command timed out");
        return await (ask as (...about: unknown[]) => Promise<unknown>).call(
          this,
          script,
          ...about,
        );
      },
    );
    try {
      await queue.add({ ...JOB, id: "b" });
      await until(() => heard.length === 2);
    } finally {
      failing.restore();
    }
    assert.deepEqual(heard, ["a", "b"]);
    stop();
  }));

Deno.test("a server that is started again has all jobs, and is found again", () =>
  withRedisFor(
    PATIENCE_S,
    async ({ url, restart }) => {
      await using queue = await RedisQueue.open(url, OPTIONS);
      const heard: string[] = [];
      const stop = queue.listen(({ job }) => heard.push(`${job.id} ${job.state}`));
      await queue.add(JOB);
      await until(() => heard.length === 1);
      await restart();
      const lease = (await queue.claim())!;
      assert.equal(lease.job.id, "a");
      await queue.heartbeat(lease, { progress: lease.job.progress, files: [] });
      await until(() => heard.length === 2);
      assert.deepEqual(heard, ["a queued", "a running"]);
      stop();
    },
    "--appendonly",
    "yes",
    "--appendfsync",
    "always",
  ));

Deno.test("a server that does not answer, or wants something else, is said to be one", async () => {
  const port = freePort();
  await refuses(`redis://user:secret@127.0.0.1:${port}`, `127.0.0.1:${port}`, SILENT);
  await withRedisFor(
    PATIENCE_S,
    async ({ port, url }) => {
      const host = `127.0.0.1:${port}`;
      const password = "it wants another password. Give redis://:PASSWORD@HOST.";
      await refuses(url, host, password);
      await refuses(`redis://:wrong@${host}`, host, password);
      await refuses(
        `redis://:right@${host}/99`,
        host,
        "it has no such database. Give another number at the end.",
      );
      await using queue = await RedisQueue.open(`redis://:right@${host}/2`, OPTIONS);
      await queue.add(JOB);
      assert.equal((await queue.claim())?.job.id, "a");
    },
    "--requirepass",
    "right",
  );
});

Deno.test("what Redis says of a command is told without what was in it", () =>
  withRedisFor(PATIENCE_S, async ({ url }) => {
    const redis = await connect(url);
    const error = await redis.call("AUTH", "user", "password").catch((error) => error);
    assert.match(Deno.inspect(error), /password/);
    assert.doesNotMatch(Deno.inspect(asRedisError(url, error)), /password'|"password"/);
    const odd = await redis.call("GET").catch((error) => error);
    assert.equal(asRedisError(url, odd), odd);
    assert.ok(odd instanceof Error && !("command" in odd));
    redis.disconnect();
  }));

Deno.test("a server with TLS is used where its certificate is trusted", async () => {
  const folder = await Deno.makeTempDir();
  const [key, certificate] = [`${folder}/key.pem`, `${folder}/certificate.pem`];
  await openssl(
    ...["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", certificate],
    ...["-subj", "/CN=redis", "-addext", "subjectAltName=IP:127.0.0.1"],
    ...["-addext", "basicConstraints=critical,CA:FALSE"],
  );
  const port = freePort();
  await withRedisFor(
    PATIENCE_S,
    async ({ url }) => {
      const host = `127.0.0.1:${port}`;
      const address = `rediss://${host}`;
      await refuses(
        address,
        host,
        "its certificate is not trusted. Check it, or start mdm with DENO_CERT.",
      );
      await using queue = await RedisQueue.open(url, OPTIONS);
      await queue.add(JOB);
      const permissions = [`--cert=${certificate}`, `--allow-net=${host}`, "--ignore-env"];
      const child = start({ address, permissions }, "hold");
      const { value: token } = await linesOf(child).next();
      child.kill("SIGKILL");
      await Promise.all([child.status, child.stdin.close()]);
      assert.match(token!, /^[\w-]{36}$/);
      assert.equal((await queue.get("a"))?.state, "running");
    },
    ...["--tls-port", String(port), "--tls-auth-clients", "no"],
    ...["--tls-cert-file", certificate, "--tls-key-file", key, "--tls-ca-cert-file", certificate],
  );
  await Deno.remove(folder, { recursive: true });
});

Deno.test("a server whose memory is full is said to be so", () =>
  withRedisFor(PATIENCE_S, async ({ port, url }) => {
    await using queue = await RedisQueue.open(url, OPTIONS);
    const redis = await connect(url);
    await redis.config("SET", "maxmemory", "1");
    redis.disconnect();
    await assert.rejects(
      queue.add(JOB),
      new Unavailable(
        `Cannot use the queue at 127.0.0.1:${port}: its memory is full. Give it more.`,
      ),
    );
  }));

Deno.test("a server that keeps silent is away within seconds, and then nothing was done twice", () =>
  withRedisFor(PATIENCE_S, async ({ port, url, pause, resume }) => {
    await using queue = await RedisQueue.open(url, OPTIONS);
    await queue.add(JOB);
    await queue.claim(); // So that there are all connections.
    const silent = new Unavailable(`Cannot use the queue at 127.0.0.1:${port}: ${SILENT}`);
    pause();
    const calls = [
      queue.add({ ...JOB, id: "b", idempotencyKey: "key" }),
      queue.get("a"),
      queue.claim(),
      queue.counts(),
      queue.check(),
      RedisQueue.open(url, OPTIONS).catch((error) => {
        throw new Unavailable(error.message);
      }),
    ];
    await Promise.all(calls.map((call) => assert.rejects(call, silent)));
    // Nothing is sent to it any more.
    await assert.rejects(queue.add({ ...JOB, id: "c" }), silent);
    await assert.rejects(queue.claim(), silent);
    resume();
    await until(() => queue.check().then(() => true, () => false));
    const again = await queue.add({ ...JOB, id: "d", idempotencyKey: "key" });
    assert.ok(again.id === "b" || again.id === "d");
    assert.equal(await queue.get("c"), null);
    assert.equal((await queue.counts()).queued, 1);
    assert.equal((await queue.claim())?.job.id, again.id);
    assert.equal(await queue.claim(), null);
  }));

Deno.test("a server that is started again within seconds is waited for", () =>
  withRedisFor(PATIENCE_S, async ({ url, restart }) => {
    await using queue = await RedisQueue.open(url, OPTIONS);
    await queue.add(JOB);
    const back = restart(500);
    const calls = Array.from({ length: 20 }, (_, k) => queue.add({ ...JOB, id: `job-${k}` }));
    assert.equal((await Promise.all(calls)).length, 20);
    await back;
    assert.equal((await queue.counts()).queued, 21);
    assert.equal((await queue.claim())?.job.id, "a");
  }, ...["--appendonly", "yes", "--appendfsync", "always"]));

Deno.test("a job that was given away in an answer that was lost is given back, as the same attempt", () =>
  withRedisFor(PATIENCE_S, async ({ url }) => {
    await using queue = await RedisQueue.open(url, OPTIONS);
    await queue.add(JOB);
    const { save } = RedisRecords.prototype;
    const { mock: lost } = mock.method(
      RedisRecords.prototype,
      "save",
      async function (this: RedisRecords, ...about: Parameters<typeof save>) {
        await save.apply(this, about);
        throw new Error("Command timed out");
      },
    );
    await assert.rejects(queue.claim(), Unavailable);
    lost.restore();
    assert.equal((await queue.get("a"))?.state, "running");
    await until(async () => (await queue.claim())?.job.attempts === 1);
  }));

Deno.test("what a server says that takes nothing is a sentence", () => {
  const said = (message: string) =>
    asRedisError("redis://:secret@host:1/2", new Error(message), Unavailable);
  for (
    const [message, reason] of [
      ["MISCONF Errors writing to the AOF file", "it cannot write to its disk. Make room there."],
      ["READONLY You can't write", "it is a replica. Give the address of its primary."],
      ["OOM command not allowed", "its memory is full. Give it more."],
      ["BUSY Redis is busy", "it takes nothing at the moment. Look into its log."],
      ["LOADING Redis is loading", "it is still loading its data. Try again soon."],
      ["Connection is closed.", SILENT],
      ["Command timed out", SILENT],
      ["Socket timeout. Expecting data", SILENT],
      ["Stream isn't writeable and enableOfflineQueue options is false", SILENT],
      ["connect ECONNREFUSED 127.0.0.1:1", SILENT],
    ] as const
  ) {
    assert.deepEqual(said(message), new Unavailable(`Cannot use the queue at host:1: ${reason}`));
  }
  assert.ok(!(said("ERR wrong number of arguments") instanceof Unavailable));
});

Deno.test("an address that is none is refused", async () => {
  await assert.rejects(
    RedisQueue.open("redis://[", OPTIONS),
    new MdmError("Cannot use the queue's address: give redis://HOST:PORT."),
  );
});
