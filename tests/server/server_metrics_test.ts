/** Every number about the server, of one that works: there is none that nobody counts. */
import assert from "../assert.ts";
import { type HttpOptions, Server, type ServerOptions } from "../../src/server/server.ts";
import { requestOf } from "../jobs/job_place.ts";
import { until } from "../jobs/queue/queue_conformance.ts";

const HTTP: HttpOptions = {
  host: "127.0.0.1",
  port: 0,
  token: null,
  cors: [],
  allowedHosts: null,
  verbose: false,
  strictSizes: false,
};

function options(data: string, worker: boolean): ServerOptions {
  return {
    engine: { model: "weights/shapes32", pipeline: {}, slots: 2 },
    worker,
    http: HTTP,
    publicUrl: null,
    data,
    allowHosts: ["127.0.0.1"],
    limits: {
      ...{ pictures: 4, steps: 1000, promptLength: 100, pixels: 64 ** 2 },
      ...{ queueMs: 600_000, runMs: 600_000, waitMs: 600_000 },
    },
    queueLimit: 10,
    runpod: null,
    keepMs: 60_000,
    leaseMs: 30_000,
    maxAttempts: 5,
  };
}

/** All values that each series has had. */
class Seen {
  readonly #series = new Map<string, Set<string>>();
  #names: string[] = [];

  /** Asks a server for its numbers; gives them by their names and labels. */
  async scrape(url: string): Promise<Map<string, number>> {
    const lines = (await (await fetch(`${url}/metrics`)).text()).split("\n");
    this.#names = lines.flatMap((line) => /^# TYPE (\S+)/.exec(line)?.[1] ?? []);
    const values = new Map<string, number>();
    for (const [, series, value] of lines.flatMap((line) => [/^(\w.*) (\S+)$/.exec(line) ?? []])) {
      if (series === undefined) continue;
      values.set(series, Number(value));
      if (!this.#series.has(series)) this.#series.set(series, new Set());
      this.#series.get(series)!.add(value!);
    }
    return values;
  }

  /** Names of numbers that were the same whenever they were asked for, and none that had labels came later. */
  get still(): string[] {
    return this.#names.filter((name) => {
      const all = [...this.#series].filter(([series]) => series.match(/^\w+/)![0].startsWith(name));
      return !all.some(([series, values]) =>
        values.size > 1 || /\{(?!le=)/.test(series) && !values.has("0")
      );
    });
  }
}

Deno.test("every number moves when what it is about happens", async () => {
  const data = await Deno.makeTempDir();
  const seen = new Seen();
  const statuses: Record<string, number> = { "/delivered": 200, "/failed": 503, "/dropped": 410 };
  await using hook = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    ({ url }) => new Response(null, { status: statuses[new URL(url).pathname]! }),
  );
  const webhook = (path: string) => ({
    url: `http://127.0.0.1:${hook.addr.port}${path}`,
    events: ["completed"] as const,
  });
  let url = "";
  const onListen = (at: string) => void (url = at);

  const front = await Server.start(options(data, false), { onListen });
  const { id } = await front.jobs.submit(requestOf(), { webhook: webhook("/delivered") });
  await front.jobs.submit(requestOf({ seed: "8" }), { webhook: webhook("/failed") });
  const { id: canceled } = await front.jobs.submit(requestOf());
  await front.jobs.cancel(canceled);
  await seen.scrape(url);
  await front.stop(0);

  const server = await Server.start(options(data, true), { onListen });
  await seen.scrape(url);
  const long = requestOf({ seed: "9", steps: 1000 });
  const { id: late } = await server.jobs.submit(long, { webhook: webhook("/dropped") });
  assert.equal((await server.jobs.wait(id, 600_000))?.state, "succeeded");
  await until(async () => (await seen.scrape(url)).get("mdm_slots_busy")! > 0);
  const failing = await server.jobs.submit(requestOf(), { deadline: Date.now() + 1 });
  await server.jobs.wait(failing.id, 60_000);
  await server.jobs.cancel(late);
  await until(async () => {
    const values = await seen.scrape(url);
    return Object.keys(statuses).every((path) =>
      values.get(`mdm_webhook_deliveries_total{result="${path.slice(1)}"}`) === 1
    );
  });
  const values = await seen.scrape(url);
  await Deno.rename(data, `${data}-away`);
  await until(async () => (await seen.scrape(url)).get("mdm_away") === 1);
  await Deno.rename(`${data}-away`, data);
  await until(async () => (await seen.scrape(url)).get("mdm_away") === 0);
  assert.deepEqual(seen.still, []);
  for (const state of ["succeeded", "failed", "canceled"]) {
    assert.ok(values.get(`mdm_jobs{state="${state}"}`)! > 0, state);
    assert.ok(
      values.get(`mdm_jobs_ended_total{outcome="${state}",origin="plain"}`)! > 0,
      state,
    );
  }
  for (const part of ["device", "weights"]) {
    assert.ok(values.get(`mdm_cold_start_seconds{part="${part}"}`)! > 0, part);
  }
  await server.stop(0);
  await Deno.remove(data, { recursive: true });
});
