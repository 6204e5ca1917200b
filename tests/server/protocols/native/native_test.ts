/** Our own protocol. */
import assert from "../../../assert.ts";
import { native } from "../../../../src/server/protocols/native/native.ts";
import { FakeJobs } from "../../fake_jobs.ts";
import { appOf, eventsOf, listening, posted } from "../../server.ts";

const STAR = { prompt: "a star", seed: 7 };

/** A server and its jobs. */
function start(options: ConstructorParameters<typeof FakeJobs>[0] = {}) {
  const jobs = new FakeJobs(options);
  return { jobs, app: appOf(jobs, [native]) };
}

Deno.test("a job is taken at once, and told where it is", async () => {
  const { app } = start();
  const response = await app.request("/jobs", posted(STAR));
  assert.equal(response.status, 202);
  assert.equal(response.headers.get("Location"), "http://localhost/jobs/job-1");
  const { createdAt, ...job } = await response.json();
  assert.ok(Math.abs(Date.parse(createdAt) - Date.now()) < 10_000);
  assert.deepEqual(job, {
    id: "job-1",
    state: "queued",
    origin: "plain",
    startedAt: null,
    finishedAt: null,
    position: 0,
    attempts: 0,
    request: { prompts: ["a star"], n: 1, seed: "7", levels: false, preview: false },
    progress: { step: 0, steps: 0, etaMs: null },
    files: [],
    previews: [],
    error: null,
    warnings: [],
    timings: null,
  });
});

Deno.test("all that can be asked for arrives", async () => {
  const { jobs, app } = start();
  const asked = {
    prompts: ["a star", "a ring"],
    negative: "a cross",
    n: 2,
    seed: "18446744073709551615",
    sampler: "ddim",
    steps: 30,
    eta: 0.5,
    guidance: 6,
    guidanceInterval: [0.2, 0.8],
    threshold: "dynamic-if",
    size: 64,
    cache: { every: 2 },
    levels: true,
    preview: true,
    format: "webp",
    fps: 12,
  } as const;
  const webhook = { url: "https://a.example/hook", events: ["start", "completed"] };
  const said = { ...asked, id: "mine_1", priority: 3, deadline: "2100-01-01T00:00:00Z", webhook };
  const response = await app.request("/jobs", posted(said, { "Idempotency-Key": "k" }));
  assert.equal(response.status, 202);
  const { n, threshold: _, ...same } = asked;
  const job = (await jobs.get("mine_1"))!;
  assert.deepEqual(job.request, { ...same, count: n, threshold: "DYNAMIC_IF" });
  assert.equal(job.priority, 3);
  assert.equal(job.deadline, Date.UTC(2100));
  assert.deepEqual(job.webhook, webhook);
  assert.deepEqual((await response.json()).request, asked, "it can be posted again");
});

Deno.test("the same idempotency key gives the same job, also where no seed was given", async () => {
  const { jobs, app } = start();
  const request = () =>
    app.request("/jobs", posted({ prompt: "a star" }, { "Idempotency-Key": "k" }));
  const [first, second] = [await (await request()).json(), await (await request()).json()];
  assert.deepEqual(second, first);
  assert.equal((await jobs.list()).length, 1);
  const other = await app.request(
    "/jobs",
    posted({ prompt: "a ring" }, { "Idempotency-Key": "k" }),
  );
  assert.equal(other.status, 409);
  assert.equal((await other.json()).error.code, "conflict");
});

Deno.test("seeds that are not given differ", async () => {
  const { app } = start();
  const seed = async () => {
    return (await (await app.request("/jobs", posted({ prompt: "a star" }))).json()).request.seed;
  };
  assert.notEqual(await seed(), await seed());
});

