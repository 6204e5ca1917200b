/** What is the same for all protocols. */
import assert from "../../assert.ts";
import { OpenAPIHono } from "../../../src/deps/zod_openapi.ts";
import type { ProtocolFactory } from "../../../src/server/http/protocol.ts";
import { HttpError } from "../../../src/server/http/http_error.ts";
import { openai } from "../../../src/server/protocols/openai/openai.ts";
import { native } from "../../../src/server/protocols/native/native.ts";
import { PAGE_PATHS, webPage } from "../../../src/server/page/mod.ts";
import { probes } from "../../../src/server/http/probes.ts";
import { FakeJobs } from "../fake_jobs.ts";
import { ADDRESSES, appOf, listening, posted } from "../server.ts";

const ALL = [native, probes, openai] as const;
const TOKEN = "secret";
const REQUEST = { prompts: ["a star"], count: 1, seed: "1", levels: false, preview: false };

async function message(response: Response): Promise<string> {
  return (await response.json()).error.message;
}

Deno.test("without the token nothing is answered but probes, each protocol in its own way", async () => {
  const app = appOf(new FakeJobs(), ALL, { token: TOKEN });
  for (const path of ["/jobs", "/jobs/x/files/y", "/openapi.json", "/nowhere"]) {
    const response = await app.request(path);
    assert.equal(response.status, 401);
    assert.equal(response.headers.get("WWW-Authenticate"), "Bearer");
    assert.deepEqual(await response.json(), {
      error: {
        code: "unauthorized",
        message: "The token is missing: send it as Authorization: Bearer TOKEN.",
      },
    });
  }
  const response = await app.request("/v1/nothing");
  assert.equal((await response.json()).error.type, "authentication_error");
  for (const path of ["/livez", "/readyz", "/ping"]) {
    assert.equal((await app.request(path)).status, 200, path);
  }
  const opened = appOf(new FakeJobs(), ALL, { token: TOKEN, open: ["/openapi.json"] });
  assert.equal((await opened.request("/openapi.json")).status, 200);
  assert.equal((await opened.request("/jobs")).status, 401);
});

Deno.test("a path that needs no token opens none below it, and none that begins like it", async () => {
  const app = appOf(new FakeJobs(), [...ALL, webPage], { token: TOKEN, open: PAGE_PATHS });
  for (const path of ["/livez", "/readyz", "/ping", ...PAGE_PATHS]) {
    assert.ok((await app.request(path)).status < 300, path);
    const below = path === "/" ? "/x" : `${path}/x`;
    for (const other of [below, `${path}x`, `/x${path}`, path.toUpperCase(), `${path}/`]) {
      if (other === path || PAGE_PATHS.includes(other)) continue;
      const { status } = await app.request(other);
      assert.equal(status, 401, other);
    }
  }
  for (const path of ["/jobs", "/jobs/x/livez", "/metrics", "/model", "/openapi.json"]) {
    assert.equal((await app.request(path)).status, 401, path);
  }
});

Deno.test("the token opens, another one or another scheme does not", async () => {
  const app = appOf(new FakeJobs(), ALL, { token: TOKEN });
  for (
    const [value, expected] of [
      ["Bearer secret", 200],
      ["bearer secret", 200],
      ["Bearer secre", 401],
      ["Bearer secret2", 401],
      ["Bearer", 401],
      ["Basic secret", 401],
      ["secret", 401],
    ] as const
  ) {
    const response = await app.request("/jobs", { headers: { Authorization: value } });
    assert.equal(response.status, expected, value);
    await response.body?.cancel();
  }
});

