/** What clients are told while the queue or the store is away. */
import assert from "../assert.ts";
import { mock } from "node:test";
import { Unavailable } from "../../src/jobs/unavailable.ts";
import { cog } from "../../src/server/protocols/replicate/cog.ts";
import { openai } from "../../src/server/protocols/openai/openai.ts";
import { native } from "../../src/server/protocols/native/native.ts";
import { replicate } from "../../src/server/protocols/replicate/replicate.ts";
import { runpod } from "../../src/server/protocols/runpod/runpod.ts";
import { Server } from "../../src/server/server.ts";
import { FakeJobs } from "./fake_jobs.ts";
import { appOf, posted } from "./server.ts";

const AWAY = "Cannot use the queue at 127.0.0.1:6379: it does not answer.";

const PROTOCOLS = [
  native,
  cog,
  replicate({ secret: "whsec_secret" }),
  runpod,
  openai,
] as const;

Deno.test("all protocols say what is away and when to try again, and none calls it a defect", async () => {
  const jobs = new FakeJobs();
  const defects: string[] = [];
  const app = appOf(jobs, PROTOCOLS, { logDefect: (line) => defects.push(line) });
  jobs.away = AWAY;
  const error = { code: "unavailable", message: AWAY };
  const openAiError = { error: { ...error, type: "server_error", param: null } };
  const problem = { title: "Service Unavailable", detail: AWAY, status: 503 };
  const input = posted({ input: { prompt: "a star" } });
  const cases: [string, RequestInit | undefined, unknown][] = [
    ["/jobs", posted({ prompt: "a star" }), { error }],
    ["/jobs/x", undefined, { error }],
    ["/jobs/x/events", undefined, { error }],
    ["/jobs/x/files/0.png", undefined, { error }],
    ["/predictions", input, { detail: AWAY }],
    ["/v1/predictions/x", undefined, problem],
    ["/v1/predictions/x/stream", undefined, problem],
    ["/v2/end/run", input, { error: AWAY }],
    ["/v2/end/status/x", undefined, { error: AWAY }],
    ["/v1/images/generations", posted({ prompt: "a star" }), openAiError],
  ];
  for (const [path, init, body] of cases) {
    const response = await app.request(path, init);
    assert.equal(response.status, 503, path);
    assert.equal(response.headers.get("Retry-After"), "5", path);
    assert.deepEqual(await response.json(), body, path);
  }
  assert.deepEqual(defects, []);
});

Deno.test("who asked for a job is told its id, though the queue is away before it can be looked at", async () => {
  const jobs = new FakeJobs();
  const app = appOf(jobs, PROTOCOLS);
  const gone = () => Promise.reject(new Unavailable(AWAY));
  jobs.position = gone;
  jobs.wait = gone;
  const input = posted({ input: { prompt: "a star" } });
  const wait = { prefer: "wait=5" };
  for (
    const [path, init] of [
      ["/jobs", posted({ prompt: "a star" })],
      ["/jobs", posted({ prompt: "a star" }, wait)],
      ["/predictions", input],
      ["/v2/end/runsync", input],
    ] as const
  ) {
    const response = await app.request(path, init);
    assert.ok(response.ok, path);
    const { id } = await response.json();
    assert.equal((await jobs.get(id))?.state, "queued", path);
  }
});

const LIMITS = {
  pictures: 4,
  steps: 50,
  promptLength: 100,
  pixels: 64 ** 2,
  queueMs: 60_000,
  runMs: 60_000,
  waitMs: 60_000,
};

Deno.test("a server whose data folder is moved away says so, once, and goes on when it is back", async () => {
  const folder = await Deno.makeTempDir();
  const { mock: said } = mock.method(console, "error", () => {});
  const data = `${folder}/data`;
  let url = "";
  const server = await Server.start({
    engine: { model: "weights/shapes32", pipeline: {}, slots: 1 },
    worker: false,
    http: {
      host: "127.0.0.1",
      port: 0,
      token: null,
      cors: [],
      allowedHosts: null,
      verbose: false,
      strictSizes: false,
    },
    publicUrl: null,
    data,
    allowHosts: [],
    limits: LIMITS,
    queueLimit: 10,
    runpod: null,
    keepMs: 60_000,
    leaseMs: 30_000,
    maxAttempts: 5,
  }, { onListen: (at) => url = at });
  try {
    const ask = async (path: string, init?: RequestInit) => {
      const answer = await fetch(url + path, init);
      const { status, headers } = answer;
      return { status, retryAfter: headers.get("Retry-After"), text: await answer.text() };
    };
    const post = posted({ prompt: "a star", id: "a" });
    assert.equal((await ask("/jobs", post)).status, 202);
    assert.equal((await ask("/readyz")).status, 200);
    const events = await fetch(`${url}/jobs/a/events`);

    await Deno.rename(data, `${folder}/away`);
    for (let k = 0; k < 3; k++) {
      const refused = await ask("/jobs", posted({ prompt: "a star", id: "b" }));
      assert.deepEqual([refused.status, refused.retryAfter], [503, "5"]);
      assert.match(refused.text, /Cannot use the queue .*data\/queue\.sqlite.*: it was removed/);
      assert.equal((await ask("/jobs/a")).status, 503);
      const { status, text } = await ask("/readyz");
      assert.equal(status, 503);
      assert.match(text, /"worker":"none","reason":"Cannot use the (queue|results) /);
      assert.equal((await ask("/ping")).status, 503);
      const page = JSON.parse((await ask("/page/state")).text);
      assert.equal(page.ready, false);
      assert.match(page.reason, /^Cannot use the (queue|results) /);
      assert.deepEqual((await ask("/livez")).text, "ok");
      const health = await ask("/health-check");
      assert.deepEqual([health.status, JSON.parse(health.text).status], [200, "UNHEALTHY"]);
      const { text: numbers } = await ask("/metrics");
      assert.match(numbers, /^mdm_away 1$/m);
      assert.match(numbers, /^mdm_ready 0$/m);
    }
    await Deno.rename(`${folder}/away`, data);
    while ((await ask("/readyz")).status !== 200) await new Promise((r) => setTimeout(r, 50));
    assert.equal((await ask("/jobs", posted({ prompt: "a star", id: "b" }))).status, 202);
    assert.equal((await ask("/jobs/b")).status, 200);
    // Whoever followed a job follows it still.
    assert.equal((await ask("/jobs/a", { method: "DELETE" })).status, 204);
    assert.match(await events.text(), /event: end\n.*"canceled"/);
  } finally {
    await server.stop(0);
    said.restore();
    await Deno.remove(folder, { recursive: true });
  }
  const lines = said.calls.map(({ arguments: [line] }) => String(line)).sort();
  assert.equal(lines.length, 4, lines.join("\n"));
  assert.match(lines[0]!, /^Cannot use the queue "/);
  assert.match(lines[1]!, /^Cannot use the results in "/);
  assert.match(lines[2]!, /^The queue ".*" can be used again, after \d+ seconds\.$/);
  assert.match(lines[3]!, /^The results in ".*" can be used again, after \d+ seconds\.$/);
});
