/** The queue in a file: what is special to it. */
import assert from "../../../assert.ts";
import { DatabaseSync, StatementSync } from "node:sqlite";
import { mock } from "node:test";
import { MdmError } from "../../../../src/errors.ts";
import type { NewJob } from "../../../../src/jobs/queue/queue.ts";
import { SqliteQueue } from "../../../../src/jobs/queue/sqlite/sqlite_queue.ts";
import { Unavailable } from "../../../../src/jobs/unavailable.ts";
import { linesOf, OPTIONS, requestOf, start, testQueue, until } from "../queue_conformance.ts";

async function inFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await use(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Opening has to fail with one sentence. */
async function refuses(path: string, reason: string): Promise<void> {
  await assert.rejects(
    SqliteQueue.open(path, OPTIONS),
    new MdmError(`Cannot use the queue "${path}": ${reason}`),
  );
}

function permissionsFor(folder: string): string[] {
  return [`--allow-read=${folder}`, `--allow-write=${folder}`];
}

testQueue("SQLite", (use) =>
  inFolder((folder) => {
    let time = Date.now();
    const address = `${folder}/jobs.db`;
    const now = () => time;
    return use({
      open: (options) => SqliteQueue.open(address, { ...OPTIONS, now, ...options }),
      address,
      permissions: permissionsFor(folder),
      now,
      pass: (ms) => void (time += ms),
    });
  }));

Deno.test("a queue that was closed leaves one file, and may be closed twice", () =>
  inFolder(async (folder) => {
    const queue = await SqliteQueue.open(`${folder}/jobs.db`, OPTIONS);
    queue.listen(() => {});
    await queue[Symbol.asyncDispose]();
    await queue[Symbol.asyncDispose]();
    assert.deepEqual([...Deno.readDirSync(folder)].map(({ name }) => name), ["jobs.db"]);
  }));

Deno.test("jobs of a version that knew no warnings have none", () =>
  inFolder(async (folder) => {
    const path = `${folder}/jobs.db`;
    const webhook = { url: "https://a.example", events: ["start"] } as const;
    {
      await using queue = await SqliteQueue.open(path, OPTIONS);
      const createdAt = Date.now();
      await queue.add({ id: "a", request: requestOf("a"), createdAt, webhook });
      await queue.claim();
    }
    using database = new DatabaseSync(path);
    database.exec(`UPDATE jobs SET entry = json_remove(entry, '$.job.warnings');
      UPDATE deliveries SET job = json_remove(job, '$.warnings')`);
    await using queue = await SqliteQueue.open(path, OPTIONS);
    assert.deepEqual((await queue.get("a"))!.warnings, []);
    assert.deepEqual((await queue.takeDeliveries(1)).map(({ job }) => job.warnings), [[]]);
  }));

Deno.test("a file that is no queue's is refused and left as it is", () =>
  inFolder(async (folder) => {
    const path = `${folder}/jobs.db`;
    await Deno.writeTextFile(path, "These are my notes.\n".repeat(100));
    const notes = await Deno.readFile(path);
    await refuses(path, "it is not a file of a queue. Give another path.");
    assert.deepEqual(await Deno.readFile(path), notes);
    await Deno.remove(path);

    const database = new DatabaseSync(path);
    database.exec("CREATE TABLE addresses (name TEXT)");
    database.close();
    const addresses = await Deno.readFile(path);
    await refuses(path, "it is not a file of a queue. Give another path.");
    assert.deepEqual(await Deno.readFile(path), addresses);
  }));

Deno.test("a queue of another version is refused", () =>
  inFolder(async (folder) => {
    const path = `${folder}/jobs.db`;
    await (await SqliteQueue.open(path, OPTIONS))[Symbol.asyncDispose]();
    const database = new DatabaseSync(path);
    database.exec("PRAGMA user_version = 2");
    database.close();
    await refuses(
      path,
      "it has version 2, and this mdm reads version 1. Let the mdm that made it finish its jobs, then give another path.",
    );
  }));

Deno.test("a queue that is damaged is refused", () =>
  inFolder(async (folder) => {
    const path = `${folder}/jobs.db`;
    await (await SqliteQueue.open(path, OPTIONS))[Symbol.asyncDispose]();
    const whole = await Deno.readFile(path);
    const PAGE = 4096;
    await Deno.writeFile(path, whole.slice().fill(0x58, PAGE));
    await refuses(path, "it is damaged. Move it away and start anew.");
    await Deno.writeFile(path, whole.subarray(0, PAGE * 2));
    await refuses(path, "it is damaged. Move it away and start anew.");
  }));

Deno.test("a queue from before how often jobs were tried again was counted", () =>
  inFolder(async (folder) => {
    const path = `${folder}/jobs.db`;
    await (await SqliteQueue.open(path, OPTIONS))[Symbol.asyncDispose]();
    const database = new DatabaseSync(path);
    database.exec("DROP TABLE retried");
    database.close();
    await using queue = await SqliteQueue.open(path, OPTIONS);
    assert.equal((await queue.counts()).retried, 0);
  }));

Deno.test("a queue is its owner's only, also one that others could read", () =>
  inFolder(async (folder) => {
    const path = `${folder}/jobs.db`;
    const files = [path, `${path}-wal`, `${path}-shm`];
    const modes = () => files.map((file) => Deno.statSync(file).mode! & 0o777);
    await using queue = await SqliteQueue.open(path, OPTIONS);
    await queue.counts();
    assert.deepEqual(modes(), [0o600, 0o600, 0o600]);
    for (const file of files) await Deno.chmod(file, 0o644);
    await using _other = await SqliteQueue.open(path, OPTIONS);
    assert.deepEqual(modes(), [0o600, 0o600, 0o600]);
  }));

Deno.test("a path that can be no file is refused", () =>
  inFolder(async (folder) => {
    const reason = "it cannot be opened. Check that its folder exists and may be written to.";
    await refuses(folder, reason);
    await refuses(`${folder}/none/jobs.db`, reason);
    for (const path of ["", ":memory:"]) {
      await assert.rejects(
        SqliteQueue.open(path, OPTIONS),
        new MdmError(`Cannot keep a queue in "${path}": give the path of a file.`),
      );
    }
  }));

Deno.test("several processes may make the file at once", () =>
  inFolder(async (folder) => {
    const place = { address: `${folder}/jobs.db`, permissions: permissionsFor(folder) };
    const children = [1, 2, 3, 4].map(() => start(place, "work"));
    for (const child of children) {
      assert.equal((await linesOf(child).next()).value, "ready");
      child.kill("SIGKILL");
      await Promise.all([child.status, child.stdin.close()]);
    }
    await using queue = await SqliteQueue.open(place.address, OPTIONS);
    assert.equal(await queue.claim(), null);
  }));

const JOB: NewJob = { id: "a", request: requestOf("a"), createdAt: 1 };

const GONE = "it was removed, or the disk that it is on. Bring it back, or start mdm anew.";

/** A call has to fail with one sentence, as what passes. */
async function isAway(call: Promise<unknown>, path: string, reason: string): Promise<void> {
  await assert.rejects(call, new Unavailable(`Cannot use the queue "${path}": ${reason}`));
}

Deno.test("a file whose folder is away is said to be so, and used again when it is back", () =>
  inFolder(async (folder) => {
    await Deno.mkdir(`${folder}/data`);
    const path = `${folder}/data/jobs.db`;
    await using queue = await SqliteQueue.open(path, OPTIONS);
    const heard: string[] = [];
    queue.listen(({ job }) => heard.push(`${job.id} ${job.state}`));
    await queue.add(JOB);
    const lease = (await queue.claim())!;
    await Deno.rename(`${folder}/data`, `${folder}/away`);
    await isAway(queue.check(), path, GONE);
    await isAway(queue.get("a"), path, GONE);
    await isAway(queue.add({ ...JOB, id: "b" }), path, GONE);
    // An empty folder, as where a disk was mounted, is not made a queue of.
    await Deno.mkdir(`${folder}/data`);
    await isAway(queue.claim(), path, GONE);
    assert.deepEqual([...Deno.readDirSync(`${folder}/data`)], []);
    await Deno.remove(`${folder}/data`);
    await Deno.rename(`${folder}/away`, `${folder}/data`);
    assert.equal(await queue.heartbeat(lease, { ...lease.job }), "alive");
    assert.equal(await queue.get("b"), null);
    await queue.add({ ...JOB, id: "b" });
    await until(() => heard.includes("b queued"));
  }));

Deno.test("who begins to listen while the file is away hears of what happens after", () =>
  inFolder(async (folder) => {
    const path = `${folder}/jobs.db`;
    await using queue = await SqliteQueue.open(path, OPTIONS);
    await Deno.rename(path, `${folder}/away`);
    const heard: string[] = [];
    queue.listen(({ job }) => heard.push(`${job.id} ${job.state}`));
    await Deno.rename(`${folder}/away`, path);
    await queue.check();
    await new Promise((resolve) => setTimeout(resolve, 300)); // Longer than it takes to look.
    await queue.add(JOB);
    await until(() => heard.length === 1);
    assert.deepEqual(heard, ["a queued"]);
  }));

Deno.test("a file that takes the place of another is used, as when a disk is mounted again", () =>
  inFolder(async (folder) => {
    const path = `${folder}/jobs.db`;
    await using queue = await SqliteQueue.open(path, OPTIONS);
    const heard: string[] = [];
    queue.listen(({ job }) => heard.push(`${job.id} ${job.state}`));
    await queue.add(JOB);
    await queue.add({ ...JOB, id: "b" });
    {
      await using other = await SqliteQueue.open(`${folder}/copy.db`, OPTIONS);
      await other.add({ ...JOB, id: "c" });
    }
    for (const end of ["-wal", "-shm"]) await Deno.remove(path + end);
    await Deno.rename(`${folder}/copy.db`, path);
    assert.deepEqual((await queue.list()).map(({ id }) => id), ["c"]);
    await queue.add({ ...JOB, id: "d" });
    await until(() => heard.includes("d queued"));
    assert.equal((await queue.claim())?.job.id, "c");
  }));

Deno.test("a file that is no queue's any more is refused until it is one again", () =>
  inFolder(async (folder) => {
    const [data, away] = [`${folder}/data`, `${folder}/away`];
    await Deno.mkdir(data);
    const path = `${data}/jobs.db`;
    await using queue = await SqliteQueue.open(path, OPTIONS);
    await queue.add(JOB);
    await Deno.rename(data, away);
    await Deno.mkdir(data);
    await Deno.writeTextFile(path, "These are my notes.\n".repeat(100));
    await isAway(queue.list(), path, "it is not a file of a queue. Give another path.");
    await Deno.remove(data, { recursive: true });
    await Deno.rename(away, data);
    assert.equal((await queue.get("a"))?.id, "a");
  }));

Deno.test("a full disk is said to be so, what could not be written is not there, and later it can be", () =>
  inFolder(async (folder) => {
    const path = `${folder}/jobs.db`;
    await using queue = await SqliteQueue.open(path, OPTIONS);
    const { run } = StatementSync.prototype;
    const { mock: full } = mock.method(
      StatementSync.prototype,
      "run",
      function (this: StatementSync, ...values: Parameters<typeof run>) {
        if (this.sourceSQL !== "COMMIT") return run.apply(this, values);
        throw Object.assign(new Error("database or disk is full"), { errcode: 13 });
      },
    );
    try {
      await isAway(queue.add(JOB), path, "the disk is full. Make room.");
      await isAway(queue.check(), path, "the disk is full. Make room.");
      assert.equal(await queue.get("a"), null);
    } finally {
      full.restore();
    }
    await queue.add(JOB);
    assert.equal((await queue.claim())?.job.id, "a");
  }));

Deno.test("while another process writes, this one goes on with other things", () =>
  inFolder(async (folder) => {
    const path = `${folder}/jobs.db`;
    await using queue = await SqliteQueue.open(path, OPTIONS);
    const other = new DatabaseSync(path);
    other.exec("BEGIN IMMEDIATE");
    const adding = queue.add(JOB);
    let turns = 0;
    const counting = setInterval(() => turns++, 1);
    await until(() => turns > 20);
    clearInterval(counting);
    assert.equal(await queue.get("a"), null);
    other.exec("COMMIT");
    assert.equal((await adding).id, "a");
    other.exec("BEGIN IMMEDIATE");
    await isAway(
      queue.check(),
      path,
      "another process keeps it locked. Stop that one.",
    );
    other.close();
    await queue.check();
  }));
