import assert from "../../../assert.ts";
import runpodSdk from "runpod-sdk";
import { runpod } from "../../../../src/server/protocols/runpod/runpod.ts";
import { runpodWebhookBody } from "../../../../src/server/protocols/runpod/job.ts";
import { FakeJobs, type FakeOptions } from "../../fake_jobs.ts";
import { appOf, listening } from "../../server.ts";

const STAR = { input: { prompt: "a star", seed: 7 } };

function start(options: FakeOptions = {}) {
  const jobs = new FakeJobs(options);
  const app = appOf(jobs, [runpod]);
  const post = async (path: string, body: unknown = {}, status = 200) => {
    const response = await app.request(`/v2/mdm/${path}`, {
      method: "POST",
      body: typeof body === "string" ? body : JSON.stringify(body),
      headers: { "content-type": "application/json" },
    });
    const answer = await response.json();
    assert.equal(response.status, status, JSON.stringify(answer));
    return answer;
  };
  const get = async (path: string) => {
    const response = await app.request(`/v2/mdm/${path}`);
    assert.equal(response.status, 200);
    return await response.json();
  };
  return { jobs, app, post, get };
}

Deno.test("a job from queue to end in RunPod's words", async () => {
  const { jobs, post, get } = start();
  const { id, ...queued } = await post("run", STAR);
  assert.deepEqual(queued, { status: "IN_QUEUE" });
  assert.deepEqual(await get(`status/${id}`), { id, status: "IN_QUEUE" });
  jobs.begin(id);
  jobs.progress(id, 5);
  const running = await get(`status/${id}`);
  assert.equal(running.status, "IN_PROGRESS");
  assert.ok(running.delayTime >= 0);
  assert.deepEqual(running.output, { step: 5, steps: 20, etaMs: 600 });
  await jobs.picture(id);
  jobs.finish(id);
  for (const done of [await get(`status/${id}`), await post(`status/${id}`)]) {
    assert.equal(done.status, "COMPLETED");
    assert.ok(done.delayTime >= 0 && done.executionTime >= 0);
    const [{ image, ...rest }, ...others] = done.output.images;
    assert.match(image, /^data:image\/png;base64,iVBORw0KGgo/);
    assert.deepEqual(rest, { picture: 0, level: 0, seed: 7, width: 32, height: 32 });
    assert.deepEqual(others, []);
  }
});

Deno.test("the webhook of a job hears its end only, and all of it", async () => {
  const { jobs, post, get } = start();
  const { id } = await post("run", { ...STAR, webhook: "https://client/hook" });
  assert.deepEqual((await jobs.get(id))!.webhook, {
    url: "https://client/hook",
    events: ["completed"],
  });
  await jobs.make(id);
  assert.deepEqual(await runpodWebhookBody((await jobs.get(id))!, jobs), await get(`status/${id}`));
});

Deno.test("files that have an address are given by it, and large seeds in digits", async () => {
  const { jobs, post } = start({ finishAtOnce: true });
  Object.assign(jobs, {
    link: (id: string, name: string) => Promise.resolve(`https://files/${id}/${name}`),
  });
  const seed = "18446744073709551615";
  const { output } = await post("runsync", { input: { prompt: "x", seed, num_outputs: 2 } });
  assert.deepEqual(
    output.images.map(({ image, seed }: Record<string, unknown>) => [image, seed]),
    [["https://files/job-1/0.png", seed], ["https://files/job-1/1.png", 0]],
  );
});

Deno.test("a model of videos gives videos", async () => {
  const { post } = start({
    finishAtOnce: true,
    model: {
      name: "v",
      makes: "videos",
      levels: [{ width: 8, height: 8 }],
      frames: 4,
      sizeStep: 8,
    },
  });
  const { output } = await post("runsync", STAR);
  assert.match(output.videos[0].video, /^data:video\/mp4;base64,/);
  assert.equal(output.videos[0].frames, 4);
  assert.equal(output.images, undefined);
});

