/**
 * Kills workers again and again while jobs come in, and takes away what they need in between, and looks whether all that was promised
 * was kept: each job that was accepted ends once, with its right picture, and its webhook is called.
 *
 *     deno run -A tests/server/kills.ts 50                            # one server with a SQLite queue
 *     deno run -A tests/server/kills.ts 20 redis                      # a front, two workers and a Redis of their own
 *     deno run -A tests/server/kills.ts 20 redis://127.0.0.1:6379     # with one that is there
 *
 * An outage comes before every third kill: the data folder is moved away, Redis is stopped (SIGSTOP), or killed and started again; one
 * that is only known by its address is stopped alone, if it runs on this machine. Half of them last until after the kill.
 */
import assert from "../assert.ts";
import { connect, disconnect } from "../../src/jobs/queue/redis/connection.ts";
import { type RedisServer, withRedis } from "../jobs/queue/redis/redis_server.ts";
import { ServeProcess } from "./serve_process.ts";

/** Seeds of the jobs; each has one right picture. */
const SEEDS = 6;
const JOB = { prompt: "a red circle on a blue background", steps: 12 };
/** Jobs under way at a time. */
const LOAD = 6;
const LEASE_SECONDS = "2";
/** Milliseconds that a server that is ready lives at most, and times as long as a job takes: else a busy machine would end none. */
const LIFE_MS = 4000;
const LIFE_JOBS = 4;
/** Milliseconds that an outage lasts at most: longer than leases and the patience of all. */
const OUTAGE_MS = 6000;
/** Kills for each outage. */
const KILLS_PER_OUTAGE = 3;
/** Kills until which a job has to have ended: on a machine that became busy, the next one waits for it. */
const KILLS_PER_END = 3;

/** Options of a Redis that has on the disk what it was told. */
export const DURABLE = ["--appendonly", "yes", "--appendfsync", "always"];

/** What can be away for a while. */
interface Outage {
  readonly name: string;
  begin(): Promise<void> | void;
  end(): Promise<void> | void;
}

/** What came of it. */
export interface Survival {
  readonly kills: number;
  readonly outages: number;
  readonly jobs: number;
  /** Jobs that were made though nobody was told that they were accepted. */
  readonly double: number;
  /** Jobs that were begun more than once. */
  readonly begunAgain: number;
  /** Webhooks that came, copies counted. */
  readonly deliveries: number;
  /** Requests that were told that something is away. */
  readonly refused: number;
  /** Milliseconds of the slowest answer. */
  readonly slowestMs: number;
}

/** Takes webhooks: by job, the ids that they came with and the states that they told. */
class Receiver implements AsyncDisposable {
  readonly told = new Map<string, { id: string; state: string }[]>();
  readonly #server: Deno.HttpServer<Deno.NetAddr>;

  constructor() {
    this.#server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen() {} },
      async (request) => {
        const job = await request.json();
        const known = this.told.get(job.id) ?? [];
        this.told.set(job.id, [...known, {
          id: request.headers.get("webhook-id")!,
          state: job.state,
        }]);
        return new Response();
      },
    );
  }

  get url(): string {
    return `http://127.0.0.1:${this.#server.addr.port}/`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }
}

/** What was answered so far. */
const answered = { refused: 0, slowestMs: 0 };

/** Asks until it is answered in full: servers come and go. */
async function ask(
  url: () => string,
  path: string,
  init?: RequestInit,
): Promise<{ readonly status: number; readonly bytes: Uint8Array<ArrayBuffer> }> {
  while (true) {
    const began = performance.now();
    try {
      const answer = await fetch(url() + path, init);
      const bytes = await answer.bytes();
      answered.slowestMs = Math.max(answered.slowestMs, Math.round(performance.now() - began));
      assert.notEqual(answer.status, 500, `${path}: ${new TextDecoder().decode(bytes)}`);
      if (answer.status === 503) answered.refused++;
      if (answer.status < 500 && answer.status !== 429) return { status: answer.status, bytes };
    } catch (error) {
      if (error instanceof assert.AssertionError) throw error; // Else nobody is there at the moment.
    }
    await pause(50);
  }
}

async function jobOf(url: () => string, id: string): Promise<JobJson> {
  const { bytes } = await ask(url, `/jobs/${id}`);
  return JSON.parse(new TextDecoder().decode(bytes));
}

function isOpen({ state }: JobJson): boolean {
  return state === "queued" || state === "running";
}