Deno.test("whoever prefers to wait gets a job that has ended", async () => {
  const { jobs, app } = start();
  jobs.next.then(({ id }) => jobs.make(id));
  const response = await app.request("/jobs", posted(STAR, { Prefer: "wait=30" }));
  assert.equal(response.status, 201);
  const { state, files, timings } = await response.json();
  assert.equal(state, "succeeded");
  assert.equal(files[0].url, "http://localhost/jobs/job-1/files/0.png");
  assert.equal(files[0].seed, "7");
  assert.equal(timings.gpuSeconds, 0.4);
});

Deno.test("a wait ends after as long as was said, or as the server allows", async () => {
  const brief = start();
  const asked = await brief.app.request("/jobs", posted(STAR, { Prefer: "respond-async, wait=0" }));
  assert.equal(asked.status, 202);
  const { app } = start({ limits: { waitMs: 5 } });
  for (const prefer of ["wait", "wait=99999"]) {
    const response = await app.request("/jobs", posted(STAR, { Prefer: prefer }));
    assert.equal(response.status, 202);
    assert.equal((await response.json()).state, "queued");
  }
});

Deno.test("a job goes on when the client that waited for it leaves", async () => {
  const { jobs, app } = start();
  await listening(app, async (url) => {
    const leave = new AbortController();
    const response = fetch(`${url}/jobs`, {
      ...posted(STAR, { Prefer: "wait=60" }),
      signal: leave.signal,
    });
    await jobs.next;
    leave.abort();
    await assert.rejects(response, { name: "AbortError" });
  });
  // The server has shut down: it waits for nothing any more.
  assert.equal(jobs.listeners, 0);
  assert.equal((await jobs.get("job-1"))!.state, "queued");
});

Deno.test("jobs are listed, the newest first, whatever they came by", async () => {
  const { jobs, app } = start();
  for (const prompt of ["a star", "a ring"]) await app.request("/jobs", posted({ prompt }));
  const request = { prompts: ["a cross"], count: 1, seed: "1", levels: false, preview: false };
  await jobs.submit(request, { origin: "cog" });
  const list = async (query: string) => (await (await app.request(`/jobs${query}`)).json()).jobs;
  const ids = (listed: { id: string }[]) => listed.map(({ id }) => id);
  assert.deepEqual(ids(await list("")), ["job-3", "job-2", "job-1"]);
  assert.deepEqual(ids(await list("?limit=1")), ["job-3"]);
  assert.deepEqual((await list(""))[0].position, 2);
  for (const limit of ["0", "x", "1001", "1&limit=2"]) {
    assert.equal((await app.request(`/jobs?limit=${limit}`)).status, 422, limit);
  }
});

Deno.test("of some jobs those that there are are listed", async () => {
  const { jobs, app } = start();
  for (const prompt of ["a star", "a ring", "a cross"]) {
    await app.request("/jobs", posted({ prompt }));
  }
  const { get } = jobs;
  const asked: string[] = [];
  jobs.get = (id) => {
    asked.push(id);
    return get.call(jobs, id);
  };
  const list = async (ids: string) => {
    const { jobs } = await (await app.request(`/jobs?ids=${ids}`)).json();
    return jobs.map(({ id }: { id: string }) => id);
  };
  assert.deepEqual(await list("job-3,none,job-1"), ["job-3", "job-1"]);
  assert.deepEqual(await list("none"), []);
  asked.length = 0;
  const many = Array(101).fill("a").join();
  for (const ids of ["", ",", "job-1,", "a/b", "..", "a b", "x".repeat(129), many]) {
    assert.equal((await app.request(`/jobs?ids=${encodeURIComponent(ids)}`)).status, 422, ids);
  }
  assert.deepEqual(asked, []);
});

Deno.test("a job that runs is canceled, one that has ended removed", async () => {
  const { jobs, app } = start();
  await app.request("/jobs", posted(STAR));
  jobs.begin("job-1");
  assert.equal((await app.request("/jobs/job-1", { method: "DELETE" })).status, 204);
  assert.equal((await (await app.request("/jobs/job-1")).json()).state, "canceled");
  assert.equal((await app.request("/jobs/job-1", { method: "DELETE" })).status, 204);
  assert.equal((await app.request("/jobs/job-1")).status, 404);
  assert.equal((await app.request("/jobs/job-1", { method: "DELETE" })).status, 404);
});

