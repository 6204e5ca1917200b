/** What a collector of OpenTelemetry is told of a server, and what the server tells itself: no queries, signatures and tokens. */
import assert from "../../assert.ts";
import { until } from "../../jobs/queue/queue_conformance.ts";
import { ServeProcess } from "../serve_process.ts";

const TOKEN = "token-of-the-server";

/** A collector on loopback. */
function startCollector() {
  const told: string[] = [];
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    async (request) => {
      told.push(await request.text());
      return Response.json({});
    },
  );
  return { server, told };
}

/** A server of webhooks, which takes nothing. */
function startHook() {
  const came = Promise.withResolvers<void>();
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, () => {
    came.resolve();
    return new Response(null, { status: 410 });
  });
  return { server, came: came.promise };
}

Deno.test("spans and logs of a server have no queries, signatures and tokens", async () => {
  const data = await Deno.makeTempDir();
  const collector = startCollector();
  const hook = startHook();
  const server = ServeProcess.startWith(
    {
      OTEL_DENO: "true",
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${collector.server.addr.port}`,
      OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
      OTEL_BSP_SCHEDULE_DELAY: "100",
      OTEL_BLRP_SCHEDULE_DELAY: "100",
    },
    ...["serve", "--port", "0", "--data", data, "--token", TOKEN, "--verbose"],
    ...["--allow-host", "127.0.0.1", "--public-url", "https://pictures.example"],
  );
  const url = await server.url();
  const headers = { authorization: `Bearer ${TOKEN}`, "content-type": "application/json" };
  const address = `http://127.0.0.1:${hook.server.addr.port}/hook?key=key-of-the-hook`;
  const body = JSON.stringify({
    input: { prompt: "a red circle", num_inference_steps: 2 },
    webhook: address,
  });
  const made = await fetch(`${url}/v1/predictions`, {
    method: "POST",
    headers: { ...headers, prefer: "wait" },
    body,
  });
  const { output: [file], urls: { stream } } = await made.json();
  const signed = [file, stream].map((address: string) => new URL(address));
  for (const { pathname, search } of signed) {
    assert.match(search, /signature=/);
    await (await fetch(`${url}${pathname}${search}`)).text();
    await (await fetch(`${url}${pathname}${search}changed`)).text();
  }
  await (await fetch(`${url}/nowhere?token=${TOKEN}`)).text();
  await hook.came;
  // It is told of these requests, and of what is said.
  const paths = [...signed.map(({ pathname }) => pathname), "/nowhere"];
  const expected = [...paths.map((path) => `"${path}"`), "is given up"];
  await until(() => expected.every((text) => collector.told.join("\n").includes(text)));
  await server.stop();
  await collector.server.shutdown();
  await hook.server.shutdown();
  await Deno.remove(data, { recursive: true });

  const told = collector.told.join("\n");
  for (const text of [told, server.said]) {
    assert.doesNotMatch(text, /signature|until=|url\.query|key-of-the-hook/);
    assert.ok(!text.includes(TOKEN));
  }
});