// deno-lint-ignore no-explicit-any
type JobJson = any;

/**
 * Has jobs made until told to stop; gives their ids. Where who answers is never killed, half of the clients choose none: a job that was
 * not accepted must not be made then, for it comes once more.
 */
async function load(
  url: () => string,
  hook: string,
  { isOver, named, onEnd }: {
    readonly isOver: () => boolean;
    readonly named: boolean;
    readonly onEnd: () => void;
  },
): Promise<string[]> {
  const ids: string[] = [];
  const client = async (name: number) => {
    for (let count = 0; !isOver(); count++) {
      const own = named || name % 2 === 0 ? { id: `job-${name}-${count}` } : {};
      const body = { ...JOB, ...own, seed: (name + count) % SEEDS };
      const answer = await ask(url, "/jobs", {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ ...body, webhook: { url: hook, events: ["completed"] } }),
      });
      const text = new TextDecoder().decode(answer.bytes);
      assert.equal(answer.status, 202, text);
      const { id } = JSON.parse(text);
      ids.push(id);
      while (!isOver() && isOpen(await jobOf(url, id))) {
        await pause(100);
      }
      onEnd();
    }
  };
  await Promise.all(Array.from({ length: LOAD }, (_, name) => client(name)));
  return ids;
}

/**
 * @param queue redis://...: a front and two workers; absent: one server with its own queue.
 * @param outages What can be done to that queue.
 */
export async function survive(
  kills: number,
  { queue, outages = [], random = Math.random, onKill = () => {} }: {
    readonly queue?: string;
    readonly outages?: readonly Outage[];
    readonly random?: () => number;
    readonly onKill?: (kill: number) => void;
  } = {},
): Promise<Survival> {
  const folder = await Deno.makeTempDir();
  await using stack = new AsyncDisposableStack();
  stack.defer(() => Deno.remove(folder, { recursive: true }));
  const data = `${folder}/data`;
  const receiver = stack.use(new Receiver());
  const shared = ["--data", data, "--lease", LEASE_SECONDS, "--attempts", "1000"];
  const hooks = ["--allow-host", "127.0.0.1"];
  const serve = ["serve", "--port", "0", ...shared, ...hooks];
  const worker = queue === undefined ? serve : ["worker", ...shared, "--queue", queue, ...hooks];
  const possible = [...outages, folderAway(data)];

  const workers: ServeProcess[] = [];
  stack.defer(async () => {
    for (const one of workers) await one.stop("SIGKILL");
  });
  let url = "";
  const begin = async () => {
    const process = ServeProcess.start(...worker);
    if (queue === undefined) url = await process.url();
    return process;
  };
  if (queue !== undefined) {
    const front = stack.use(ServeProcess.start(...serve, "--no-worker", "--queue", queue));
    url = await front.url();
    workers.push(await begin());
  }
  workers.push(await begin());

  const life = Math.max(LIFE_MS, LIFE_JOBS * await timeOfJob(() => url));
  answered.slowestMs = 0; // That one waited for its job.
  let isOver = false;
  let count = 0;
  const named = queue === undefined;
  let ended = 0;
  let seen = 0;
  const loading = load(() => url, receiver.url, {
    isOver: () => isOver,
    named,
    onEnd: () => ended++,
  });
  for (let kill = 0; kill < kills; kill++) {
    const which = Math.floor(random() * workers.length);
    await workers[which]!.ready();
    await pause(random() * life);
    const outage = kill % KILLS_PER_OUTAGE === 0 ? possible[count++ % possible.length] : undefined;
    const killedMeanwhile = random() < 0.5;
    // What starts has to find what it needs.
    if (outage !== undefined) await Promise.all(workers.map((one) => one.ready()));
    await outage?.begin();
    if (outage !== undefined) await pause(random() * OUTAGE_MS);
    if (!killedMeanwhile) {
      await outage?.end();
      await pause(random() * life);
    }
    if (kill % KILLS_PER_END === KILLS_PER_END - 1) {
      while (ended === seen) await pause(50);
      seen = ended;
    }
    await workers[which]!.stop("SIGKILL");
    if (killedMeanwhile) await outage?.end();
    workers[which] = await begin();
    onKill(kill + 1);
  }
  isOver = true;
  const ids = await loading;
  const jobs = await Promise.all(ids.map((id) => endOf(() => url, id)));
  await check(() => url, jobs, receiver);
  return {
    kills,
    double: await doubles(() => url, ids),
    outages: count,
    jobs: jobs.length,
    begunAgain: jobs.filter(({ attempts }) => attempts > 1).length,
    deliveries: [...receiver.told.values()].reduce((sum, all) => sum + all.length, 0),
    ...answered,
  };
}

