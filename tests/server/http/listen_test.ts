import assert from "../../assert.ts";
import { listen, type ListenOptions } from "../../../src/server/http/listen.ts";
import { bytesOf, rawRequest } from "./raw_http.ts";

const DEADLINES = { headMs: 300, requestMs: 700, idleMs: 300 };

/** Says how long the body is that it was sent, when it pleases. */
async function count(request: Request): Promise<Response> {
  const { pathname } = new URL(request.url);
  if (pathname === "/slow") await pause(1500);
  if (pathname === "/much") return new Response(new Uint8Array(32 << 20));
  return new Response(String((await request.text()).length));
}

async function serving(
  use: (url: string) => Promise<void>,
  options: Partial<ListenOptions> = {},
  fetch: (request: Request) => Promise<Response> = count,
): Promise<void> {
  const server = await listen(fetch, {
    host: "127.0.0.1",
    port: 0,
    stallMs: 60_000,
    deadlines: DEADLINES,
    ...options,
  });
  try {
    await use(server.url);
  } finally {
    await server.close(1000);
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function connect(url: string): Promise<Deno.TcpConn> {
  return Deno.connect({ hostname: "127.0.0.1", port: Number(new URL(url).port) });
}

/** What comes until the other end closes. */
async function readAll(connection: Deno.TcpConn): Promise<string> {
  try {
    return await new Response(connection.readable).text();
  } catch {
    return "reset";
  }
}

Deno.test("clients that never end what they begin are cut off, and keep nobody else waiting", () =>
  serving(async (url) => {
    const beginnings = [
      "",
      "GET / HT",
      "GET / HTTP/1.1\r\nHost: h\r\nX-A: b",
      "POST / HTTP/1.1\r\n",
    ]
      .concat(
        Array.from(
          { length: 96 },
          () => "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\nabc",
        ),
      )
      .concat(
        Array.from(
          { length: 50 },
          () => "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
        ),
      );
    const stalled = await Promise.all(beginnings.map(async (text) => {
      const connection = await connect(url);
      if (text !== "") await connection.write(bytesOf(text));
      return connection;
    }));
    assert.equal(await (await fetch(url, { method: "POST", body: "four" })).text(), "4");
    for (const [i, answer] of (await Promise.all(stalled.map(readAll))).entries()) {
      assert.match(answer, /^(HTTP\/1.1 408 |$|reset)/, beginnings[i]!);
    }
  }));

Deno.test("a slow client that is in time is answered, however long the answer takes", () =>
  serving(async (url) => {
    const connection = await connect(url);
    await connection.write(bytesOf("POST /slow HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n"));
    await connection.write(bytesOf("Connection: close\r\n\r\nfo"));
    await pause(300);
    await connection.write(bytesOf("ur"));
    assert.match(await readAll(connection), /^HTTP\/1.1 200 .*\r\n\r\n4$/s);
  }));

Deno.test("more connections than may be are closed at once, and there is room again", () =>
  serving(async (url) => {
    const open = await Promise.all(Array.from({ length: 8 }, () => connect(url)));
    await pause(50);
    assert.match(await readAll(await connect(url)), /^(reset)?$/);
    for (const connection of open) connection.close();
    await pause(50);
    assert.equal(await (await fetch(url, { method: "POST", body: "four" })).text(), "4");
  }, { connections: 8 }));

Deno.test("who reads nothing of an answer is cut off", () =>
  serving(async (url) => {
    const connection = await connect(url);
    await connection.write(bytesOf("GET /much HTTP/1.1\r\nHost: h\r\n\r\n"));
    await pause(2500);
    const answer = await readAll(connection);
    assert.ok(answer.length < 32 << 20, `${answer.length} bytes came`);
  }, { stallMs: 1000 }));

Deno.test("an address that is not plain never comes to a protocol, and is told why", async () => {
  const log: string[] = [];
  const seen: string[] = [];
  await serving(
    async (url) => {
      const { status, head, body } = await rawRequest(
        url,
        "GET /jobs HTTP/1.1\r\nHost: h\\jobs\\ID?signature=S#\r\n\r\n",
      );
      assert.equal(status, 400);
      assert.match(head, /content-type: application\/json/i);
      assert.deepEqual(JSON.parse(new TextDecoder().decode(body)), {
        error: {
          code: "malformed",
          message:
            "The Host of the request is none: send a name or an address, and a port where there is one.",
        },
      });
      const twice = "GET /jobs HTTP/1.1\r\nHost: a\r\nHost: b\r\nConnection: close\r\n\r\n";
      assert.equal((await rawRequest(url, twice)).status, 400);
      const traced = "TRACE /jobs HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
      assert.match((await rawRequest(url, traced)).head, /^HTTP\/1.1 405 .*Allow: GET, /s);
      const fine = "GET /jobs HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
      assert.equal((await rawRequest(url, fine)).status, 200);
    },
    { logRequest: (line) => log.push(line) },
    (request) => {
      seen.push(request.url);
      return Promise.resolve(new Response());
    },
  );
  assert.deepEqual(seen, ["http://a/jobs"]);
  assert.deepEqual(log, [...Array(2).fill("GET (not a plain address) 400"), "TRACE 405"]);
});

Deno.test("an answer that breaks off is no whole one, and says nothing of why", async () => {
  const log: string[] = [];
  await serving(
    async (url) => {
      const connection = await connect(url);
      await connection.write(bytesOf("GET /x HTTP/1.1\r\nHost: h\r\n\r\n"));
      const answer = await readAll(connection);
      assert.doesNotMatch(answer, /fire|\r\n0\r\n/);
      assert.deepEqual(log, ["GET broke off: the disk is on fire"]);
    },
    { logRequest: (line) => log.push(line) },
    () => {
      let count = 0;
      return Promise.resolve(
        new Response(
          new ReadableStream({
            pull(controller) {
              if (count++ > 0) throw new Error("the disk is on fire");
              controller.enqueue(new TextEncoder().encode("begun"));
            },
          }),
        ),
      );
    },
  );
});

Deno.test("a request leaves its handler when its client does", async () => {
  const left = Promise.withResolvers<void>();
  await serving(
    async (url) => {
      const stop = new AbortController();
      const asked = fetch(url, { signal: stop.signal });
      await pause(100);
      stop.abort();
      await assert.rejects(asked);
      await left.promise;
    },
    {},
    async ({ signal }) => {
      await new Promise((resolve) => signal.addEventListener("abort", resolve));
      left.resolve();
      return new Response();
    },
  );
});

Deno.test("what is under way when the server closes has some time, and then none", async () => {
  const server = await listen(count, { host: "127.0.0.1", port: 0, stallMs: 60_000 });
  const soon = fetch(`${server.url}/slow`);
  await pause(100);
  await server.close(3000);
  assert.equal((await soon).status, 200);
  await (await soon).body?.cancel();
  const other = await listen(count, { host: "127.0.0.1", port: 0, stallMs: 60_000 });
  const late = fetch(`${other.url}/slow`).then(() => "answered", () => "cut off");
  await pause(100);
  await other.close(100);
  assert.equal(await late, "cut off");
  await pause(1500);
});

Deno.test("a port that is taken is an error", () =>
  serving(async (url) => {
    const options = { host: "127.0.0.1", port: Number(new URL(url).port), stallMs: 1 };
    await assert.rejects(listen(count, options), Deno.errors.AddrInUse);
  }));