Deno.test("a synchronous request waits as long as it says, and no longer than it may", async () => {
  const { jobs, post, get } = start({ limits: { waitMs: 20 } });
  const { next } = jobs;
  const made = post("runsync?wait=100000", STAR);
  jobs.begin((await next).id);
  const { id, status } = await made;
  assert.equal(status, "IN_PROGRESS");
  assert.equal((await get(`status-sync/${id}?wait=1`)).status, "IN_PROGRESS");
  const done = get(`status-sync/${id}`);
  await jobs.picture(id);
  jobs.finish(id);
  assert.equal((await done).status, "COMPLETED");
});

Deno.test("the policy of a job", async () => {
  const { jobs, post } = start({ limits: { queueMs: 1000 } });
  const of = async (policy: object) => {
    const before = Date.now();
    const { id } = await post("run", { ...STAR, policy });
    const { deadline, priority } = (await jobs.get(id))!;
    return { priority, left: deadline && Math.round((deadline - before) / 1000) };
  };
  assert.deepEqual(await of({}), { priority: 0, left: null });
  assert.deepEqual(await of({ ttl: 60_000, lowPriority: true }), { priority: -1, left: 60 });
  assert.deepEqual(await of({ executionTimeout: 5000 }), { priority: 0, left: 6 });
  assert.deepEqual(await of({ executionTimeout: 5000, ttl: 3000 }), { priority: 0, left: 3 });
});

Deno.test("a wrong request is an error", async () => {
  const { jobs, post, app } = start();
  const wrong = async (body: unknown, path = "run") => {
    const { error, ...rest } = await post(path, body, 400);
    assert.deepEqual(rest, {});
    return error;
  };
  assert.match(await wrong({}), /^"input" is missing/);
  assert.match(await wrong("{"), /cannot be read/);
  assert.match(await wrong({ input: { prompt: "" } }), /^"input\.prompt" has to be text/);
  assert.match(
    await wrong({ input: { prompt: "x", colour: 1 } }),
    /^There is no field "input\.colour": /,
  );
  assert.match(await wrong({ ...STAR, webhook: "ftp://x" }), /^"webhook" has to be an address/);
  assert.match(
    await wrong({ ...STAR, policy: { ttl: -1 } }),
    /^"policy\.ttl" has to be at least 1/,
  );
  for (const wait of ["soon", "-1", "Infinity", "1&wait=2"]) {
    const sentence = `"wait": Give the milliseconds to wait: a number from 0 on.`;
    assert.equal(await wrong(STAR, `runsync?wait=${wait}`), sentence);
    const answer = await app.request(`/v2/mdm/status-sync/none?wait=${wait}`);
    assert.deepEqual([answer.status, await answer.json()], [400, { error: sentence }]);
  }
  const text = await app.request("/v2/mdm/run", { method: "POST", body: "prompt" });
  assert.equal(text.status, 400);
  assert.match((await text.json()).error, /Content-Type/);
  assert.deepEqual(await jobs.list(), []);
});

Deno.test("null is what is not there", async () => {
  const { jobs, post } = start();
  const { id } = await post("run", {
    ...STAR,
    webhook: null,
    policy: { executionTimeout: null, ttl: null, lowPriority: null },
    s3Config: null,
  });
  const { webhook, deadline, priority } = (await jobs.get(id))!;
  assert.deepEqual([webhook, deadline, priority], [null, null, 0]);
  assert.equal((await post("run", { ...STAR, policy: null })).status, "IN_QUEUE");
  assert.match((await post("run", { input: null }, 400)).error, /^"input" is missing/);
});

Deno.test("a full queue says when to come again", async () => {
  const { app } = start({ capacity: 0 });
  const response = await app.request("/v2/mdm/run", {
    method: "POST",
    body: JSON.stringify(STAR),
    headers: { "content-type": "application/json" },
  });
  assert.equal(response.status, 429);
  assert.equal(response.headers.get("retry-after"), "7");
  assert.match((await response.json()).error, /queue is full/);
});

