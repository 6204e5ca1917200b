import assert from "../../../assert.ts";
import { UsageError } from "../../../../src/errors.ts";
import type { Job } from "../../../../src/jobs/job.ts";
import { QueueFull } from "../../../../src/jobs/queue/queue.ts";
import { Unavailable } from "../../../../src/jobs/unavailable.ts";
import { runpodSettings } from "../../../../src/server/protocols/runpod/platform.ts";
import { pullRunpodJobs, runTestInput } from "../../../../src/server/protocols/runpod/pull.ts";
import { FakeJobs, type FakeOptions } from "../../fake_jobs.ts";

const STAR = { prompt: "a star", seed: 7 };

/** What the platform was told. */
interface Post {
  readonly to: "output" | "stream";
  readonly id: string;
  readonly isStream: string | null;
  readonly body: Record<string, unknown>;
}

/** A platform on loopback, which takes offence at everything that is not as RunPod's worker does it. */
class Platform implements AsyncDisposable {
  /** What was wrong with requests. */
  readonly offences: string[] = [];
  /** Queries of requests for jobs. */
  readonly takes: Record<string, string>[] = [];
  readonly pings: (string | null)[] = [];
  readonly #answers: ((signal: AbortSignal) => Response | Promise<Response>)[] = [];
  readonly #refusals: number[] = [];
  readonly #stops: Response[] = [];
  /** Bytes of a post at most: larger ones are refused. */
  mostBytes = Infinity;
  readonly #posts: Post[] = [];
  #changed = Promise.withResolvers<void>();
  readonly #server: Deno.HttpServer<Deno.NetAddr>;

  constructor() {
    const onListen = () => {};
    this.#server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen },
      (request) => this.#answer(request),
    );
  }

  env(more: Record<string, string> = {}): Record<string, string> {
    const base = `http://127.0.0.1:${this.#server.addr.port}/v2/end`;
    return {
      RUNPOD_WEBHOOK_GET_JOB: `${base}/job-take/$ID?gpu=H100`,
      RUNPOD_WEBHOOK_POST_OUTPUT: `${base}/job-done/$RUNPOD_POD_ID/$ID?gpu=H100`,
      RUNPOD_WEBHOOK_POST_STREAM: `${base}/job-stream/$RUNPOD_POD_ID/$ID?gpu=H100`,
      RUNPOD_WEBHOOK_PING: `${base}/ping/$RUNPOD_POD_ID?gpu=H100`,
      RUNPOD_PING_INTERVAL: "10",
      RUNPOD_AI_API_KEY: "key",
      RUNPOD_POD_ID: "pod1",
      ...more,
    };
  }

  /** The next request for jobs gets this. */
  give(answer: unknown, status = 200): void {
    this.#answers.push(() =>
      new Response(answer === undefined ? null : JSON.stringify(answer), {
        status,
        headers: { "content-type": "application/json" },
      })
    );
  }

  /** The next request for jobs to stop gets this. */
  stop(answer: unknown, status = 200): void {
    this.#stops.push(new Response(JSON.stringify(answer), { status }));
  }

  /** How many answers to requests for jobs to stop are left. */
  get stopsLeft(): number {
    return this.#stops.length;
  }

  /** The next posts get these statuses. */
  refuse(...statuses: number[]): void {
    this.#refusals.push(...statuses);
  }

  /** Waits until something is as it should be; pings come every 10 ms, so that it is looked for again. */
  async until<T>(look: () => T | undefined | false): Promise<T> {
    for (let k = 0; k < 1000; k++) {
      const found = look();
      if (found !== undefined && found !== false) return found;
      await this.#changed.promise;
    }
    assert.fail(`It never came: ${look}`);
  }

  posts(id: string): Post[] {
    return this.#posts.filter((post) => post.id === id);
  }

  /** The result of a job. */
  result(id: string): Promise<Post> {
    return this.until(() =>
      this.posts(id).find(({ to, body }) => to === "output" && !("status" in body))
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server[Symbol.asyncDispose]();
  }

  async #answer(request: Request): Promise<Response> {
    const { pathname, searchParams: query } = new URL(request.url);
    const [, , , what, worker, id] = pathname.split("/");
    this.#expect(request.headers.get("authorization"), "key", "the key");
    this.#expect(worker, "pod1", "the worker");
    this.#expect(query.get("gpu"), "H100", "the address's own query");
    const answer = what === "job-take" || what === "job-take-batch"
      ? await this.#take(request, query, what)
      : what === "job-stop"
      ? this.#stops.shift() ?? new Response(null, { status: 204 })
      : what === "ping"
      ? this.#ping(request, query)
      : await this.#post(request, query, { what: what!, id: id! });
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
    return answer;
  }

  async #take(request: Request, query: URLSearchParams, what: string): Promise<Response> {
    this.#expect(request.method, "GET", "the method");
    const { gpu: _, ...rest } = Object.fromEntries(query);
    this.takes.push(rest);
    this.#expect(what === "job-take-batch", "batch_size" in rest, "a batch's address");
    const answer = this.#answers.shift();
    return answer === undefined
      ? new Response(null, { status: 204 })
      : await answer(request.signal);
  }

  #ping(request: Request, query: URLSearchParams): Response {
    this.#expect(request.method, "GET", "the method");
    this.#expect(query.has("runpod_version"), true, "the version");
    this.pings.push(query.get("job_id"));
    return new Response();
  }

  async #post(
    request: Request,
    query: URLSearchParams,
    { what, id }: { what: string; id: string },
  ): Promise<Response> {
    this.#expect(request.method, "POST", "the method");
    this.#expect(request.headers.get("x-request-id"), id, "the request's id");
    const type = "application/x-www-form-urlencoded";
    this.#expect(request.headers.get("content-type"), type, "the type");
    const text = await request.text();
    const body = JSON.parse(text);
    const status = text.length > this.mostBytes ? 400 : this.#refusals.shift() ?? 200;
    const to = what === "job-done" ? "output" : "stream";
    if (what !== "job-done") this.#expect(what, "job-stream", "the address");
    if (status === 200) this.#posts.push({ to, id, isStream: query.get("isStream"), body });
    return new Response(null, { status });
  }

  #expect(actual: unknown, expected: unknown, what: string): void {
    if (actual !== expected) this.offences.push(`${what}: ${actual}, not ${expected}`);
  }
}

