/**
 * Kills workers again and again while jobs come in, and looks whether all that was promised was kept: each job that was accepted ends
 * once, with its right picture, and its webhook is called.
 *
 *     deno run -A tests/worker/kills.ts 50                            # one server with a SQLite queue
 *     deno run -A tests/worker/kills.ts 20 redis://127.0.0.1:6379     # a front and two workers
 */
import assert from "node:assert/strict";
import { ServeProcess } from "./serve_process.ts";

/** Seeds of the jobs; each has one right picture. */
const SEEDS = 6;
const JOB = { prompt: "a red circle on a blue background", steps: 12 };
/** Jobs under way at a time. */
const LOAD = 6;
const LEASE_SECONDS = "2";
/** Milliseconds that a server that is ready lives at most. */
const LIFE_MS = 4000;

/** What came of it. */
export interface Survival {
  readonly kills: number;
  readonly jobs: number;
  /** Jobs that were begun more than once. */
  readonly begunAgain: number;
  /** Webhooks that came, copies counted. */
  readonly deliveries: number;
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

/** Asks until it is answered in full: servers come and go. */
async function ask(
  url: () => string,
  path: string,
  init?: RequestInit,
): Promise<{ readonly status: number; readonly bytes: Uint8Array<ArrayBuffer> }> {
  while (true) {
    try {
      const answer = await fetch(url() + path, init);
      const bytes = await answer.bytes();
      if (answer.status < 500 && answer.status !== 429) return { status: answer.status, bytes };
    } catch { /* Nobody is there at the moment. */ }
    await new Promise((resolve) => setTimeout(resolve, 50));
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

/** Has jobs made until told to stop; gives their ids. */
async function load(url: () => string, hook: string, isOver: () => boolean): Promise<string[]> {
  const ids: string[] = [];
  const client = async (name: number) => {
    for (let count = 0; !isOver(); count++) {
      const id = `job-${name}-${count}`;
      const body = { ...JOB, id, seed: (name + count) % SEEDS };
      const answer = await ask(url, "/jobs", {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ ...body, webhook: { url: hook, events: ["completed"] } }),
      });
      assert.equal(answer.status, 202, new TextDecoder().decode(answer.bytes));
      ids.push(id);
      while (!isOver() && isOpen(await jobOf(url, id))) {
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    }
  };
  await Promise.all(Array.from({ length: LOAD }, (_, name) => client(name)));
  return ids;
}

/** @param queue redis://...: a front and two workers; absent: one server with its own queue. */
export async function survive(
  kills: number,
  { queue, random = Math.random, onKill = () => {} }: {
    readonly queue?: string;
    readonly random?: () => number;
    readonly onKill?: (kill: number) => void;
  } = {},
): Promise<Survival> {
  const data = await Deno.makeTempDir();
  await using stack = new AsyncDisposableStack();
  stack.defer(() => Deno.remove(data, { recursive: true }));
  const receiver = stack.use(new Receiver());
  const shared = ["--data", data, "--lease", LEASE_SECONDS, "--attempts", "100"];
  const hooks = ["--allow-host", "127.0.0.1"];
  const serve = ["serve", "--port", "0", ...shared, ...hooks];
  const worker = queue === undefined ? serve : ["worker", ...shared, "--queue", queue, ...hooks];

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

  let isOver = false;
  const loading = load(() => url, receiver.url, () => isOver);
  for (let kill = 0; kill < kills; kill++) {
    const which = Math.floor(random() * workers.length);
    await workers[which]!.ready();
    await new Promise((resolve) => setTimeout(resolve, random() * LIFE_MS));
    await workers[which]!.stop("SIGKILL");
    workers[which] = await begin();
    onKill(kill + 1);
  }
  isOver = true;
  const ids = await loading;
  const jobs = await Promise.all(ids.map((id) => ended(() => url, id)));
  await check(() => url, jobs, receiver);
  return {
    kills,
    jobs: jobs.length,
    begunAgain: jobs.filter(({ attempts }) => attempts > 1).length,
    deliveries: [...receiver.told.values()].reduce((sum, all) => sum + all.length, 0),
  };
}

async function ended(url: () => string, id: string): Promise<JobJson> {
  while (true) {
    const job = await jobOf(url, id);
    if (!isOpen(job)) return job;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
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
    while (!receiver.told.has(id)) await new Promise((resolve) => setTimeout(resolve, 50));
    const told = receiver.told.get(id)!;
    assert.equal(new Set(told.map((one) => one.id)).size, 1, `${id}: ${JSON.stringify(told)}`);
    assert.ok(told.every((one) => one.state === "succeeded"), JSON.stringify(told));
  }
}

if (import.meta.main) {
  const [kills = "50", queue] = Deno.args;
  const started = performance.now();
  const survival = await survive(Number(kills), {
    ...queue !== undefined && { queue },
    onKill: (kill) => console.error(`killed ${kill} times`),
  });
  const seconds = Math.round((performance.now() - started) / 1000);
  console.log(JSON.stringify({ ...survival, seconds }));
}