Deno.test("events tell all of a job's life, and end with it", async () => {
  const { jobs, app } = start();
  await app.request("/jobs", posted(STAR));
  const response = await app.request("/jobs/job-1/events");
  assert.equal(response.status, 200);
  assert.equal(response.headers.get("Content-Type"), "text/event-stream");
  const events = eventsOf(response);
  const next = async () => (await events.next()).value!;
  const first = await next();
  assert.deepEqual([first.event, first.data.state, first.data.position], ["state", "queued", 0]);
  jobs.begin("job-1");
  const begun = await next();
  assert.deepEqual([begun.event, begun.data.state], ["state", "running"]);
  jobs.progress("job-1", 5);
  const progress = await next();
  assert.deepEqual([progress.event, progress.data.progress], [
    "progress",
    { step: 5, steps: 20, etaMs: 600 },
  ]);
  await jobs.preview("job-1");
  const preview = await next();
  assert.deepEqual([preview.event, preview.data.file.name], ["preview", "preview-0-16x16.png"]);
  assert.deepEqual(preview.data.previews, [preview.data.file]);
  await jobs.picture("job-1");
  const file = await next();
  assert.deepEqual([file.event, file.data.file.url], [
    "file",
    "http://localhost/jobs/job-1/files/0.png",
  ]);
  jobs.finish("job-1");
  const end = await next();
  assert.deepEqual([end.event, end.data.state], ["end", "succeeded"]);
  assert.equal((await events.next()).done, true);
  assert.equal(jobs.listeners, 0);
});

Deno.test("events of a job that has failed are one", async () => {
  const { jobs, app } = start();
  await app.request("/jobs", posted(STAR));
  jobs.begin("job-1");
  const error = { code: "timeout", message: "It ran too long." } as const;
  jobs.finish("job-1", error);
  const events = await Array.fromAsync(eventsOf(await app.request("/jobs/job-1/events")));
  assert.deepEqual(events.map(({ event, data }) => [event, data.error]), [["end", error]]);
});

Deno.test("a client that leaves its events is not told any more", async () => {
  const { jobs, app } = start();
  await app.request("/jobs", posted(STAR));
  await listening(app, async (url) => {
    const response = await fetch(`${url}/jobs/job-1/events`);
    const reader = response.body!.getReader();
    await reader.read();
    assert.equal(jobs.listeners, 1);
    await reader.cancel();
  });
  assert.equal(jobs.listeners, 0);
  assert.equal((await jobs.get("job-1"))!.state, "queued");
});

Deno.test("files are given as what they are", async () => {
  const { jobs, app } = start();
  await app.request("/jobs", posted(STAR));
  jobs.begin("job-1");
  await jobs.preview("job-1");
  const content = new TextEncoder().encode("not looked at");
  await jobs.picture("job-1", content);
  const file = await app.request("/jobs/job-1/files/0.png");
  assert.deepEqual(await file.bytes(), content);
  const { headers } = file;
  assert.equal(headers.get("Content-Type"), "image/png");
  assert.equal(headers.get("Content-Length"), String(content.length));
  assert.equal(headers.get("Content-Disposition"), `inline; filename="job-1-0.png"`);
  assert.match(headers.get("Cache-Control")!, /immutable/);
  assert.equal(headers.get("X-Content-Type-Options"), "nosniff");
  const preview = await app.request("/jobs/job-1/files/preview-0-16x16.png");
  assert.match(preview.headers.get("Cache-Control")!, /immutable/);
  await preview.body?.cancel();
  for (const name of ["1.png", "..%2F..%2Fetc%2Fpasswd", "%00", ".", "constructor"]) {
    assert.equal((await app.request(`/jobs/job-1/files/${name}`)).status, 404, name);
  }
});