/** Works for a platform while a test goes on, and then has to end by itself. */
async function withPull(
  use: (platform: Platform, jobs: FakeJobs, control: {
    stop: AbortController;
    over: AbortController;
    done: Promise<void>;
    warnings: string[];
  }) => Promise<void>,
  { env = {}, ...options }: FakeOptions & { env?: Record<string, string> } = {},
): Promise<void> {
  await using platform = new Platform();
  const jobs = new FakeJobs(options);
  const [stop, over] = [new AbortController(), new AbortController()];
  const warnings: string[] = [];
  const variables = platform.env(env);
  const done = pullRunpodJobs(jobs, {
    settings: runpodSettings((name) => variables[name])!,
    signal: stop.signal,
    over: over.signal,
    warn: (message) => warnings.push(message),
    pace: { empty: 1, tooMany: 2, failure: 1, longest: 4, retry: 1, progress: 0 },
  });
  try {
    await use(platform, jobs, { stop, over, done, warnings });
  } finally {
    stop.abort();
    over.abort();
    await done;
  }
  assert.deepEqual(platform.offences, []);
  assert.equal(jobs.listeners, 0);
}

/** The next job that is submitted. */
async function submitted(jobs: FakeJobs, act: () => void): Promise<Job> {
  const { next } = jobs;
  act();
  return await next;
}

Deno.test("a job is taken, reported, streamed and answered", () =>
  withPull(async (platform, jobs, { stop, done, warnings }) => {
    const task = { id: "one-u1", input: STAR, webhook: "https://client/hook" };
    const job = await submitted(jobs, () => platform.give(task));
    assert.deepEqual([job.id, job.origin, job.webhook], ["one-u1", "runpod", null]);
    await platform.until(() => platform.pings.includes("one-u1"));
    jobs.begin(job.id);
    jobs.progress(job.id, 5);
    await jobs.preview(job.id);
    await jobs.picture(job.id);
    await platform.until(() => platform.takes.some((take) => take["job_in_progress"] === "1"));
    jobs.finish(job.id);
    const { isStream, body } = await platform.result(job.id);
    assert.equal(isStream, "true");
    const { images: [{ image, ...rest }] } = body["output"] as {
      images: [Record<string, unknown>];
    };
    assert.match(String(image), /^data:image\/png;base64,/);
    assert.deepEqual(rest, { picture: 0, level: 0, seed: 7, width: 32, height: 32 });
    const [progress, preview, picture, ...last] = platform.posts(job.id);
    assert.deepEqual([progress!.to, progress!.isStream, progress!.body], ["output", "false", {
      status: "IN_PROGRESS",
      output: { step: 5, steps: 20, etaMs: 600 },
    }]);
    const chunk = ({ to, body }: Post) => [to, (body["output"] as { preview: boolean }).preview];
    assert.deepEqual([chunk(preview!), chunk(picture!)], [["stream", true], ["stream", false]]);
    assert.equal(last.length, 1);
    await platform.until(() => platform.pings.at(-1) === null);
    stop.abort();
    await done;
    assert.deepEqual(warnings, []);
  }));