Deno.test("a signed address opens a file without the token, also to pages of others", async () => {
  const jobs = new FakeJobs({ finishAtOnce: true });
  const log: string[] = [];
  const app = appOf(jobs, ALL, { token: TOKEN, logRequest: (line) => log.push(line) });
  const { id } = await jobs.submit(REQUEST);
  const path = `/jobs/${id}/files/0.png`;
  const file = await app.request(ADDRESSES.sign(path));
  assert.equal(file.status, 200);
  assert.equal(file.headers.get("Cross-Origin-Resource-Policy"), "cross-origin");
  assert.ok((await file.bytes()).length > 0);
  const withToken = await app.request(path, { headers: { Authorization: `Bearer ${TOKEN}` } });
  assert.equal(withToken.headers.get("Cross-Origin-Resource-Policy"), "same-origin");
  await withToken.body?.cancel();
  assert.equal((await app.request(ADDRESSES.sign(path), { method: "HEAD" })).status, 200);
  assert.match(log[0]!, /^GET \/jobs\/job-1\/files\/0\.png 200 \d+ ms$/);
  assert.doesNotMatch(log.join(), /signature|until/);
});

Deno.test("what is wrong with a signed address is said", async () => {
  const jobs = new FakeJobs({ finishAtOnce: true });
  const app = appOf(jobs, ALL, { token: TOKEN });
  const { id } = await jobs.submit(REQUEST);
  const path = `/jobs/${id}/files/0.png`;
  const hourAgo = Math.floor(Date.now() / 1000) - 3600;
  for (const address of [ADDRESSES.sign(path, hourAgo), ADDRESSES.sign("/jobs")]) {
    const refused = await app.request(address);
    assert.equal(refused.status, 401);
    assert.equal(
      await message(refused),
      "The address opens nothing, or no longer: ask the server for a new one.",
    );
  }
  const removal = await app.request(ADDRESSES.sign(`/jobs/${id}`), { method: "DELETE" });
  assert.equal(removal.status, 401);
  assert.notEqual(await jobs.get(id), null);
  const missing = await app.request(ADDRESSES.sign(`/jobs/${id}/files/9.png`));
  assert.equal(missing.status, 404);
});

Deno.test("a defect of a signed address is logged without its signature", async () => {
  const jobs = new FakeJobs({ finishAtOnce: true });
  const log: string[] = [];
  const app = appOf(jobs, ALL, { token: TOKEN, logDefect: (line) => log.push(line) });
  const { id } = await jobs.submit(REQUEST);
  jobs.read = () => Promise.reject(new TypeError("the disk is on fire"));
  const failed = await app.request(ADDRESSES.sign(`/jobs/${id}/files/0.png`));
  assert.equal(failed.status, 500);
  assert.match(log.join(), /^GET \/jobs\/job-1\/files\/0\.png failed/);
  assert.doesNotMatch(log.join() + await failed.text(), /signature|until=/);
});

Deno.test("what is not there is 404, in the shape of the protocol that it looks like", async () => {
  const app = appOf(new FakeJobs(), ALL);
  const plainly = await app.request("/nowhere");
  assert.equal(plainly.status, 404);
  assert.equal((await plainly.json()).error.code, "not_found");
  const theirs = await app.request("/v1/nothing", posted({}));
  assert.equal(theirs.status, 404);
  assert.deepEqual(await theirs.json(), {
    error: {
      message: "There is nothing here: /openapi.json lists what there is.",
      type: "invalid_request_error",
      param: null,
      code: "not_found",
    },
  });
});

Deno.test("a method that does nothing is 405 and told which ones would", async () => {
  const app = appOf(new FakeJobs(), ALL);
  const response = await app.request("/jobs/x", { method: "PATCH" });
  assert.equal(response.status, 405);
  assert.equal(response.headers.get("Allow"), "GET, HEAD, DELETE");
  assert.equal(await message(response), "PATCH does nothing here: GET, HEAD, DELETE would.");
  const theirs = await app.request("/v1/models/shapes32", { method: "DELETE" });
  assert.equal(theirs.status, 405);
  assert.equal((await theirs.json()).error.type, "invalid_request_error");
});

