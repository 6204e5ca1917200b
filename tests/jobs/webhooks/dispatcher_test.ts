import assert from "../../assert.ts";
import { validateWebhook } from "replicate";
import type { Delivery, Settlement } from "../../../src/jobs/queue/queue.ts";
import {
  Courier,
  type CourierOptions,
  retryDelay,
  signedHeaders,
} from "../../../src/jobs/webhooks/dispatcher.ts";
import { Unavailable } from "../../../src/jobs/unavailable.ts";
import { aJob } from "../queue/a_job.ts";

const SECRET = `whsec_${new Uint8Array(32).fill(7).toBase64()}`;

const HOUR = 60 * 60_000;

/** The part of a queue that couriers know, in memory; what it gives is given once. */
class Outbox {
  readonly #due: Delivery[] = [];
  readonly settled: [string, Settlement][] = [];
  #change = Promise.withResolvers<void>();

  add(...deliveries: Delivery[]): void {
    this.#due.push(...deliveries);
  }

  takeDeliveries(limit: number): Promise<Delivery[]> {
    return Promise.resolve(this.#due.splice(0, limit));
  }

  settleDelivery(id: string, settlement: Settlement): Promise<void> {
    this.settled.push([id, settlement]);
    this.#change.resolve();
    return Promise.resolve();
  }

  /** Settles when so many deliveries have. */
  async untilSettled(count: number): Promise<void> {
    while (this.settled.length < count) {
      this.#change = Promise.withResolvers();
      await this.#change.promise;
    }
  }
}

function delivery(url: string, different: Partial<Delivery> = {}): Delivery {
  const id = different.id ?? "1";
  const job = aJob({ id: `job-${id}`, webhook: { url, events: ["completed"] } });
  return { id, event: "completed", job, attempts: 0, ...different };
}

interface Setting {
  readonly outbox: Outbox;
  readonly warnings: string[];
  /** Of the server, with a path. */
  url(path?: string, host?: string): string;
  courier(different?: Partial<CourierOptions>): Courier;
}

/** Runs with a server that answers webhooks and all that a courier needs. */
async function withServer(
  answer: (request: Request) => Response | Promise<Response>,
  run: (setting: Setting) => Promise<void>,
): Promise<void> {
  await using server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, answer);
  const outbox = new Outbox();
  const warnings: string[] = [];
  await run({
    outbox,
    warnings,
    url: (path = "/", host = "127.0.0.1") => `http://${host}:${server.addr.port}${path}`,
    courier: (different) =>
      new Courier({
        queue: outbox,
        secret: SECRET,
        bodyOf: ({ id, state }, event) => ({ id, state, event }),
        allow: ["127.0.0.1", "localhost"],
        warn: (message) => warnings.push(message),
        pollMs: HOUR,
        ...different,
      }),
  });
}

Deno.test("what is sent passes the validator of Replicate's client, and nothing that was changed does", async () => {
  const seen: { request: string; headers: Headers; body: string }[] = [];
  await withServer(
    async (request) => {
      const { method, url } = request;
      const headers = new Headers(request.headers);
      seen.push({ request: `${method} ${url}`, headers, body: await request.text() });
      return new Response();
    },
    async ({ outbox, courier, url }) => {
      outbox.add(delivery(url("/hook?a=b")));
      await using _courier = courier();
      await outbox.untilSettled(1);
      assert.deepEqual(outbox.settled, [["1", "delivered"]]);
    },
  );
  assert.equal(seen.length, 1);
  const { request, headers, body } = seen[0]!;
  assert.match(request, /^POST .*\/hook\?a=b$/);
  assert.equal(headers.get("content-type"), "application/json");
  assert.deepEqual(JSON.parse(body), { id: "job-1", state: "succeeded", event: "completed" });
  const sent = {
    id: headers.get("webhook-id")!,
    timestamp: headers.get("webhook-timestamp")!,
    signature: headers.get("webhook-signature")!,
    body,
    secret: SECRET,
  };
  assert.equal(sent.id, "1");
  assert(Math.abs(Number(sent.timestamp) - Date.now() / 1000) < 60);
  assert.equal(await validateWebhook(sent), true);
  const changes = [
    { body: body.replace("succeeded", "failed") },
    { id: "2" },
    { timestamp: String(Number(sent.timestamp) + 1) },
    { secret: `whsec_${new Uint8Array(32).toBase64()}` },
  ];
  for (const change of changes) {
    assert.equal(await validateWebhook({ ...sent, ...change }), false, JSON.stringify(change));
  }
});

