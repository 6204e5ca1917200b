/** RunPod's client for Python (`runpod` 1.12.0): the requests that it was recorded to send, and what it needs to be answered. */
import assert from "../../../assert.ts";
import { runpod } from "../../../../src/server/protocols/runpod/runpod.ts";
import { FakeJobs, type FakeOptions } from "../../fake_jobs.ts";
import { appOf, listening } from "../../server.ts";

/** What `runpod.Endpoint` sends with everything, by `requests`. */
const HEADERS = {
  "User-Agent": "python-requests/2.34.2",
  "Accept-Encoding": "gzip, deflate, br, zstd",
  "Accept": "*/*",
  "Content-Type": "application/json",
  "Authorization": "Bearer secret",
};

/** What `runpod.AsyncioEndpoint` sends, by `aiohttp`; of a job its id as well. */
const ASYNC_HEADERS = { ...HEADERS, "User-Agent": "Python/3.11 aiohttp/3.14.5" };

/** States that end `Job.stream()`, and those that end `Job.output()`. */
const FINAL_STATES = ["COMPLETED", "FAILED", "TIMED_OUT"];
const ENDED = [...FINAL_STATES, "CANCELLED"];

/** `json.dumps` writes a space after commas and colons. */
const INPUT =
  `{"input": {"prompt": "a red circle on a blue background", "num_inference_steps": 4, "seed": 7}}`;

interface Answer {
  readonly status: number;
  // deno-lint-ignore no-explicit-any
  readonly body: any;
}

/** Sends what was recorded to a server. */
async function replaying(
  use: (
    send: (line: string, body?: string, headers?: Record<string, string>) => Promise<Answer>,
    jobs: FakeJobs,
  ) => Promise<void>,
  options: FakeOptions = {},
): Promise<void> {
  const jobs = new FakeJobs(options);
  await listening(
    appOf(jobs, [runpod], { token: "secret" }),
    (url) =>
      use(async (line, body, headers = HEADERS) => {
        const [method, path] = line.split(" ") as [string, string];
        const init = { method, headers, ...body !== undefined && { body } };
        const response = await fetch(url + path, init);
        return { status: response.status, body: await response.json() };
      }, jobs),
  );
}

Deno.test("run, status and output", () =>
  replaying(async (send, jobs) => {
    const { status, body: { id } } = await send("POST /v2/mdm/run", INPUT);
    assert.deepEqual([status, typeof id], [200, "string"]);
    assert.ok(!ENDED.includes((await send(`GET /v2/mdm/status/${id}`)).body.status));
    await jobs.make(id);
    const { body: done } = await send(`GET /v2/mdm/status/${id}`);
    assert.equal(done.status, "COMPLETED");
    assert.match(done.output.images[0].image, /^data:image\/png;base64,/);
    const { prompts, seed, steps } = (await jobs.get(id))!.request;
    assert.deepEqual([prompts, seed, steps], [["a red circle on a blue background"], "7", 4]);
  }));

Deno.test("run_sync gives the output at once", () =>
  replaying(async (send) => {
    const { status, body } = await send("POST /v2/mdm/runsync", INPUT);
    assert.deepEqual([status, body.status], [200, "COMPLETED"]);
    assert.equal(body.output.images.length, 1);
  }, { finishAtOnce: true }));

Deno.test("run with everything that may be null", () =>
  replaying(async (send) => {
    const body =
      `{"input": {"prompt": "a star"}, "webhook": null, "policy": {"ttl": null, "executionTimeout": null, "lowPriority": null}, "s3Config": null}`;
    assert.equal((await send("POST /v2/mdm/run", body)).body.status, "IN_QUEUE");
  }));