Deno.test("a protocol that does not say how errors look has those of the first", async () => {
  const page: ProtocolFactory = () => {
    const app = new OpenAPIHono();
    app.get("/page/:name", () => {
      throw new HttpError(404, "There is no such page.");
    });
    return { routes: app };
  };
  const app = appOf(new FakeJobs(), [native, page]);
  assert.equal(await message(await app.request("/page/x")), "There is no such page.");
  assert.equal((await app.request("/page/x", { method: "PUT" })).status, 405);
});

Deno.test("a job that is not there is 404, not 405", async () => {
  const app = appOf(new FakeJobs(), ALL);
  assert.equal((await app.request("/jobs/x", { method: "DELETE" })).status, 404);
});

Deno.test("a body that is too large is 413, whether it says so or not", async () => {
  const jobs = new FakeJobs();
  const app = appOf(jobs, ALL);
  await listening(app, async (url) => {
    const told = await fetch(`${url}/jobs`, posted({ prompt: "x".repeat(1 << 20) }));
    assert.equal(told.status, 413);
    assert.equal(await message(told), "The body is too large: 1048576 bytes are the most.");
  });
  let sent = 0;
  const endless = new ReadableStream({
    pull(controller) {
      sent += 1 << 16;
      controller.enqueue(new Uint8Array(1 << 16));
    },
  });
  const headers = { "Content-Type": "application/json" };
  const response = await app.request("/v1/videos", { method: "POST", headers, body: endless });
  assert.equal(response.status, 413);
  assert.equal((await response.json()).error.type, "invalid_request_error");
  assert.ok(sent <= (1 << 20) + (1 << 18), `${sent} bytes were taken`);
  assert.deepEqual(await jobs.list(), []);
});

Deno.test("a body that no route takes is not read, however large", async () => {
  const app = appOf(new FakeJobs(), ALL);
  for (
    const [path, method, status] of [["/nowhere", "POST", 404], ["/jobs", "PUT", 405]] as const
  ) {
    let sent = 0;
    const endless = new ReadableStream({
      pull(controller) {
        sent++;
        controller.enqueue(new Uint8Array(1 << 16));
      },
    }, { highWaterMark: 0 });
    const response = await app.request(path, { method, body: endless });
    assert.equal(response.status, status);
    assert.equal(sent, 0);
  }
});

Deno.test("HEAD gives what GET would but no body, and leaves no stream behind", async () => {
  const jobs = new FakeJobs();
  const app = appOf(jobs, ALL);
  const { id } = await (await app.request("/jobs", posted({ prompt: "a star" }))).json();
  const head = await app.request(`/jobs/${id}/events`, { method: "HEAD" });
  assert.equal(head.status, 200);
  assert.equal(head.headers.get("Content-Type"), "text/event-stream");
  assert.equal(head.body, null);
  await jobs.make(id);
  const file = await app.request(`/jobs/${id}/files/0.png`, { method: "HEAD" });
  assert.ok(Number(file.headers.get("Content-Length")) > 0);
  assert.equal(await file.text(), "");
});

Deno.test("answers say what browsers may do with them", async () => {
  const { headers } = await appOf(new FakeJobs(), ALL).request("/jobs");
  assert.match(
    headers.get("Content-Security-Policy")!,
    /^default-src 'none';.*frame-ancestors 'none'/,
  );
  assert.equal(headers.get("X-Content-Type-Options"), "nosniff");
  assert.equal(headers.get("X-Frame-Options"), "DENY");
  assert.equal(headers.get("Referrer-Policy"), "no-referrer");
  assert.equal(headers.get("Access-Control-Allow-Origin"), null);
  assert.match(headers.get("X-Request-Id")!, /^[\da-f-]{36}$/);
});

Deno.test("a protocol's own policy stays", async () => {
  const page: ProtocolFactory = () => {
    const app = new OpenAPIHono();
    app.get("/page", (c) => c.text("", 200, { "Content-Security-Policy": "img-src 'self'" }));
    return { routes: app };
  };
  const { headers } = await appOf(new FakeJobs(), [native, page]).request("/page");
  assert.equal(headers.get("Content-Security-Policy"), "img-src 'self'");
});