Deno.test("letters beyond ASCII are signed as they are sent", async () => {
  const body = JSON.stringify({ prompt: "ein grüner Stern ★" });
  const headers = signedHeaders(SECRET, "1", body);
  assert.equal(
    await validateWebhook({ headers, body: new TextEncoder().encode(body) } as never, SECRET),
    true,
  );
});

Deno.test("tries become rarer and end after a day", () => {
  const delays = Array.from({ length: 11 }, (_, i) => retryDelay(i + 1)!);
  for (const [i, delay] of delays.entries()) {
    const middle = 5000 * 2.5 ** i;
    assert(delay >= 0.8 * middle && delay <= 1.2 * middle, `${delay} after try ${i + 1}`);
  }
  const all = delays.reduce((sum, delay) => sum + delay);
  assert(all > 16 * HOUR && all < 28 * HOUR, `${all / HOUR} hours`);
  assert.notEqual(retryDelay(1), retryDelay(1));
  assert.equal(retryDelay(12), null);
  assert.equal(retryDelay(12, "10"), null);
});

Deno.test("a receiver that wants to be called later is, but within a day", () => {
  assert.equal(retryDelay(1, "3600"), HOUR);
  const date = retryDelay(1, new Date(Date.now() + HOUR).toUTCString())!;
  assert(Math.abs(date - HOUR) < 60_000, `${date}`);
  assert.equal(retryDelay(1, "99999999999999999999999"), 24 * HOUR);
  for (const nothing of ["", "0", "soon", "-5", "Thu, 01 Jan 1970 00:00:00 GMT"]) {
    assert(retryDelay(1, nothing)! <= 6000, nothing);
  }
});

Deno.test("what a receiver answers decides what comes next", () =>
  withServer(
    (request) => {
      const status = Number(new URL(request.url).pathname.slice(1));
      return new Response(null, { status, headers: { location: "/200", "retry-after": "100" } });
    },
    async ({ outbox, courier, url }) => {
      const delivered = [200, 201, 202, 204];
      const dropped = [400, 401, 403, 404, 410, 422, 451];
      const retried = [302, 308, 408, 409, 425, 429, 500, 502, 503];
      const statuses = [...delivered, ...dropped, ...retried];
      outbox.add(...statuses.map((status) => delivery(url(`/${status}`), { id: String(status) })));
      const start = Date.now();
      const told: string[] = [];
      await using _courier = courier({ onTry: (result) => told.push(result) });
      await outbox.untilSettled(statuses.length);
      const times = (wanted: string) => told.filter((result) => result === wanted).length;
      assert.deepEqual(["delivered", "dropped", "failed"].map(times), [
        delivered.length,
        dropped.length,
        retried.length,
      ]);
      const settled = new Map(outbox.settled);
      for (const status of delivered) assert.equal(settled.get(`${status}`), "delivered");
      for (const status of dropped) assert.equal(settled.get(`${status}`), "dropped");
      for (const status of retried) {
        const { retryAt } = settled.get(`${status}`) as { retryAt: number };
        assert(retryAt >= start + 100_000 && retryAt < start + 160_000, `${status}: ${retryAt}`);
      }
    },
  ));

Deno.test("after the last try a delivery is given up, and that is said", () =>
  withServer(() => new Response(null, { status: 500 }), async (setting) => {
    const { outbox, courier, url, warnings } = setting;
    outbox.add(delivery(url(), { id: "last", attempts: 11 }));
    outbox.add(delivery(url(), { id: "last-but-one", attempts: 10 }));
    await using _courier = courier();
    await outbox.untilSettled(2);
    const settled = new Map(outbox.settled);
    assert.equal(settled.get("last"), "dropped");
    assert(typeof settled.get("last-but-one") === "object");
    assert(warnings.includes("The webhook last is given up: its receiver answered 500"));
  }));

Deno.test("an address that may not be called is given up without calling it", () =>
  withServer(() => assert.fail("nobody should call"), async (setting) => {
    const { outbox, courier, url, warnings } = setting;
    outbox.add(delivery(url(), { id: "private" }));
    outbox.add({ ...delivery(url(), { id: "none" }), job: aJob() });
    await using _courier = courier({ allow: [], bodyOf: () => ({}) });
    await outbox.untilSettled(2);
    assert.deepEqual(
      new Map(outbox.settled),
      new Map([["private", "dropped"], ["none", "dropped"]]),
    );
    assert.equal(warnings.length, 2);
  }));

