import assert from "../assert.ts";
import { MdmError, UsageError } from "../../src/errors.ts";
import { checkAllow, checkOutgoing, fetchOutgoing } from "../../src/net/outgoing.ts";

type Handler = (request: Request) => Response | Promise<Response>;

const LOOPBACK = { allow: ["127.0.0.0/8"] };

const words = (text: string) => text.trim().split(/\s+/);

/** Resolves every name to these addresses. */
const to = (...addresses: string[]) => () => Promise.resolve(addresses);

const NEVER = () => Promise.reject(new Error("nothing should be resolved"));

async function withServer(
  handler: Handler,
  run: (port: number) => Promise<void>,
  tls: { cert: string; key: string } | Record<never, never> = {},
): Promise<void> {
  await using server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {}, ...tls },
    handler,
  );
  await run(server.addr.port);
}

/** Answers every connection with these bytes. */
async function withRawServer(
  answer: (connection: Deno.TcpConn) => Promise<void>,
  run: (port: number) => Promise<void>,
): Promise<void> {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const serving = (async () => {
    for await (const connection of listener) {
      await answer(connection).catch(() => {}); // The other end may have closed it.
      connection.close();
    }
  })();
  await run(listener.addr.port);
  listener.close();
  await serving;
}

const refused = (error: Error) => {
  assert(error instanceof UsageError, String(error));
  return true;
};

const failed = (message: RegExp) => (error: Error) => {
  assert(error instanceof MdmError && !(error instanceof UsageError), String(error));
  assert.match(error.message, message);
  return true;
};

/** Addresses of hosts that nobody outside may name, in all their spellings. */
const CLOSED = words(`
  127.0.0.1 127.1 127.0.1 0x7f.1 0x7f000001 0177.0.0.1 0177.1 2130706433 017700000001 127.0.0.1.
  127.1. ①②⑦.⓪.⓪.① 127。0。0。1 %31%32%37.0.0.1 0 0.0.0.0 00.0 10.1 0xa.1 167772161 172.16.0.1
  192.168.257 3232235777 169.254.169.254 0xa9fea9fe 2852039166 0251.0376.0251.0376
  100.100.100.200 168.63.129.16 224.0.0.1 255.255.255.255 4294967295 [::] [::1]
  [0:0:0:0:0:0:0:1] [0000::0001] [::127.0.0.1] [::ffff:127.0.0.1] [::ffff:7f00:1]
  [::FFFF:7F00:0001] [0:0:0:0:0:ffff:169.254.169.254] [::ffff:0:127.0.0.1] [64:ff9b::7f00:1]
  [64:ff9b::169.254.169.254] [64:ff9b:1::1] [2002:7f00:1::] [2001:0:0:0::1] [fe80::1] [fc00::1]
  [fd00:ec2::254] [ff02::1] localhost LOCALHOST localhost. LocalHost. a.localhost ｌｏｃａｌｈｏｓｔ
`);

Deno.test("hosts that are not public are refused in every spelling, and nobody is asked", async () => {
  for (const host of CLOSED) {
    for (const url of [`http://${host}/`, `https://${host}:8443/x`]) {
      assert.throws(() => checkOutgoing(url, { allow: [] }), refused, url);
      await assert.rejects(fetchOutgoing(url, {}, { allow: [], resolve: NEVER }), refused, url);
    }
  }
});

Deno.test("names that lead to such hosts are refused after resolving", async () => {
  const addresses = words(`
    127.0.0.1 10.0.0.1 169.254.169.254 100.64.0.1 192.168.0.1 0.0.0.0 224.0.0.1 ::1 ::
    ::ffff:127.0.0.1 64:ff9b::7f00:1 fe80::1%eth0 fc00::1 fd00:ec2::254 ff02::1 2002:7f00:1::
  `);
  for (const address of addresses) {
    for (const resolve of [to(address), to("8.8.8.8", address), to(address, "8.8.8.8")]) {
      await assert.rejects(
        fetchOutgoing("http://metadata.example/", {}, { allow: ["10.9.0.0/16"], resolve }),
        (error: Error) => refused(error) && !error.message.includes(address),
        address,
      );
    }
  }
});

Deno.test("addresses that are none, have another scheme or bring a password are refused", () => {
  const urls = [
    "",
    "x",
    "//host",
    "/path",
    "http://",
    "https://",
    "ftp://host",
    "file:///etc/passwd",
    "data:,x",
    "javascript:1",
    "ws://host",
    "unix:/run/x",
    "gopher://host",
    "http://user@host",
    "https://user:secret@host",
    "http://:secret@host",
    "http://host:99999",
    "http://a b",
    "http://[::1",
    "http://[fe80::1%25eth0]/",
    "http://256.256.256.256",
    "http://1.2.3.4.5",
  ];
  for (const url of urls) {
    assert.throws(
      () => checkOutgoing(url, { allow: ["localhost", "0.0.0.0/0"] }),
      (error: Error) => {
        assert(!error.message.includes("secret"), url);
        return refused(error);
      },
      url,
    );
  }
});