Deno.test("a job that is not there is one that failed", async () => {
  const { post, get } = start();
  const answers = [
    await get("status/none"),
    await get("status-sync/none"),
    await get("stream/none"),
    await post("cancel/none"),
    await post("retry/none"),
  ];
  for (const { id, status, error } of answers) {
    assert.deepEqual([id, status], ["none", "FAILED"]);
    assert.match(error, /no such job/);
  }
  const { stream: nothing, ...odd } = await get("stream/a%20b");
  assert.deepEqual([odd.id, odd.status, nothing], ["a b", "FAILED", []]);
  assert.deepEqual(answers[2].stream, []);
});

Deno.test("every end has its state", async () => {
  const { jobs, post } = start();
  const end = async (code: "failed" | "timeout" | "expired" | "refused") => {
    const { id } = await post("run", STAR);
    jobs.begin(id);
    jobs.finish(id, { code, message: `It was ${code}.` });
    const { status, error, output } = await post(`status/${id}`);
    assert.deepEqual([error, output], [`It was ${code}.`, undefined]);
    return status;
  };
  assert.equal(await end("failed"), "FAILED");
  assert.equal(await end("refused"), "FAILED");
  assert.equal(await end("timeout"), "TIMED_OUT");
  assert.equal(await end("expired"), "TIMED_OUT");
});

Deno.test("cancel, retry and purge", async () => {
  const { jobs, post } = start();
  const { id } = await post("run", STAR);
  const { status, executionTime } = await post(`cancel/${id}`);
  assert.deepEqual([status, executionTime], ["CANCELLED", 0]);
  assert.deepEqual(await post(`retry/${id}`), { id, status: "IN_QUEUE" });
  const { id: other } = await post("run", STAR);
  jobs.begin(other);
  assert.deepEqual(await post("purge-queue"), { removed: 1, status: "completed" });
  assert.equal((await post(`status/${id}`)).status, "CANCELLED");
  assert.equal((await post(`status/${other}`)).status, "IN_PROGRESS");
});

Deno.test("a stream gives each preview and picture once, then the end", async () => {
  const { jobs, post, get } = start();
  const { id } = await post("run", STAR);
  jobs.begin(id);
  const waiting = get(`stream/${id}`);
  await jobs.preview(id, {}, new Uint8Array(3));
  const first = await waiting;
  assert.equal(first.status, "IN_PROGRESS");
  assert.deepEqual(first.stream.map(shape), [[true, 1, 16]]);
  await jobs.preview(id, {}, new Uint8Array(4));
  await jobs.picture(id);
  assert.deepEqual((await get(`stream/${id}`)).stream.map(shape), [[true, 1, 16], [false, 0, 32]]);
  const last = get(`stream/${id}`);
  jobs.finish(id);
  assert.deepEqual(await last, { id, status: "COMPLETED", stream: [] });
  assert.equal(jobs.listeners, 0);
  // Who comes later gets it from the start, and then nothing new.
  assert.equal((await get(`stream/${id}`)).stream.length, 2);
  assert.equal((await get(`stream/${id}`)).stream.length, 0);

  function shape({ output }: { output: Record<string, unknown> }) {
    return [output["preview"], output["level"], output["width"]];
  }
});

Deno.test("a stream in which nothing comes ends after a while, to be asked for again", async () => {
  const { jobs, post, get } = start({ limits: { waitMs: 5 } });
  const { id } = await post("run", STAR);
  assert.deepEqual(await get(`stream/${id}`), { id, status: "IN_QUEUE", stream: [] });
  assert.equal(jobs.listeners, 0);
});

Deno.test("jobs and workers", async () => {
  const { jobs, post, get } = start({ health: { worker: "starting" } });
  const nobody = { idle: 0, initializing: 0, ready: 0, running: 0, throttled: 0, unhealthy: 0 };
  assert.deepEqual((await get("health")).workers, { ...nobody, initializing: 1 });
  jobs.worker = "ready";
  assert.deepEqual((await get("health")).workers, { ...nobody, idle: 1, ready: 1 });
  const { id } = await post("run", STAR);
  jobs.begin((await post("run", STAR)).id);
  assert.deepEqual(await get("health"), {
    jobs: { completed: 0, failed: 0, inProgress: 1, inQueue: 1, retried: 0 },
    workers: { ...nobody, ready: 1, running: 1 },
  });
  jobs.worker = "failed";
  assert.equal((await get("health")).workers.unhealthy, 1);
  await post(`cancel/${id}`);
  await post(`retry/${id}`);
  assert.equal((await get("health")).jobs.retried, 1);
});

