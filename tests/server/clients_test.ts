/** The clients that people have, against a server as it is, with the model that comes along: what they ask for is there as pictures. */
import assert from "../assert.ts";
import OpenAI from "openai";
import Replicate, { type FileOutput, validateWebhook } from "replicate";
import runpodSdk from "runpod-sdk";
import { readPng } from "../media/png_pixels.ts";
import { ServeProcess } from "./serve_process.ts";

const PROMPT = "a red circle on a blue background";
const TOKEN = "secret";
/** Where clients believe the server to be: behind a proxy that speaks TLS. */
const PUBLIC = "https://pictures.example";
const WEBHOOK_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYqr";

/** The width of a PNG, which has to be whole. */
function widthOf(png: Uint8Array): number {
  return readPng(png as Uint8Array<ArrayBuffer>).width;
}

function decode(base64: string | undefined | null): Uint8Array {
  return Uint8Array.fromBase64(base64!.replace(/^data:image\/png;base64,/, ""));
}

/** A server of webhooks: gives what came, one by one. */
async function withHook(use: (url: string, next: () => Promise<Request>) => Promise<void>) {
  const came: Request[] = [];
  let wake = () => {};
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
    const body = await request.text();
    came.push(new Request(request.url, { method: "POST", headers: request.headers, body }));
    wake();
    return new Response();
  });
  const next = async () => {
    while (came.length === 0) await new Promise<void>((resolve) => wake = resolve);
    return came.shift()!;
  };
  try {
    await use(`http://127.0.0.1:${server.addr.port}/hook`, next);
  } finally {
    await server.shutdown();
  }
}

