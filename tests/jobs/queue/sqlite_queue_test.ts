/** The queue in a file: what is special to it. */
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { MdmError } from "../../../src/errors.ts";
import { SqliteQueue } from "../../../src/jobs/queue/sqlite_queue.ts";
import { linesOf, OPTIONS, requestOf, start, testQueue } from "./queue_conformance.ts";

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