Deno.test("a request keeps the id that it came with, where it is one", async () => {
  const app = appOf(new FakeJobs(), ALL);
  const idOf = async (id: string) => {
    const { headers } = await app.request("/jobs", { headers: { "X-Request-Id": id } });
    return headers.get("X-Request-Id");
  };
  assert.equal(await idOf("abc-1"), "abc-1");
  assert.notEqual(await idOf("<script>"), "<script>");
});

Deno.test("only pages of configured origins may read answers", async () => {
  const app = appOf(new FakeJobs(), ALL, { cors: ["https://a.example"], token: "secret" });
  const preflight = async (origin: string) => {
    const { headers } = await app.request("/jobs", {
      method: "OPTIONS",
      headers: { Origin: origin, "Access-Control-Request-Method": "POST" },
    });
    return headers.get("Access-Control-Allow-Origin");
  };
  assert.equal(await preflight("https://a.example"), "https://a.example");
  assert.equal(await preflight("https://b.example"), null);
  const refused = await app.request("/jobs", { headers: { Origin: "https://a.example" } });
  assert.equal(refused.status, 401);
  assert.equal(refused.headers.get("Access-Control-Allow-Origin"), "https://a.example");
});

Deno.test("where there is no token, pages of other servers change nothing", async () => {
  const jobs = new FakeJobs();
  const app = appOf(jobs, ALL, { publicUrl: "https://mdm.example", cors: ["https://a.example"] });
  const status = async (origin: string) => {
    return (await app.request("/jobs", posted({ prompt: "a star" }, { Origin: origin }))).status;
  };
  assert.equal(await status("https://evil.example"), 403);
  assert.equal(await status("null"), 403);
  assert.equal((await jobs.list()).length, 0);
  assert.equal(await status("https://mdm.example"), 202);
  assert.equal(await status("https://a.example"), 202);
});

Deno.test("a request for another host is refused where hosts are named", async () => {
  const app = appOf(new FakeJobs(), ALL, { allowedHosts: ["localhost"] });
  assert.equal((await app.request("http://localhost:8000/jobs")).status, 200);
  const other = await app.request("http://evil.example/jobs");
  assert.equal(other.status, 421);
  assert.equal(await message(other), "The server does not go by the name of evil.example.");
});

Deno.test("a defect is told once to the log, with its stack, and clients learn nothing of it", async () => {
  const jobs = new FakeJobs();
  jobs.list = () => Promise.reject(new TypeError("the disk is on fire"));
  const log: string[] = [];
  const app = appOf(jobs, ALL, { logDefect: (line) => log.push(line) });
  for (const path of ["/jobs", "/v1/models"]) await (await app.request(path)).body?.cancel();
  const response = await app.request("/jobs", { headers: { "X-Request-Id": "r1" } });
  assert.equal(response.status, 500);
  const text = await response.text();
  assert.doesNotMatch(text, /fire|\.ts/);
  assert.match(text, /"code":"internal"/);
  assert.equal(log.length, 2);
  assert.match(log[1]!, /^GET \/jobs failed \(request r1\): TypeError: the disk is on fire\n +at /);
});

Deno.test("requests are logged where that is asked for", async () => {
  const log: string[] = [];
  const app = appOf(new FakeJobs(), ALL, { logRequest: (line) => log.push(line) });
  await app.request("/jobs?limit=1");
  await app.request("/nowhere%0a");
  assert.match(log[0]!, /^GET \/jobs 200 \d+ ms$/);
  const query = "?until=1&signature=abc";
  for (
    const end of [
      encodeURIComponent(query),
      encodeURIComponent(encodeURIComponent(query)),
      `&${"s".repeat(43)}`,
    ]
  ) await app.request(`/nowhere${end}`);
  assert.match(log[1]!, /^GET \/nowhere%0A 404 \d+ ms$/);
  for (const line of log.slice(2)) assert.match(line, /^GET \/nowhere&?\.\.\. 404 \d+ ms$/);
  assert.equal(log.length, 5);
});