Deno.test("public hosts, and those that are allowed by name, address or range, are not refused", () => {
  const cases: [string, string[]][] = [
    ["https://example.com/hook?a=b", []],
    ["http://8.8.8.8:8080", []],
    ["http://[2606:4700::1111]/", []],
    ["http://localhost:3000/", ["localhost"]],
    ["http://LOCALHOST./", ["Localhost."]],
    ["http://localhost/", ["127.0.0.1"]],
    ["http://127.1/", ["127.0.0.0/8"]],
    ["http://127.0.0.1/", ["127.0.0.1"]],
    ["http://[::ffff:127.0.0.1]/", ["127.0.0.1"]],
    ["http://[::1]/", ["::1"]],
    ["http://[fd00::1]/", ["10.0.0.0/8", "fd00::/8"]],
  ];
  for (const [url, allow] of cases) assert.doesNotThrow(() => checkOutgoing(url, { allow }), url);
});

Deno.test("what is allowed is no more than was said", () => {
  const cases: [string, string[]][] = [
    ["http://127.0.0.1/", ["localhost"]],
    ["http://evil-localhost.localhost/", ["localhost"]],
    ["http://10.0.0.1/", ["10.0.0.0/32"]],
    ["http://[::1]/", ["127.0.0.0/8", "0.0.0.0/0"]],
    ["http://10.0.0.1/", ["10.0.0.0/99", "", "10"]],
  ];
  for (const [url, allow] of cases) {
    assert.throws(() => checkOutgoing(url, { allow }), refused, url);
  }
});

Deno.test("what is allowed has to be names, addresses and ranges", () => {
  const allow = ["localhost", "my-host_1.example.", "10.0.0.1", "10.0.0.0/8", "::1", "fd00::/8"];
  assert.equal(checkAllow(allow), allow);
  for (const entry of ["", "10.0.0.0/33", "10", "1.2.3", "http://host", "host:80", "[::1]", "*"]) {
    assert.throws(() => checkAllow(["localhost", entry]), refused, entry);
  }
});

Deno.test("a request goes to the address that was checked, under the name that was given", () =>
  withServer(
    async (request) =>
      new Response(
        JSON.stringify([
          request.method,
          request.headers.get("host"),
          request.headers.get("x-a"),
          new URL(request.url).pathname,
          new URL(request.url).search,
          await request.text(),
        ]),
        { status: 201, headers: { "x-b": "c" } },
      ),
    async (port) => {
      const answer = await fetchOutgoing(
        `http://hook.example:${port}/a/b?c=d#e`,
        { method: "POST", headers: { "x-a": "1" }, body: "héllo" },
        { ...LOOPBACK, resolve: to("127.0.0.1") },
      );
      assert.equal(answer.status, 201);
      assert.equal(answer.headers.get("x-b"), "c");
      const host = `hook.example:${port}`;
      assert.deepEqual(
        JSON.parse(new TextDecoder().decode(answer.body)),
        ["POST", host, "1", "/a/b", "?c=d", "héllo"],
      );
    },
  ));

Deno.test("the system's own names are resolved", () =>
  withServer(() => new Response("hello"), async (port) => {
    const url = `http://localhost:${port}/`;
    assert.equal((await fetchOutgoing(url, {}, { allow: ["localhost"] })).status, 200);
    await assert.rejects(fetchOutgoing(url, {}, { allow: ["10.0.0.0/8"] }), refused);
  }));

Deno.test("a name that leads elsewhere the second time gains nothing", () =>
  withServer(() => new Response("hello"), async (port) => {
    const answers = [["127.0.0.1"], ["169.254.169.254"]];
    let asked = 0;
    const resolve = () => Promise.resolve(answers[asked++]!);
    const { status } = await fetchOutgoing(`http://rebind.example:${port}/`, {}, {
      ...LOOPBACK,
      resolve,
    });
    assert.deepEqual([status, asked], [200, 1]);
    const again = fetchOutgoing(`http://rebind.example:${port}/`, {}, { ...LOOPBACK, resolve });
    await assert.rejects(again, refused);
  }));

Deno.test("the next address is tried where one does not answer", () =>
  withServer(() => new Response("hello"), async (port) => {
    // The server listens at the second one only, and the tests may not reach the first.
    const rules = { ...LOOPBACK, resolve: to("127.0.0.2", "127.0.0.1") };
    assert.equal((await fetchOutgoing(`http://a.example:${port}/`, {}, rules)).status, 200);
  }));

Deno.test("redirects are not followed", () => {
  let asked = 0;
  return withServer(
    () => {
      asked++;
      return new Response(null, { status: 302, headers: { location: "http://127.0.0.1/secret" } });
    },
    async (port) => {
      const { status } = await fetchOutgoing(`http://127.0.0.1:${port}/`, {}, LOOPBACK);
      assert.deepEqual([status, asked], [302, 1]);
    },
  );
});