Deno.test("official clients and a server with the model that comes along", async (t) => {
  const data = await Deno.makeTempDir();
  await using stack = new AsyncDisposableStack();
  stack.defer(() => Deno.remove(data, { recursive: true }));
  const server = stack.use(ServeProcess.start(
    "serve",
    ...["--port", "0", "--data", data, "--token", TOKEN, "--allow-host", "127.0.0.1", "--verbose"],
    ...["--public-url", PUBLIC],
    ...["--webhook-secret", WEBHOOK_SECRET, "--max-pictures", "4"],
  ));
  const url = await server.url();
  const openai = new OpenAI({ apiKey: TOKEN, baseURL: `${url}/v1`, maxRetries: 0 });
  const proxied: typeof fetch = (input, init) => fetch(String(input).replace(PUBLIC, url), init);
  const replicate = new Replicate({ auth: TOKEN, baseUrl: `${PUBLIC}/v1`, fetch: proxied });
  const endpoint = runpodSdk(TOKEN, { baseUrl: `${url}/v2` }).endpoint("mdm")!;
  const headers = { authorization: `Bearer ${TOKEN}`, "content-type": "application/json" };
  let picture: Uint8Array;
  let version: string;

  await t.step("openai: pictures, before the model is there", async () => {
    const extra = { seed: 7, steps: 4 };
    const { data } = await openai.images.generate({ prompt: PROMPT, n: 2, ...extra });
    assert.deepEqual(data!.map(({ b64_json }) => widthOf(decode(b64_json))), [32, 32]);
    picture = decode(data![0]!.b64_json);
    assert.notDeepEqual(decode(data![1]!.b64_json), picture);
  });

  await t.step("openai: a picture that forms", async () => {
    const stream = await openai.images.generate({
      prompt: PROMPT,
      stream: true,
      partial_images: 2,
      ...{ seed: 7, steps: 12 },
    });
    const seen: [string, number][] = [];
    for await (const event of stream) seen.push([event.type, widthOf(decode(event.b64_json))]);
    assert.deepEqual(seen, [
      ["image_generation.partial_image", 16],
      ["image_generation.partial_image", 16],
      ["image_generation.completed", 32],
    ]);
  });

  await t.step("openai: an address that needs no token", async () => {
    const { data: [made] } = await openai.images.generate({
      prompt: PROMPT,
      response_format: "url",
      ...{ seed: 7, steps: 4 },
    }) as OpenAI.ImagesResponse & { data: [OpenAI.Image] };
    assert.deepEqual(await (await proxied(made.url!)).bytes(), picture);
  });

  await t.step("openai: what is wrong", async () => {
    const tooMany = openai.images.generate({ prompt: PROMPT, n: 5 });
    await assert.rejects(tooMany, (error) => error instanceof OpenAI.BadRequestError);
    const stranger = new OpenAI({ apiKey: "no", baseURL: `${url}/v1`, maxRetries: 0 });
    const models = stranger.models.list();
    await assert.rejects(models, (error) => error instanceof OpenAI.AuthenticationError);
    assert.deepEqual((await openai.models.list()).data.map(({ id }) => id), ["shapes32"]);
  });

  await t.step("replicate: runs, and the same seed gives the same picture", async () => {
    const input = { prompt: PROMPT, seed: 7, num_inference_steps: 4 };
    const [file] = await replicate.run("mdm/shapes32", { input }) as [FileOutput];
    assert.deepEqual(await (await file.blob()).bytes(), picture);
    version = (await replicate.models.get("mdm", "shapes32")).latest_version!.id;
    const [same] = await replicate.run(`mdm/shapes32:${version}`, { input }) as [FileOutput];
    assert.deepEqual(await (await same.blob()).bytes(), picture);
    const text = new TextDecoder("latin1").decode(picture);
    assert.ok(text.includes(version), "a picture says which version made it");
  });

  await t.step("replicate: streams, and sends no token for it", async () => {
    const input = { prompt: PROMPT, seed: 7, num_inference_steps: 4 };
    const output: string[] = [];
    for await (const { event, data } of replicate.stream("mdm/shapes32", { input })) {
      if (event === "output") output.push(data);
    }
    assert.equal(output.length, 1);
    assert.deepEqual(await (await proxied(output[0]!)).bytes(), picture);
  });

  await t.step(
    "replicate: a webhook that its own validator accepts",
    () =>
      withHook(async (hook, next) => {
        const made = await replicate.predictions.create({
          version,
          input: { prompt: PROMPT, seed: 7, num_inference_steps: 4 },
          webhook: hook,
          webhook_events_filter: ["start", "completed"],
        });
        assert.equal(made.status, "starting");
        let output: string[] | null = null;
        for (const status of ["processing", "succeeded"]) {
          const request = await next();
          assert.ok(await validateWebhook(request.clone(), WEBHOOK_SECRET));
          const prediction = await request.json();
          const { id, version: by } = prediction;
          assert.deepEqual([id, prediction.status, by], [made.id, status, version]);
          output = prediction.output;
        }
        assert.deepEqual(await (await proxied(output![0]!)).bytes(), picture);
        const got = await replicate.predictions.get(made.id);
        assert.deepEqual(await (await proxied((got.output as string[])[0]!)).bytes(), picture);
      }),
  );

  await t.step("replicate: cancels, and hears what is wrong", async () => {
    const long = { prompt: PROMPT, num_inference_steps: 1000, scheduler: "DDPM" };
    const { id } = await replicate.predictions.create({ version, input: long });
    await replicate.predictions.cancel(id);
    const ended = await replicate.wait(await replicate.predictions.get(id), { interval: 100 });
    assert.equal(ended.status, "canceled");
    const wrong = replicate.predictions.create({ version, input: { prompt: 3 } });
    await assert.rejects(wrong, /422/);
  });

  await t.step("runpod: runs, waits and streams", async () => {
    const job = { input: { prompt: PROMPT, seed: 7, num_inference_steps: 4 } };
    const { status, output } = await endpoint.runSync(job);
    assert.equal(status, "COMPLETED");
    assert.deepEqual(decode(output.images[0].image), picture);
    const { id } = await endpoint.run({
      input: { ...job.input, num_inference_steps: 16, preview: true },
    });
    const widths: number[] = [];
    for await (const { output: { image } } of endpoint.stream(id)) {
      widths.push(widthOf(decode(image)));
    }
    assert.ok(widths.length > 1 && widths.slice(0, -1).every((width) => width === 16));
    assert.equal(widths.at(-1), 32);
    assert.equal((await endpoint.status(id)).status, "COMPLETED");
  });

  await t.step("runpod: cancels, and tells its health", async () => {
    const input = { prompt: PROMPT, num_inference_steps: 1000, scheduler: "DDPM" };
    const { id } = await endpoint.run({ input });
    assert.equal((await endpoint.cancel(id)).status, "CANCELLED");
    const { workers, jobs } = await endpoint.health() as unknown as {
      workers: Record<string, number>;
      jobs: Record<string, number>;
    };
    assert.equal(workers.ready, 1);
    assert.ok(jobs.completed! >= 2);
  });

  await t.step("plain: every job is there, whichever way it came, with its files", async () => {
    const { jobs } = await (await fetch(`${url}/jobs?limit=100`, { headers })).json();
    const origins = new Set(jobs.map(({ origin }: { origin: string }) => origin));
    assert.deepEqual([...origins].sort(), ["cog", "openai", "runpod"]);
    const made = jobs.filter(({ state }: { state: string }) => state === "succeeded");
    for (const { files } of made) {
      const file = await proxied(files[0].url, { headers });
      assert.equal(widthOf(await file.bytes()), 32);
    }
    const [{ id }] = made;
    const gone = await fetch(`${url}/jobs/${id}`, { method: "DELETE", headers });
    assert.equal(gone.status, 204);
    const missing = await fetch(`${url}/jobs/${id}`, { headers });
    assert.equal(missing.status, 404);
    await missing.body?.cancel();
  });

  await t.step("cog: who leaves a synchronous request cancels it", async () => {
    const leaving = new AbortController();
    const body = JSON.stringify({ input: { prompt: PROMPT, num_inference_steps: 1000 } });
    const left = fetch(`${url}/predictions`, {
      method: "POST",
      headers,
      body,
      signal: leaving.signal,
    });
    left.catch(() => {});
    const newest = async () => {
      const answer = await fetch(`${url}/jobs?limit=1`, { headers });
      const { jobs: [{ state, request: { steps } }] } = await answer.json();
      return steps === 1000 ? state : null;
    };
    while (await newest() !== "running") await new Promise((resolve) => setTimeout(resolve, 20));
    leaving.abort();
    await assert.rejects(left, { name: "AbortError" });
    while (await newest() === "running") await new Promise((resolve) => setTimeout(resolve, 20));
    assert.equal(await newest(), "canceled");
  });

  await t.step("probes need no token, all else does", async () => {
    for (const path of ["/livez", "/readyz", "/ping", "/health-check", "/"]) {
      const answer = await fetch(url + path);
      assert.equal(answer.status, 200, path);
      await answer.body?.cancel();
    }
    for (const path of ["/jobs", "/metrics", "/v1/models", "/v2/mdm/health", "/predictions"]) {
      const answer = await fetch(url + path);
      assert.equal(answer.status, 401, path);
      await answer.body?.cancel();
    }
  });

  await t.step("requests are told of without what opens an address", () => {
    assert.match(server.said, /^GET \/jobs\/[\w-]+\/files\/0\.png 200 \d+ ms$/m);
    assert.match(server.said, /^GET \/v1\/predictions\/[\w-]+\/stream 200 \d+ ms$/m);
    assert.doesNotMatch(server.said, /signature|until=/);
  });
});