/** An endpoint of RunPod's client, at a server on loopback. */
async function withClient(
  use: (
    endpoint: NonNullable<ReturnType<ReturnType<typeof runpodSdk>["endpoint"]>>,
    jobs: FakeJobs,
  ) => Promise<void>,
  options: FakeOptions = {},
): Promise<void> {
  const { jobs, app } = start(options);
  await listening(
    app,
    (url) => use(runpodSdk("key", { baseUrl: `${url}/v2` }).endpoint("mdm")!, jobs),
  );
}

Deno.test("RunPod's client runs, asks, cancels and purges", () =>
  withClient(async (endpoint, jobs) => {
    const { id, status } = await endpoint.run(STAR);
    assert.equal(status, "IN_QUEUE");
    jobs.begin(id);
    const { started, completed } = await endpoint.status(id) as unknown as Record<string, boolean>;
    assert.deepEqual([started, completed], [true, false]);
    assert.equal((await endpoint.cancel(id)).status, "CANCELLED");
    await endpoint.run(STAR);
    assert.deepEqual(await endpoint.purgeQueue(), { removed: 1, status: "completed" });
    assert.equal((await endpoint.health()).workers.ready, 1);
  }));

Deno.test("RunPod's client waits for a job, past expired waits", () =>
  withClient(async (endpoint, jobs) => {
    const { next } = jobs;
    const done = endpoint.runSync(STAR);
    const { id } = await next;
    assert.equal((await endpoint.statusSync(id)).status, "IN_QUEUE");
    await jobs.make(id);
    const { status, output } = await done;
    assert.equal(status, "COMPLETED");
    assert.equal(output.images.length, 1);
  }, { limits: { waitMs: 1 } }));

Deno.test("RunPod's client streams a job, and ends where there is none", () =>
  withClient(async (endpoint, jobs) => {
    const { id } = await endpoint.run(STAR);
    const chunks: unknown[] = [];
    const all = (async () => {
      for await (const { output } of endpoint.stream(id)) {
        chunks.push(output.preview);
        if (output.preview) await jobs.picture(id).then(() => jobs.finish(id));
      }
    })();
    jobs.begin(id);
    await jobs.preview(id);
    await all;
    assert.deepEqual(chunks, [true, false]);
    for await (const chunk of endpoint.stream("none")) assert.fail(String(chunk));
  }));

Deno.test("RunPod's client hears what is wrong", () =>
  withClient(async (endpoint, jobs) => {
    const isRefusal = ({ response }: { response: { status: number; data: { error: string } } }) =>
      response.status === 400 && /^"input\.prompt" /.test(response.data.error);
    await assert.rejects(endpoint.runSync({ input: {} }), isRefusal);
    await assert.rejects(endpoint.run({ input: { prompt: 3 } }), isRefusal);
    assert.deepEqual(await jobs.list(), []);
    assert.equal((await endpoint.status("none")).status, "FAILED");
  }));

Deno.test("without the token RunPod's client is refused", () => {
  const app = appOf(new FakeJobs(), [runpod], { token: "secret" });
  return listening(app, async (url) => {
    const endpoint = runpodSdk("wrong", { baseUrl: `${url}/v2` }).endpoint("mdm")!;
    await assert.rejects(endpoint.run(STAR), /401/);
    const response = await app.request("/v2/mdm/health");
    assert.equal(response.status, 401);
    assert.match((await response.json()).error, /token is missing/);
    const right = runpodSdk("secret", { baseUrl: `${url}/v2` }).endpoint("mdm")!;
    assert.equal((await right.run(STAR)).status, "IN_QUEUE");
  });
});