/** Milliseconds that a job takes from when the first worker can make it. */
async function timeOfJob(url: () => string): Promise<number> {
  const { bytes } = await ask(url, "/jobs", {
    method: "POST",
    headers: { "content-type": "application/json", prefer: "wait" },
    body: JSON.stringify({ ...JOB, id: "first", seed: 0 }),
  });
  const { startedAt, finishedAt } = JSON.parse(new TextDecoder().decode(bytes));
  return Date.parse(finishedAt) - Date.parse(startedAt);
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** The data folder is somewhere else, as when its disk is unmounted. */
function folderAway(data: string): Outage {
  return {
    name: "folder",
    begin: () => Deno.rename(data, `${data}-away`),
    end: () => Deno.rename(`${data}-away`, data),
  };
}

/** What can be done to a Redis of one's own. */
export function redisOutages(server: RedisServer): Outage[] {
  const silent = {
    name: "silent",
    begin: () => server.pause(),
    end: () => server.resume(),
  };
  let starting = Promise.resolve();
  const killed = {
    name: "killed",
    begin: () => {
      starting = server.restart(OUTAGE_MS / 2);
    },
    end: () => starting,
  };
  return [silent, killed];
}

/** One that is known by its address can be stopped alone. */
async function silence(url: string): Promise<Outage> {
  const redis = await connect(url);
  const pid = Number(/process_id:(\d+)/.exec(await redis.info("server"))![1]);
  await disconnect(redis);
  return {
    name: "silent",
    begin: () => Deno.kill(pid, "SIGSTOP"),
    end: () => Deno.kill(pid, "SIGCONT"),
  };
}

async function endOf(url: () => string, id: string): Promise<JobJson> {
  while (true) {
    const job = await jobOf(url, id);
    if (!isOpen(job)) return job;
    await pause(100);
  }
}

/** Of the newest jobs, which is as many as a list has. */
async function doubles(url: () => string, ids: readonly string[]): Promise<number> {
  const { bytes } = await ask(url, "/jobs?limit=1000");
  const { jobs } = JSON.parse(new TextDecoder().decode(bytes));
  const accepted = new Set([...ids, "first"]);
  return jobs.filter(({ id, state }: JobJson) => !accepted.has(id) && state === "succeeded").length;
}

async function check(url: () => string, jobs: readonly JobJson[], receiver: Receiver) {
  const right = new Map<string, Uint8Array>();
  for (const { id, state, error, files, request: { seed } } of jobs) {
    assert.equal(state, "succeeded", `${id}: ${JSON.stringify(error)}`);
    assert.deepEqual(files.map(({ name }: { name: string }) => name), ["0.png"], id);
    const { status, bytes } = await ask(url, `/jobs/${id}/files/0.png`);
    assert.equal(status, 200, id);
    assert.deepEqual(
      bytes,
      right.get(seed) ?? bytes,
      `${id} has another picture than others of seed ${seed}`,
    );
    right.set(seed, bytes);
  }
  assert.equal(right.size, Math.min(SEEDS, jobs.length));
  // A webhook may still be on its way, and comes more than once where a server died over it.
  for (const { id } of jobs) {
    while (!receiver.told.has(id)) await pause(50);
    const told = receiver.told.get(id)!;
    assert.equal(new Set(told.map((one) => one.id)).size, 1, `${id}: ${JSON.stringify(told)}`);
    assert.ok(told.every((one) => one.state === "succeeded"), JSON.stringify(told));
  }
}

if (import.meta.main) {
  const [number = "50", queue] = Deno.args;
  const kills = Number(number);
  const started = performance.now();
  const onKill = (kill: number) => console.error(`killed ${kill} times`);
  const tell = (survival: Survival) => {
    const seconds = Math.round((performance.now() - started) / 1000);
    console.log(JSON.stringify({ ...survival, seconds }));
  };
  if (queue === undefined) tell(await survive(kills, { onKill }));
  else if (queue === "redis") {
    await withRedis(
      async (server) =>
        tell(await survive(kills, { queue: server.url, outages: redisOutages(server), onKill })),
      ...DURABLE,
    );
  } else tell(await survive(kills, { queue, outages: [await silence(queue)], onKill }));
}