Deno.test("the document describes what is mounted, and what needs the token", async () => {
  const app = appOf(new FakeJobs(), ALL, { token: "secret", publicUrl: "https://mdm.example" });
  const document = await (await app.request("/openapi.json", {
    headers: { Authorization: "Bearer secret" },
  })).json();
  assert.equal(document.openapi, "3.1.0");
  assert.deepEqual(document.servers, [{ url: "https://mdm.example" }]);
  assert.deepEqual(document.security, [{ token: [] }]);
  assert.deepEqual(document.paths["/livez"].get.security, []);
  assert.equal(document.paths["/jobs"].post.security, undefined);
  assert.ok(document.paths["/v1/videos/{id}/content"].get);
  const { properties } = document.components.schemas.JobRequest;
  assert.equal(properties.n.maximum, 16, "limits are the server's own");
});

Deno.test("the document is written once, for whatever address it is asked at", async () => {
  const app = appOf(new FakeJobs(), ALL);
  const { getOpenAPI31Document } = app;
  let written = 0;
  app.getOpenAPI31Document = (...options) => {
    written++;
    return getOpenAPI31Document.apply(app, options);
  };
  const servers = async (origin: string) =>
    (await (await app.request(`${origin}/openapi.json`)).json()).servers;
  for (const url of ["http://localhost:8000", "https://mdm.example", "http://[::1]"]) {
    assert.deepEqual(await servers(url), [{ url }]);
  }
  assert.equal(written, 1);
});

Deno.test("the document says what may be answered before a route is asked", async () => {
  const documentOf = async (options: Parameters<typeof appOf>[2]) => {
    const headers = { Authorization: `Bearer ${TOKEN}` };
    const response = await appOf(new FakeJobs(), ALL, options).request("/openapi.json", {
      headers,
    });
    return (await response.json()).paths;
  };
  const statuses = (operation: { responses: object }) => Object.keys(operation.responses);
  const open = await documentOf({});
  assert.deepEqual(
    statuses(open["/jobs"].post),
    ["201", "202", "400", "403", "409", "413", "415", "422", "429", "503"],
  );
  assert.deepEqual(statuses(open["/jobs/{id}"].get), ["200", "400", "404", "422", "503"]);
  assert.deepEqual(
    statuses(open["/jobs/{id}/files/{name}"].get),
    ["200", "206", "304", "400", "404", "412", "416", "422", "503"],
  );
  assert.deepEqual(statuses(open["/livez"].get), ["200", "400", "503"]);
  assert.deepEqual(statuses(open["/v1/videos"].post), ["200", "default"], "it says all that");
  const schema = { $ref: "#/components/schemas/Error" };
  assert.deepEqual(open["/jobs"].post.responses[503].content, { "application/json": { schema } });

  const guarded = await documentOf({ token: TOKEN, allowedHosts: ["localhost"] });
  assert.deepEqual(statuses(guarded["/jobs"].get), ["200", "400", "401", "421", "422", "503"]);
  assert.deepEqual(statuses(guarded["/livez"].get), ["200", "400", "421", "503"]);
});

Deno.test("HEAD says how long the answer to GET is, and waits for no event", async () => {
  const jobs = new FakeJobs();
  const app = appOf(jobs, ALL);
  const { id } = await jobs.submit(REQUEST);
  await listening(app, async (url) => {
    const list = await fetch(`${url}/jobs`);
    const head = await fetch(`${url}/jobs`, { method: "HEAD" });
    assert.equal(head.headers.get("Content-Length"), list.headers.get("Content-Length"));
    assert.equal(head.headers.get("Content-Type"), "application/json");
    assert.ok((await list.text()).length > 0);
    const events = await fetch(`${url}/jobs/${id}/events`, { method: "HEAD" });
    assert.equal(events.headers.get("Content-Type"), "text/event-stream");
    assert.equal(await events.text(), "");
  });
  assert.equal(jobs.listeners, 0);
});