Deno.test("a receiver that is out of reach, or a body that cannot be made, is tried again", () =>
  withServer(() => new Response(), async ({ outbox, courier, url }) => {
    const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const { port } = listener.addr;
    listener.close();
    outbox.add(delivery(`http://127.0.0.1:${port}/`, { id: "no-server" }));
    outbox.add(delivery(url(), { id: "no-body" }));
    await using _courier = courier({
      bodyOf: ({ id }) => id === "job-no-body" ? Promise.reject(new Error("no disk")) : {},
    });
    await outbox.untilSettled(2);
    for (const [id, settlement] of outbox.settled) {
      assert(typeof settlement === "object" && settlement.retryAt > Date.now(), id);
    }
  }));

Deno.test("what comes later is delivered when told, and otherwise by the clock", () =>
  withServer(() => new Response(), async ({ outbox, courier, url }) => {
    {
      await using told = courier();
      outbox.add(delivery(url(), { id: "1" }));
      told.wake();
      await outbox.untilSettled(1);
      outbox.add(delivery(url(), { id: "2" }));
      told.wake();
      await outbox.untilSettled(2);
    }
    await using _clock = courier({ pollMs: 5 });
    outbox.add(delivery(url(), { id: "3" }));
    await outbox.untilSettled(3);
    outbox.add(delivery(url(), { id: "4" }));
    await outbox.untilSettled(4);
  }));

Deno.test("several are called at once, but not more than four times the same host", async () => {
  const gate = Promise.withResolvers<void>();
  const eight = Promise.withResolvers<void>();
  const busy = new Map<string, number>();
  let most = 0;
  await withServer(
    async (request) => {
      const { hostname } = new URL(request.url);
      busy.set(hostname, (busy.get(hostname) ?? 0) + 1);
      most = Math.max(most, busy.get(hostname)!);
      if (busy.get("127.0.0.1") === 4 && busy.get("localhost") === 4) eight.resolve();
      await gate.promise;
      busy.set(hostname, busy.get(hostname)! - 1);
      return new Response();
    },
    async ({ outbox, courier, url }) => {
      for (let i = 0; i < 40; i++) {
        outbox.add(delivery(url("/", i % 2 ? "localhost" : "127.0.0.1"), { id: `${i}` }));
      }
      await using _courier = courier();
      await eight.promise;
      gate.resolve();
      await outbox.untilSettled(40);
      assert.equal(most, 4);
      assert.equal(new Set(outbox.settled.map(([id]) => id)).size, 40);
    },
  );
});

Deno.test("hundreds for a host that does not answer do not keep another one waiting", async () => {
  const gate = Promise.withResolvers<void>();
  await withServer(
    async (request) => {
      if (new URL(request.url).hostname === "localhost") await gate.promise;
      return new Response();
    },
    async ({ outbox, courier, url }) => {
      for (let i = 0; i < 1000; i++) {
        outbox.add(delivery(url("/", "localhost"), { id: `${i}` }));
      }
      outbox.add(delivery(url(), { id: "quick" }));
      await using _courier = courier();
      await outbox.untilSettled(1);
      assert.deepEqual(outbox.settled, [["quick", "delivered"]]);
      gate.resolve();
    },
  );
});

Deno.test("what is told of one job comes in its order", async () => {
  const heard: [string, number][] = [];
  const outbox = new Outbox();
  await withServer(
    async (request) => {
      heard.push([(await request.json()).event, outbox.settled.length]);
      return new Response();
    },
    async ({ courier, url }) => {
      const { job } = delivery(url());
      for (const event of ["start", "output", "completed"] as const) {
        outbox.add({ id: event, event, job, attempts: 0 });
      }
      await using _courier = courier({ queue: outbox });
      await outbox.untilSettled(3);
    },
  );
  assert.deepEqual(heard, [["start", 0], ["output", 1], ["completed", 2]]);
});

Deno.test("a queue that fails for a moment loses nothing", () =>
  withServer(() => new Response(), async ({ outbox, courier, url, warnings }) => {
    const failures = ["take", "settle"];
    const queue: CourierOptions["queue"] = {
      takeDeliveries: (limit) => {
        if (failures[0] !== "take") return outbox.takeDeliveries(limit);
        failures.shift();
        return Promise.reject(new Error("locked"));
      },
      settleDelivery: (id, settlement) => {
        if (failures[0] !== "settle") return outbox.settleDelivery(id, settlement);
        failures.shift();
        outbox.add(delivery(url(), { id })); // As when its minute is over.
        return Promise.reject(new Error("locked"));
      },
    };
    outbox.add(delivery(url()));
    await using _courier = courier({ queue, pollMs: 5 });
    await outbox.untilSettled(1);
    assert.deepEqual(outbox.settled, [["1", "delivered"]]);
    assert.deepEqual(warnings, [
      "Webhooks wait, for the queue cannot be read: locked",
      "The webhook 1 may come twice, for the queue cannot be written: locked",
    ]);
  }));