Deno.test("a platform that has no place for streams gets the output only", () =>
  withPull(async (platform) => {
    platform.give({ id: "one", input: STAR });
    const { isStream } = await platform.result("one");
    assert.equal(isStream, "false");
    assert.deepEqual(platform.posts("one").filter(({ to }) => to === "stream"), []);
  }, { finishAtOnce: true, env: { RUNPOD_WEBHOOK_POST_STREAM: undefined as never } }));

Deno.test("as many jobs are asked for as slots are free", () =>
  withPull(async (platform, jobs) => {
    const ids = ["a", "b", "c"];
    platform.give(ids.map((id) => ({ id, input: STAR })));
    await platform.until(() => platform.takes.some((take) => take["job_in_progress"] === "1"));
    const [first, ...others] = platform.takes;
    assert.deepEqual(first, { batch_size: "4", job_in_progress: "0" });
    // One of four slots is left, which is asked for alone.
    assert.deepEqual(others.at(-1), { job_in_progress: "1" });
    const { next } = jobs;
    platform.give({ id: "d", input: STAR });
    await next;
    const asked = platform.takes.length;
    for (const id of [...ids, "d"]) jobs.begin(id);
    const pings = platform.pings.length;
    await platform.until(() => platform.pings.length > pings + 2);
    assert.equal(platform.takes.length, asked);
    await jobs.picture("a");
    jobs.finish("a");
    await platform.until(() => platform.takes.length > asked);
  }));

Deno.test("while the queue or the store is away no jobs are taken, and those in hand are no failures", () =>
  withPull(async (platform, jobs, { warnings }) => {
    const job = await submitted(jobs, () => platform.give({ id: "one", input: STAR }));
    const { read } = jobs;
    let tries = 0;
    jobs.read = (...about) =>
      ++tries <= 2
        ? Promise.reject(new Unavailable("The store is away."))
        : read.apply(jobs, about);
    await platform.until(() => platform.takes.some((take) => take["job_in_progress"] === "1"));
    jobs.away = "The store is away.";
    const pings = platform.pings.length;
    await platform.until(() => platform.pings.length > pings + 1);
    const takes = platform.takes.length;
    await platform.until(() => platform.pings.length > pings + 3);
    assert.equal(platform.takes.length, takes);
    jobs.away = null;
    jobs.begin(job.id);
    await jobs.picture(job.id);
    jobs.finish(job.id);
    const { body } = await platform.result(job.id);
    assert.ok("output" in body, JSON.stringify(body));
    assert.ok(tries > 2);
    assert.deepEqual(warnings, []);
  }));

Deno.test("no job, too many requests and failures are no end", () =>
  withPull(async (platform, jobs, { warnings }) => {
    const { next } = jobs;
    platform.give({}, 400);
    platform.give({}, 429);
    platform.give({}, 500);
    platform.give({ input: STAR });
    platform.give("");
    platform.give({ id: "one", input: STAR });
    await next;
    assert.deepEqual(warnings, [
      "Cannot take jobs from RunPod: RunPod answered 500 when it was asked for jobs.",
      "Cannot take jobs from RunPod: RunPod sent a job without an id.",
      "Cannot take jobs from RunPod: RunPod sent a job without an id.",
    ]);
  }));

Deno.test("a worker that is not ready takes nothing", () =>
  withPull(async (platform, jobs) => {
    await platform.until(() => platform.pings.length > 2);
    assert.deepEqual(platform.takes, []);
    jobs.worker = "ready";
    await platform.until(() => platform.takes.length > 0);
  }, { health: { worker: "starting" } }));