Deno.test("no more of an answer is read than its beginning", () =>
  withRawServer(async (connection) => {
    await connection.write(new TextEncoder().encode("HTTP/1.1 200 OK\r\n\r\n"));
    for (;;) await connection.write(new Uint8Array(1 << 16)); // Until the other end has had enough.
  }, async (port) => {
    const { body } = await fetchOutgoing(`http://127.0.0.1:${port}/`, {}, LOOPBACK);
    assert.equal(body.length, 64 * 1024);
  }));

Deno.test("headers without end are an error", () =>
  withRawServer(async (connection) => {
    await connection.write(new TextEncoder().encode("HTTP/1.1 200 OK\r\n"));
    const line = new TextEncoder().encode(`x: ${"y".repeat(4000)}\r\n`);
    for (;;) await connection.write(line);
  }, async (port) => {
    await assert.rejects(
      fetchOutgoing(`http://127.0.0.1:${port}/`, { timeoutMs: 10_000 }, LOOPBACK),
      failed(/header/i),
    );
  }));

Deno.test("what is no HTTP, or nothing, is an error", async () => {
  for (
    const answer of ["", "SSH-2.0-OpenSSH_9.7\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx"]
  ) {
    await withRawServer(async (connection) => {
      await connection.read(new Uint8Array(4096));
      if (answer !== "") await connection.write(new TextEncoder().encode(answer));
    }, async (port) => {
      await assert.rejects(
        fetchOutgoing(`http://127.0.0.1:${port}/`, {}, LOOPBACK),
        failed(/^Cannot reach 127\.0\.0\.1:\d+: .+\.$/),
      );
    });
  }
});

Deno.test("a port where nobody listens is an error", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  await assert.rejects(
    fetchOutgoing(`http://127.0.0.1:${port}/`, {}, LOOPBACK),
    failed(/^Cannot reach 127\.0\.0\.1:\d+: .*refused/),
  );
});

Deno.test("an answer, a header or a name that does not come is waited for no longer than was said", async () => {
  const late = failed(/^Cannot reach [^ ]+: it took longer than 0\.05 seconds\.$/);
  for (
    const start of ["", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx"]
  ) {
    await withRawServer(async (connection) => {
      await connection.write(new TextEncoder().encode(start));
      while (await connection.read(new Uint8Array(4096)) !== null);
    }, async (port) => {
      const request = { timeoutMs: 50 };
      const url = `http://127.0.0.1:${port}/`;
      await assert.rejects(fetchOutgoing(url, request, LOOPBACK), late);
      // Nor is the beginning of a conversation in TLS.
      const secure = url.replace("http:", "https:");
      if (start === "") await assert.rejects(fetchOutgoing(secure, request, LOOPBACK), late);
    });
  }
  const resolve = () => new Promise<never>(() => {});
  await assert.rejects(
    fetchOutgoing("http://slow.example/", { timeoutMs: 50 }, { allow: [], resolve }),
    late,
  );
});

Deno.test("a request is given up when its signal says so", async () => {
  const controller = new AbortController();
  await withRawServer(async (connection) => {
    await connection.read(new Uint8Array(4096));
    controller.abort(new Error("stopped"));
    while (await connection.read(new Uint8Array(4096)) !== null);
  }, async (port) => {
    const request = { signal: controller.signal };
    const url = `http://127.0.0.1:${port}/`;
    await assert.rejects(fetchOutgoing(url, request, LOOPBACK), failed(/: stopped\.$/));
    await assert.rejects(fetchOutgoing(url, request, LOOPBACK), failed(/: stopped\.$/));
  });
});

Deno.test("over https the certificate has to be trusted and that of the name", () => {
  const cert = Deno.readTextFileSync("tests/fixtures/tls/hook.example.pem");
  const key = Deno.readTextFileSync("tests/fixtures/tls/hook.example.key");
  return withServer(
    (request) => new Response(request.headers.get("host")),
    async (port) => {
      const rules = { ...LOOPBACK, resolve: to("127.0.0.1"), caCerts: [cert] };
      const { status, body } = await fetchOutgoing(`https://hook.example.:${port}/`, {}, rules);
      assert.equal(status, 200);
      assert.equal(new TextDecoder().decode(body), `hook.example.:${port}`);
      for (const name of ["other.example", "127.0.0.1"]) {
        await assert.rejects(
          fetchOutgoing(`https://${name}:${port}/`, {}, rules),
          failed(/certificate/),
        );
      }
      const { caCerts: _, ...untrusting } = rules;
      await assert.rejects(
        fetchOutgoing(`https://hook.example:${port}/`, {}, untrusting),
        failed(/certificate/),
      );
    },
    { cert, key },
  );
});