Deno.test("ids that cannot be are not found, and never looked for", async () => {
  const { jobs, app } = start();
  jobs.get = (id) => Promise.reject(new Error(`looked for ${id}`));
  for (const id of ["..%2Fx", "%00", "a%20b", "%E2%82%AC", "%zz", "x".repeat(500)]) {
    for (const path of ["", "/events", "/files/0.png"]) {
      const response = await app.request(`/jobs/${id}${path}`);
      assert.equal(response.status, 404, `${id}${path}`);
    }
  }
});

Deno.test("wrong fields are named", async () => {
  const { app } = start();
  const fields = async (body: unknown) => {
    const response = await app.request("/jobs", posted(body));
    assert.equal(response.status, 422, JSON.stringify(body));
    const { code, message, fields } = (await response.json()).error;
    assert.equal(code, "invalid");
    assert.ok(message.length > 0);
    return fields?.map(({ path }: { path: string[] }) => path.join("."));
  };
  assert.deepEqual(await fields({}), ["prompt"]);
  assert.deepEqual(await fields({ prompt: "a", prompts: ["b"] }), ["prompt"]);
  assert.deepEqual(await fields({ prompt: "a", stepz: 1, count: 2 }), ["stepz", "count"]);
  for (
    const [name, ...values] of [
      ["prompt", "", 7, "x".repeat(2001), "a\u0000", "\ud800"],
      ["prompts", [], "a"],
      ["n", 0, 17, 1.5, "1"],
      ["seed", -1, 1.5, "18446744073709551616", "0x1", 2 ** 60, {}],
      ["sampler", "dpm"],
      ["steps", 0, 1001],
      ["eta", 2],
      ["guidance", -1, 1001],
      ["guidanceInterval", [], [0.2], [0.1, 0.2, 0.3], 0.5, [0.8, 0.2], [0, 2], [null, 1]],
      ["threshold", "hard", "toString"],
      ["size", 0, 1025],
      ["cache", 2, {}, { every: 0 }, { error: -1 }, { every: 2, error: 1 }, { every: null }],
      ["levels", 1],
      ["format", "mp4", "gif", "tiff"],
      ["fps", 0, 121],
      ["priority", 101, 0.5],
      ["deadline", "tomorrow", -1, 1e300],
      ["webhook", "https://a.example", { url: "file:///etc/passwd" }, { url: "javascript:0" }],
      ["id", "", "a/b", "..", "x".repeat(65)],
    ] as const
  ) {
    for (const value of values) {
      const [field] = await fields({ ...name === "prompts" ? {} : { prompt: "a" }, [name]: value });
      assert.equal(field.split(".")[0], name, JSON.stringify(value));
    }
  }
  assert.equal(await fields({ prompts: ["a", "b"], n: 16 }), undefined, "the core found it");
});

Deno.test("null is as if a field were left out", async () => {
  const { jobs, app } = start();
  const nothing = await app.request("/jobs", posted(STAR));
  const names = Object.keys(
    (await (await app.request("/openapi.json")).json()).components.schemas.JobRequest.properties,
  );
  const nulls = Object.fromEntries(names.map((name) => [name, null]));
  const response = await app.request("/jobs", posted({ ...nulls, ...STAR }));
  assert.equal(response.status, 202);
  assert.deepEqual((await response.json()).request, (await nothing.json()).request);
  const webhook = { url: "https://a.example/hook", events: null };
  const told = await app.request("/jobs", posted({ ...STAR, webhook }));
  const { id } = await told.json();
  assert.deepEqual((await jobs.get(id))!.webhook!.events, ["completed"]);
  const cached = await app.request("/jobs", posted({ ...STAR, cache: { every: 2, error: null } }));
  assert.deepEqual((await cached.json()).request.cache, { every: 2 });
});

