import assert from "../assert.ts";
import type { Limits } from "../../src/jobs/jobs.ts";
import { Server, type ServerOptions } from "../../src/server/server.ts";
import { requestOf } from "../jobs/job_place.ts";

const LIMITS: Limits = {
  pictures: 4,
  steps: 50,
  promptLength: 100,
  pixels: 64 ** 2,
  queueMs: 60_000,
  runMs: 60_000,
  waitMs: 60_000,
};

const HTTP = {
  host: "127.0.0.1",
  port: 0,
  token: null,
  cors: [],
  allowedHosts: null,
  strictSizes: false,
  verbose: false,
};

function options(data: string, different: Partial<ServerOptions> = {}): ServerOptions {
  return {
    engine: { model: "weights/shapes32", pipeline: {}, slots: 2 },
    worker: false,
    http: HTTP,
    publicUrl: null,
    data,
    allowHosts: [],
    limits: LIMITS,
    queueLimit: 2,
    runpod: null,
    keepMs: 60_000,
    leaseMs: 30_000,
    maxAttempts: 5,
    ...different,
  };
}

async function inFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await use(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Runs a server while a test uses it. */
async function serving(
  options: ServerOptions,
  use: (url: string, server: Server) => Promise<void>,
  graceMs = 0,
): Promise<void> {
  let url = "";
  const server = await Server.start(options, { onListen: (at) => url = at });
  try {
    await use(url, server);
  } finally {
    await server.stop(graceMs);
  }
}

/** Asks for a path by a name of the server; gives the status. */
async function askBy(url: string, host: string, path = "/livez"): Promise<number> {
  using connection = await Deno.connect({ hostname: "127.0.0.1", port: Number(new URL(url).port) });
  const request = `GET ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`;
  await connection.write(new TextEncoder().encode(request));
  const answer = new Uint8Array(32);
  await connection.read(answer);
  return Number(/^HTTP\/1.1 (\d+)/.exec(new TextDecoder().decode(answer))?.[1]);
}

Deno.test("sizes are strict where the server was told so", async () => {
  await inFolder(async (data) => {
    for (const strictSizes of [false, true]) {
      await serving(options(data, { http: { ...HTTP, strictSizes } }), async (url) => {
        const response = await fetch(`${url}/v1/images/generations`, {
          method: "POST",
          headers: { "Content-Type": "application/json" },
          // The size is looked at before the model's name.
          body: JSON.stringify({ prompt: "a star", model: "none", size: "1024x1024" }),
        });
        const { error } = await response.json();
        assert.deepEqual(
          [response.status, error.param],
          strictSizes ? [400, "size"] : [404, "model"],
        );
      });
    }
  });
});

Deno.test("a server without a worker keeps jobs, and says that it makes none", () =>
  inFolder(async (data) => {
    let id = "";
    await serving(options(data), async (url, { jobs }) => {
      assert.deepEqual((await jobs.health()).worker, "none");
      assert.equal(await askBy(url, "a"), 200);
      ({ id } = await jobs.submit(requestOf()));
      const answer = await fetch(`${url}/jobs/${id}`);
      assert.equal((await answer.json()).state, "queued");
    });
    await serving(options(data, { http: null }), async (_, { jobs }) => {
      assert.equal((await jobs.get(id))?.state, "queued");
    });
  }));

Deno.test("what a server keeps is its owner's only", () =>
  inFolder(async (folder) => {
    const data = `${folder}/data`;
    await serving(options(data), async (_, { jobs }) => {
      await jobs.submit(requestOf());
      const modeOf = (name: string) => Deno.statSync(`${data}/${name}`).mode! & 0o777;
      for (const name of [".", "results"]) assert.equal(modeOf(name), 0o700, name);
      const files = Array.from(Deno.readDirSync(data)).filter(({ isFile }) => isFile);
      const names = files.map(({ name }) => name).sort();
      const kept = ["queue.sqlite", "queue.sqlite-shm", "queue.sqlite-wal", "webhook-secret"];
      assert.deepEqual(names, kept);
      for (const name of names) assert.equal(modeOf(name), 0o600, name);
    });
  }));

Deno.test("a server with a worker makes what another process has taken, and ends what it began", () =>
  inFolder(async (data) => {
    let id = "";
    await serving(options(data, { http: null }), async (_, { jobs }) => {
      ({ id } = await jobs.submit(requestOf()));
    });
    const states: string[] = [];
    const server = await Server.start(options(data, { worker: true, http: null }), {
      onState: ({ worker }) => states.push(worker),
    });
    const waiting = server.jobs.wait(id, 60_000);
    const job = await waiting;
    assert.equal(job?.state, "succeeded", JSON.stringify(job));
    const { bytes, body } = (await server.jobs.read(id, job.files[0]!.name))!;
    assert.equal((await new Response(body).arrayBuffer()).byteLength, bytes);
    const { slots, stepMs } = await server.jobs.health();
    assert.deepEqual(slots, { all: 2, busy: 0 });
    assert.ok(stepMs !== null && stepMs > 0);
    await server.stop(0);
    assert.deepEqual(states, ["ready", "draining", "draining"].slice(0, states.length));
    assert.ok(states.length >= 2);
  }));

Deno.test("a server answers by its own names only, where it has such", () =>
  inFolder(async (data) => {
    const http = { ...HTTP, allowedHosts: ["127.0.0.1", "[::1]"] };
    await serving(options(data, { http }), async (url) => {
      assert.equal(await askBy(url, "127.0.0.1:80"), 200);
      assert.equal(await askBy(url, "[::1]"), 200);
      assert.equal(await askBy(url, "evil.example"), 421);
    });
  }));

Deno.test("who still listens to a job when the server stops is cut off", () =>
  inFolder(async (data) => {
    let events: Promise<string> = Promise.resolve("");
    await serving(options(data), async (url, { jobs }) => {
      const { id } = await jobs.submit(requestOf());
      const answer = await fetch(`${url}/jobs/${id}/events`);
      assert.equal(answer.status, 200);
      events = answer.text();
    });
    assert.match(await events, /^event: state\n.*"queued".*\n\n$/);
  }));

Deno.test("an address that is taken is said so, and nothing stays open", () =>
  inFolder(async (data) => {
    using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const { port } = taken.addr;
    await assert.rejects(
      Server.start(options(data, { http: { ...HTTP, port } })),
      (error: Error) => {
        assert.equal(error.name, "MdmError");
        assert.match(error.message, new RegExp(`^Another program listens at port ${port} of `));
        return true;
      },
    );
  }));

Deno.test("a model that is none and a folder that is a file are said so", () =>
  inFolder(async (data) => {
    const model = `${data}/none`;
    const engine = { model, pipeline: {}, slots: 1 };
    await assert.rejects(Server.start(options(data, { engine })), { name: "MdmError" });
    await Deno.writeTextFile(`${data}/file`, "");
    await assert.rejects(Server.start(options(`${data}/file`)), { name: "MdmError" });
  }));