Deno.test("what cannot be made is answered with a sentence", () =>
  withPull(async (platform, jobs, { warnings }) => {
    const error = async (id: string, input: unknown) => {
      platform.give({ id, input });
      return (await platform.result(id)).body;
    };
    assert.match(
      String((await error("one", { prompt: "" }))["error"]),
      /^"input\.prompt" has to be text/,
    );
    assert.match(String((await error("two", undefined))["error"]), /^"input" is missing/);
    jobs.submit = () => Promise.reject(new TypeError("undefined is no function"));
    assert.match(String((await error("three", STAR))["error"]), /^The server failed/);
    assert.deepEqual(warnings, ["Job three of RunPod failed: undefined is no function"]);
  }));

Deno.test("jobs that failed or were canceled are answered as errors", () =>
  withPull(async (platform, jobs) => {
    await submitted(jobs, () => platform.give({ id: "one", input: STAR }));
    jobs.begin("one");
    jobs.finish("one", { code: "timeout", message: "It took too long." });
    assert.deepEqual((await platform.result("one")).body, { error: "It took too long." });
    await submitted(jobs, () => platform.give({ id: "two", input: STAR }));
    await jobs.cancel("two");
    assert.deepEqual((await platform.result("two")).body, { error: "The job was canceled." });
  }));

Deno.test("a job that comes again is made once, and after a failure once more", () =>
  withPull(async (platform, jobs) => {
    const task = { id: "one", input: { prompt: "without a seed" } };
    await submitted(jobs, () => platform.give([task, task]));
    jobs.begin("one");
    jobs.finish("one", { code: "failed", message: "The device was lost." });
    await platform.result("one");
    const retried = Promise.withResolvers<Job | null>();
    const retry = jobs.retry.bind(jobs);
    jobs.retry = async (id) => {
      const job = await retry(id);
      retried.resolve(job);
      return job;
    };
    platform.give(task);
    assert.equal((await retried.promise)!.state, "queued");
    await jobs.make("one");
    await platform.until(() =>
      platform.posts("one").some(({ body }) => "images" in Object(body["output"]))
    );
    assert.equal((await jobs.list()).length, 1);
  }));

Deno.test("a result that was not heard is told again, and given up after three tries", () =>
  withPull(async (platform, _, { warnings }) => {
    platform.refuse(500, 429);
    platform.give({ id: "one", input: STAR });
    await platform.result("one");
    platform.refuse(500, 502, 503);
    platform.give({ id: "two", input: STAR });
    await platform.until(() => warnings.length > 0);
    assert.deepEqual(warnings, ["Job two of RunPod: RunPod did not take its result."]);
    assert.deepEqual(platform.posts("two"), []);
  }, { finishAtOnce: true }));

Deno.test("a result that the platform refuses is followed by a word that says so", () =>
  withPull(async (platform, _, { warnings }) => {
    platform.mostBytes = 300;
    platform.give({ id: "one", input: { ...STAR, num_outputs: 4 } });
    const { body, ...post } = await platform.result("one");
    assert.deepEqual(post, { to: "output", id: "one", isStream: "false" });
    assert.match(String(body["error"]), /^RunPod did not take the result of \d{4} bytes: ask /);
    platform.mostBytes = Infinity;
    for (const status of [400, 413, 404]) {
      platform.refuse(status);
      platform.give({ id: `of-${status}`, input: STAR });
      assert.deepEqual(Object.keys((await platform.result(`of-${status}`)).body), ["error"]);
    }
    const said = warnings.length;
    platform.refuse(404, 404);
    platform.give({ id: "two", input: STAR });
    await platform.until(() => warnings.length === said + 2);
    assert.match(
      warnings.at(-2)!,
      /^RunPod refused the result of \d+ bytes. Job two of RunPod is /,
    );
    assert.equal(warnings.at(-1), "Job two of RunPod: RunPod did not take its result.");
    // There is nothing shorter to be said than an error.
    platform.refuse(400);
    platform.give({ id: "three", input: { prompt: "" } });
    await platform.until(() => warnings.length === said + 3);
  }, { finishAtOnce: true, env: { RUNPOD_WEBHOOK_POST_STREAM: undefined as never } }));