Deno.test("numbers and names that only JSON has are right, or a sentence", async () => {
  const { app } = start();
  const answer = async (more: string) => {
    const headers = { "Content-Type": "application/json" };
    const body = `{"prompt": "a star", "seed": 7${more}}`;
    const response = await app.request("/jobs", { method: "POST", headers, body });
    const { request, error } = await response.json();
    return request ?? error.message;
  };
  const star = { prompts: ["a star"], n: 1, seed: "7", levels: false, preview: false };
  // As every parser has it, the last one counts.
  assert.deepEqual(await answer(`, "prompt": "a ring"`), { ...star, prompts: ["a ring"] });
  assert.deepEqual(await answer(`, "guidance": -0, "seed": -0`), {
    ...star,
    guidance: 0,
    seed: "0",
  });
  assert.deepEqual(await answer(`, "guidance": 2E0, "steps": 5.0`), {
    ...star,
    guidance: 2,
    steps: 5,
  });
  assert.match(
    await answer(`, "guidance": 1e400`),
    /^"guidance" has to be a number from 0 to 1000/,
  );
  assert.match(await answer(`, "seed": 9007199254740993`), /^"seed" has to be .* string of digits/);
  assert.match(await answer(`, "__proto__": {"steps": 5}`), /^There is no field "__proto__"/);
  assert.match(await answer(`, "steps": NaN`), /cannot be read/);
  const deep = `${"[".repeat(9000)}${"]".repeat(9000)}`;
  assert.match(await answer(`, "guidanceInterval": ${deep}`), /^"guidanceInterval.0" has to be/);
  assert.match(await answer(`, "deep": ${deep}`), /^There is no field "deep"/);
});

Deno.test("a name that another protocol has is told with ours", async () => {
  const { app } = start();
  for (
    const [name, meant] of [
      ["num_inference_steps", "steps"],
      ["cfg_scale", "guidance"],
      ["guidanceScale", "guidance"],
      ["negative_prompt", "negative"],
      ["num_outputs", "n"],
      ["scheduler", "sampler"],
      ["width", "size"],
      ["output_format", "format"],
      ["guidance_interval", "guidanceInterval"],
    ]
  ) {
    const response = await app.request("/jobs", posted({ ...STAR, [name!]: 1 }));
    assert.equal(response.status, 422);
    const { message } = (await response.json()).error;
    assert.equal(message, `There is no field "${name}": did you mean "${meant}"?`);
  }
});

Deno.test("a body that is no JSON, or not said to be", async () => {
  const { app } = start();
  const answer = async (body: BodyInit, type?: string) => {
    const headers = type === undefined ? {} : { "Content-Type": type };
    const response = await app.request("/jobs", { method: "POST", headers, body });
    return [response.status, (await response.json()).error.code];
  };
  const body = JSON.stringify(STAR);
  assert.deepEqual(await answer("{", "application/json"), [400, "malformed"]);
  assert.deepEqual(await answer("", "application/json"), [400, "malformed"]);
  assert.deepEqual(await answer(body, "text/plain"), [415, "unsupported_media_type"]);
  assert.deepEqual(await answer(new TextEncoder().encode(body)), [415, "unsupported_media_type"]);
  assert.deepEqual(await answer("[]", "application/json"), [422, "invalid"]);
  assert.deepEqual(await answer("null", "application/json"), [422, "invalid"]);
});

Deno.test("when the queue is full the client is told when to come again", async () => {
  const { app } = start({ capacity: 1 });
  await app.request("/jobs", posted(STAR));
  const response = await app.request("/jobs", posted(STAR));
  assert.equal(response.status, 429);
  assert.equal(response.headers.get("Retry-After"), "7");
  assert.deepEqual(await response.json(), {
    error: {
      code: "queue_full",
      message: "The queue is full (1 jobs): try again in 7 seconds.",
    },
  });
});