Deno.test("what has waited until its minute is nearly over is left to the queue", async () => {
  let calls = 0;
  await withServer(
    async () => {
      calls++;
      await new Promise((resolve) => setTimeout(resolve, 200));
      return new Response();
    },
    async ({ outbox, courier, url }) => {
      for (let i = 0; i < 5; i++) outbox.add(delivery(url(), { id: `${i}` }));
      // A try may take so long that only the next tenth of a second is left to begin it.
      await using waiting = courier({ timeoutMs: 54_900 });
      await outbox.untilSettled(4);
      outbox.add(delivery(url(), { id: "later" }));
      waiting.wake();
      await outbox.untilSettled(5);
      assert.deepEqual(outbox.settled.map(([id]) => id).sort(), ["0", "1", "2", "3", "later"]);
    },
  );
  assert.equal(calls, 5);
});

Deno.test("a courier that stops ends what it has begun, and begins nothing more", async () => {
  const called = Promise.withResolvers<void>();
  const gate = Promise.withResolvers<void>();
  let calls = 0;
  await withServer(
    async () => {
      if (++calls === 4) called.resolve();
      await gate.promise;
      return new Response();
    },
    async ({ outbox, courier, url }) => {
      for (let i = 0; i < 10; i++) outbox.add(delivery(url(), { id: `${i}` }));
      const stopping = courier();
      await called.promise;
      const stopped = stopping[Symbol.asyncDispose]();
      gate.resolve();
      await stopped;
      assert.deepEqual(
        outbox.settled.map(([, settlement]) => settlement),
        Array(4).fill("delivered"),
      );
      assert.equal(calls, 4);
    },
  );
});

Deno.test("a courier that stops does not wait for ever, and what it breaks off is due at once", async () => {
  const called = Promise.withResolvers<void>();
  const gate = Promise.withResolvers<void>();
  await withServer(
    async () => {
      called.resolve();
      await gate.promise;
      return new Response();
    },
    async ({ outbox, courier, url }) => {
      outbox.add(delivery(url()));
      const stopping = courier({ graceMs: 5 });
      await called.promise;
      await stopping[Symbol.asyncDispose]();
      gate.resolve();
      const [[id, settlement]] = outbox.settled as [[string, Settlement]];
      assert.equal(id, "1");
      assert(typeof settlement === "object" && settlement.retryAt <= Date.now());
    },
  );
});

Deno.test("while the queue is away nothing is said, and what was delivered is settled later", () =>
  withServer(() => new Response(), async ({ outbox, courier, url, warnings }) => {
    const { takeDeliveries, settleDelivery } = outbox;
    let [takes, settles] = [0, 0];
    const unlessAway = <T>(calls: number, call: () => Promise<T>) =>
      calls <= 2 ? Promise.reject(new Unavailable("It is away.")) : call();
    outbox.takeDeliveries = (limit) =>
      unlessAway(++takes, () => takeDeliveries.call(outbox, limit));
    outbox.settleDelivery = (...about) =>
      unlessAway(++settles, () => settleDelivery.apply(outbox, about));
    outbox.add(delivery(url()));
    await using _courier = courier({ pollMs: 5 });
    await outbox.untilSettled(1);
    assert.deepEqual(outbox.settled, [["1", "delivered"]]);
    assert.equal(settles, 3);
    assert.deepEqual(warnings, []);
  }));

Deno.test("a webhook whose content is away waits without a word, however often it was tried", () =>
  withServer(() => new Response(), async ({ outbox, courier, url, warnings }) => {
    outbox.add(delivery(url(), { attempts: 100 }));
    await using _courier = courier({
      bodyOf: () => Promise.reject(new Unavailable("It is away.")),
    });
    await outbox.untilSettled(1);
    const [[, settlement]] = outbox.settled as [[string, { retryAt: number }]];
    assert.ok(settlement.retryAt > Date.now());
    assert.deepEqual(warnings, []);
  }));