Deno.test("what is odd in a batch costs itself only", () =>
  withPull(async (platform, _, { warnings }) => {
    const odd = ["job-b/2 weird?id", "a.b", "é", "x".repeat(200)];
    const nameless = [{ input: STAR }, { id: "", input: STAR }, { id: null }, { id: {} }, null];
    platform.give([
      { id: "one", input: STAR },
      ...odd.map((id) => ({ id, input: STAR })),
      ...nameless,
      ...["..", "\ud800", "x".repeat(2000), 7].map((id) => ({ id, input: STAR })),
      "no job",
      { id: "two", input: STAR },
    ]);
    for (const id of ["one", "two", "7"]) {
      assert.ok("output" in (await platform.result(id)).body);
    }
    for (const id of odd) {
      const { body } = await platform.result(encodeURIComponent(id));
      assert.match(String(body["error"]), /^The job's id has to be 1 to 128 letters /);
    }
    assert.deepEqual(warnings, ["RunPod sent 9 of 16 jobs without an id."]);
  }, { finishAtOnce: true }));

Deno.test("what the platform says is to stop stops, and nothing is told of it", () =>
  withPull(async (platform, jobs, { warnings }) => {
    const ids = ["one", "two", "three"];
    for (const id of ids) {
      await submitted(jobs, () => platform.give({ id, input: STAR }));
    }
    jobs.begin("one");
    jobs.begin("two");
    platform.stop({ jobsToStop: ["one", "none", 5, "three"] });
    await platform.until(() => platform.pings.at(-1) === "two");
    for (const id of ["one", "three"]) assert.equal((await jobs.get(id))!.state, "canceled", id);
    await jobs.picture("two");
    jobs.finish("two");
    assert.ok("output" in (await platform.result("two")).body);
    assert.deepEqual([...platform.posts("one"), ...platform.posts("three")], []);
    // Somebody wants it after all.
    platform.give({ id: "one", input: STAR });
    await platform.until(() => platform.pings.at(-1) === "one");
    await jobs.make("one");
    assert.ok("output" in (await platform.result("one")).body);
    assert.deepEqual(warnings, []);
  }, { env: { RUNPOD_WEBHOOK_POST_STREAM: undefined as never } }));

Deno.test("what cannot be read of what is to stop is told once, and heard again after", () =>
  withPull(async (platform, jobs, { warnings }) => {
    platform.stop({}, 429);
    const pings = platform.pings.length;
    await platform.until(() => platform.pings.length > pings + 2);
    // While there is nothing to stop, nobody asks.
    assert.equal(platform.stopsLeft, 1);
    platform.stop("none");
    platform.stop({ jobsToStop: "one" });
    platform.stop(null, 404);
    await submitted(jobs, () => platform.give({ id: "one", input: STAR }));
    await platform.until(() => platform.stopsLeft === 0);
    assert.equal((await jobs.get("one"))!.state, "queued");
    platform.stop({});
    platform.stop({ jobsToStop: ["one"] });
    await platform.until(() => platform.pings.at(-1) === null);
    assert.equal((await jobs.get("one"))!.state, "canceled");
    assert.deepEqual(warnings, [
      "Cannot hear from RunPod which jobs to stop: RunPod sent something else than a list of jobs to stop.",
    ]);
  }));

Deno.test("a full queue is waited for", () =>
  withPull(async (platform, jobs) => {
    const submit = jobs.submit.bind(jobs);
    let full = 2;
    jobs.submit = (...job) => full-- > 0 ? Promise.reject(new QueueFull(1, 0.001)) : submit(...job);
    platform.give({ id: "one", input: STAR });
    assert.ok("output" in (await platform.result("one")).body);
  }, { finishAtOnce: true }));

Deno.test("told to stop, it finishes what it has and takes nothing more", () =>
  withPull(async (platform, jobs, { stop, done }) => {
    await submitted(jobs, () => platform.give({ id: "one", input: STAR }));
    stop.abort();
    const pings = platform.pings.length;
    await platform.until(() => platform.pings.length > pings + 1);
    assert.equal(platform.pings.at(-1), "one");
    const asked = platform.takes.length;
    await jobs.make("one");
    await done;
    assert.ok("output" in (await platform.result("one")).body);
    assert.equal(platform.takes.length, asked);
  }));

Deno.test("told that time is over, it leaves what it has to be given to another one", () =>
  withPull(async (platform, jobs, { stop, over, done }) => {
    await submitted(jobs, () => platform.give({ id: "one", input: STAR }));
    jobs.begin("one");
    stop.abort();
    over.abort();
    await done;
    assert.deepEqual(platform.posts("one"), []);
    assert.equal((await jobs.get("one"))!.state, "running");
  }));

Deno.test("a platform that is not there is told of without the keys in its address", async () => {
  const platform = new Platform();
  const variables = platform.env();
  await platform[Symbol.asyncDispose]();
  const stop = new AbortController();
  const warning = Promise.withResolvers<string>();
  const done = pullRunpodJobs(new FakeJobs(), {
    settings: runpodSettings((name) => variables[name])!,
    signal: stop.signal,
    over: stop.signal,
    warn: warning.resolve,
  });
  const said = await warning.promise;
  assert.match(said, /^Cannot (take jobs from|ping) RunPod: .*http:/);
  assert.doesNotMatch(said, /gpu|\?/);
  stop.abort();
  await done;
});

Deno.test("an environment that is not RunPod's, or that cannot be used", () => {
  const read = (env: Record<string, string>) => runpodSettings((name) => env[name]);
  assert.equal(read({}), null);
  const job = { RUNPOD_WEBHOOK_GET_JOB: "https://a/$ID" };
  const output = { RUNPOD_WEBHOOK_POST_OUTPUT: "https://a/$RUNPOD_POD_ID/$ID" };
  const { jobUrl, outputUrl, pingUrl, pingMs } = read({ ...job, ...output, RUNPOD_POD_ID: "p" })!;
  assert.deepEqual([jobUrl.href, outputUrl, pingUrl, pingMs], [
    "https://a/p",
    "https://a/p/$ID",
    null,
    10_000,
  ]);
  const fails = (env: Record<string, string>, message: string) =>
    assert.throws(() => read(env), new UsageError(message));
  fails(job, "Set RUNPOD_WEBHOOK_POST_OUTPUT as well as RUNPOD_WEBHOOK_GET_JOB.");
  fails(
    { ...output, RUNPOD_WEBHOOK_GET_JOB: "file:///x" },
    `RUNPOD_WEBHOOK_GET_JOB must be an address, not "file:///x".`,
  );
  fails(
    { ...output, RUNPOD_WEBHOOK_GET_JOB: "ws://a/b?key=c" },
    `RUNPOD_WEBHOOK_GET_JOB must be an address, not "ws://a/b".`,
  );
  fails(
    { ...job, ...output, RUNPOD_PING_INTERVAL: "soon" },
    `RUNPOD_PING_INTERVAL must be milliseconds, not "soon".`,
  );
});

Deno.test("a test input is run once and its result printed", async () => {
  const run = (json: string, options: FakeOptions = {}) => {
    const jobs = new FakeJobs(options);
    const lines: string[] = [];
    const { signal } = new AbortController();
    const code = runTestInput(jobs, json, { print: (line) => lines.push(line), signal });
    return { jobs, code, lines };
  };
  const well = run(JSON.stringify({ input: STAR }), { finishAtOnce: true });
  assert.equal(await well.code, 0);
  assert.deepEqual(well.lines.map((line) => Object.keys(JSON.parse(line))), [["output"]]);

  const bad = run(JSON.stringify({ input: STAR }));
  const [{ id }] = await bad.jobs.list() as [Job];
  bad.jobs.begin(id);
  bad.jobs.finish(id, { code: "failed", message: "It failed." });
  assert.equal(await bad.code, 1);
  assert.deepEqual(bad.lines, [`{"error":"It failed."}`]);

  for (const json of ["{", "{}", "null", `"x"`]) {
    await assert.rejects(run(json).code, /^UsageError: Option "--test_input" needs a job/);
  }
  await assert.rejects(run(`{"input":{}}`).code, /^UsageError: "input\.prompt" is missing/);
});

Deno.test("a test input that is interrupted is canceled", async () => {
  const jobs = new FakeJobs();
  const stop = new AbortController();
  const { next } = jobs;
  const print = () => assert.fail("There is no result.");
  const code = runTestInput(jobs, JSON.stringify({ input: STAR }), { print, signal: stop.signal });
  const { id } = await next;
  stop.abort();
  assert.equal(await code, 1);
  assert.equal((await jobs.get(id))!.state, "canceled");
});