Deno.test("what is wrong is an error with a sentence, for raise_for_status to throw", () =>
  replaying(async (send, jobs) => {
    const refused = async (path: string, body: string, error: RegExp) => {
      const answer = await send(`POST /v2/mdm/${path}`, body);
      assert.deepEqual([answer.status, Object.keys(answer.body)], [400, ["error"]]);
      assert.match(answer.body.error, error);
    };
    await refused("run", `{"input": {"prompt": 5}}`, /^"input\.prompt" has to be text/);
    await refused(
      "run",
      `{"input": {"prompt": "x", "steps": 5}}`,
      /^There is no field "input\.steps"/,
    );
    await refused("run", `{"input": {}}`, /^"input\.prompt" is missing/);
    // What `run({"input": None})` makes of it.
    await refused("run", `{"input": {"input": null}}`, /^There is no field "input\.input"/);
    const many = `{"input": {"prompt": "x", "num_inference_steps": 1000000000}}`;
    await refused("runsync", many, /^"input\.num_inference_steps" has to be/);
    await refused(
      "run",
      INPUT.replace(/}$/, `, "policy": {"ttl": -1}}`),
      /^"policy\.ttl" has to be/,
    );
    assert.deepEqual(await jobs.list(), []);
  }));

Deno.test("stream ends: what has ended has nothing new at last", () =>
  replaying(async (send, jobs) => {
    const { body: { id } } = await send("POST /v2/mdm/run", INPUT);
    jobs.begin(id);
    await jobs.preview(id);
    await jobs.picture(id);
    jobs.finish(id);
    const chunks: boolean[] = [];
    let asked = 0;
    for (; asked < 5; asked++) {
      const { body: { status, stream } } = await send(`GET /v2/mdm/stream/${id}`);
      chunks.push(...stream.map(({ output }: { output: { preview: boolean } }) => output.preview));
      if (FINAL_STATES.includes(status) && stream.length === 0) break;
    }
    assert.deepEqual([chunks, asked], [[true, false], 1]);
  }));

Deno.test("stream ends: of a job that was canceled", () =>
  replaying(async (send) => {
    const { body: { id } } = await send("POST /v2/mdm/run", INPUT);
    await send(`POST /v2/mdm/cancel/${id}`);
    const { body: { status, stream, error } } = await send(`GET /v2/mdm/stream/${id}`);
    assert.ok(FINAL_STATES.includes(status));
    assert.deepEqual([stream, error], [[], "The job was canceled."]);
  }));

Deno.test("cancel, purge_queue and health, without a body though they name its type", () =>
  replaying(async (send) => {
    const { body: { id } } = await send("POST /v2/mdm/run", INPUT);
    assert.equal((await send(`POST /v2/mdm/cancel/${id}`)).body.status, "CANCELLED");
    assert.equal((await send(`GET /v2/mdm/status/${id}`)).body.status, "CANCELLED");
    await send("POST /v2/mdm/run", INPUT);
    const purged = await send("POST /v2/mdm/purge-queue");
    assert.deepEqual(purged, { status: 200, body: { removed: 1, status: "completed" } });
    const { status, body } = await send("GET /v2/mdm/health");
    assert.deepEqual([status, Object.keys(body)], [200, ["jobs", "workers"]]);
  }));

Deno.test("a job that is not there has failed, and a wrong key is 401", () =>
  replaying(async (send) => {
    for (const line of ["GET /v2/mdm/status/none", "POST /v2/mdm/cancel/none"]) {
      const { status, body } = await send(line);
      assert.deepEqual([status, body.status], [200, "FAILED"]);
    }
    const headers = { ...HEADERS, "Authorization": "Bearer no" };
    assert.equal((await send("GET /v2/mdm/health", undefined, headers)).status, 401);
  }));

Deno.test("the client for asyncio: run, status, output, stream and cancel", () =>
  replaying(async (send, jobs) => {
    const { body: { id } } = await send("POST /v2/mdm/run", INPUT, ASYNC_HEADERS);
    const headers = { ...ASYNC_HEADERS, "X-Request-ID": id };
    const ask = (line: string) => send(`${line}/${id}`, undefined, headers);
    assert.equal((await ask("GET /v2/mdm/status")).body.status, "IN_QUEUE");
    await jobs.make(id);
    assert.equal((await ask("GET /v2/mdm/status")).body.output.images.length, 1);
    assert.equal((await ask("GET /v2/mdm/stream")).body.stream.length, 1);
    assert.deepEqual((await ask("GET /v2/mdm/stream")).body.stream, []);
    assert.equal((await ask("POST /v2/mdm/cancel")).body.status, "COMPLETED");
  }));
