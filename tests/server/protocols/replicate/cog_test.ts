import assert from "../../../assert.ts";
import Replicate, { type FileOutput, parseProgressFromLogs } from "replicate";
import { UsageError } from "../../../../src/errors.ts";
import type { Job } from "../../../../src/jobs/job.ts";
import { cog } from "../../../../src/server/protocols/replicate/cog.ts";
import { native } from "../../../../src/server/protocols/native/native.ts";
import {
  cogWebhookBody,
  type Prediction,
} from "../../../../src/server/protocols/replicate/prediction.ts";
import { replicate } from "../../../../src/server/protocols/replicate/replicate.ts";
import { FakeJobs, type FakeOptions, VERSION } from "../../fake_jobs.ts";
import { ADDRESSES, appOf, listening, posted } from "../../server.ts";

const HTTPS = "https://mdm.example";
const TOKEN = "secret";
const PROTOCOLS = [cog, replicate({ secret: "whsec_secret" })] as const;
const STAR = { input: { prompt: "a star", seed: 7 } };

function start(options: FakeOptions = {}) {
  const jobs = new FakeJobs(options);
  const app = appOf(jobs, PROTOCOLS);
  const send = (
    path: string,
    { method = "POST", body = STAR as unknown, headers = {}, signal }: {
      method?: string;
      body?: unknown;
      headers?: Record<string, string>;
      signal?: AbortSignal;
    } = {},
  ) => {
    const json = method === "GET" ? null : typeof body === "string" ? body : JSON.stringify(body);
    return app.request(path, {
      method,
      body: json,
      headers: { "content-type": "application/json", ...headers },
      ...signal && { signal },
    });
  };
  return { jobs, app, send };
}

async function answer(
  response: Response | Promise<Response>,
  status: number,
): Promise<Prediction> {
  const { status: got, ok } = await response;
  const body = await (await response).json();
  assert.equal(got, status, JSON.stringify(body));
  return ok ? body : body.detail;
}

/** Server-sent events as pairs of name and data. */
async function events(response: Response): Promise<[string, string][]> {
  assert.equal(response.headers.get("content-type"), "text/event-stream");
  const blocks = (await response.text()).split("\n\n").filter((block) => block !== "");
  return blocks.map((block) => {
    const lines = block.split("\n");
    const of = (field: string) => lines.find((line) => line.startsWith(field))!.slice(field.length);
    return [of("event: "), of("data: ")];
  });
}

Deno.test("Cog waits for a prediction and answers with its files", async () => {
  const { send } = start({ finishAtOnce: true });
  const { created_at, started_at, completed_at, metrics, output, ...rest } = await answer(
    send("/predictions", { body: { input: { ...STAR.input, num_outputs: 2 }, version: "v" } }),
    200,
  );
  for (const time of [created_at, started_at, completed_at]) {
    assert.match(time!, /^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
  }
  assert.ok(metrics["predict_time"]! >= 0 && metrics["total_time"]! >= metrics["predict_time"]!);
  assert.equal(output!.length, 2);
  for (const url of output!) assert.match(url, /^data:image\/png;base64,iVBORw0KGgo/);
  assert.deepEqual(rest, {
    id: "job-1",
    model: "mdm/shapes32",
    version: VERSION.id,
    input: { prompt: "a star", seed: 7, num_outputs: 2 },
    logs: "Using seed: 7\n100%|██████████| 20/20\n",
    error: null,
    status: "succeeded",
    source: "api",
    data_removed: false,
    urls: {
      get: "http://localhost/predictions/job-1",
      cancel: "http://localhost/predictions/job-1/cancel",
      stream: "http://localhost/predictions/job-1/stream",
    },
  });
});

Deno.test("every option of the input reaches the job", async () => {
  const { jobs, send } = start();
  const input = {
    prompt: "a star",
    negative_prompt: "a ring",
    num_outputs: 3,
    seed: "18446744073709551615",
    width: 64,
    height: 64,
    num_inference_steps: 9,
    guidance_scale: 2,
    guidance_interval: [0.2, 0.8],
    scheduler: "DDIM",
    eta: 0.5,
    threshold: "clip",
    cache: { every: 2 },
    levels: true,
    preview: true,
    output_format: "jpg",
    fps: 12,
  };
  const { id } = await answer(send("/v1/predictions", { body: { input } }), 202);
  assert.deepEqual((await jobs.get(id))!.request, {
    prompts: ["a star"],
    negative: "a ring",
    count: 3,
    seed: "18446744073709551615",
    size: 64,
    steps: 9,
    guidance: 2,
    guidanceInterval: [0.2, 0.8],
    sampler: "ddim",
    eta: 0.5,
    threshold: "CLIP",
    cache: { every: 2 },
    levels: true,
    preview: true,
    format: "jpeg",
    fps: 12,
  });
});

Deno.test("Replicate answers at once, and waits when told to", async () => {
  const { jobs, send } = start();
  const first = await answer(send("/v1/predictions"), 202);
  assert.equal(first.status, "starting");
  assert.equal(first.output, null);
  assert.deepEqual(first.metrics, {});
  assert.equal(first.urls.get, "http://localhost/v1/predictions/job-1");
  const prefer = { headers: { prefer: "wait=5" } };
  const { next } = jobs;
  const second = send("/v1/models/mdm/shapes32/predictions", prefer);
  await jobs.make((await next).id);
  assert.equal((await answer(second, 201)).status, "succeeded");
});

Deno.test("an expired wait says starting, also of a job that runs", async () => {
  const { jobs, send } = start({ limits: { waitMs: 10 } });
  for (const headers of [{}, { prefer: "wait" }, { prefer: "respond-async, wait=3" }]) {
    const { next } = jobs;
    const answered = send("/predictions", { headers });
    const { id } = await next;
    jobs.begin(id);
    await jobs.picture(id);
    const { status, output } = await answer(answered, 202);
    assert.deepEqual([status, output!.length], ["starting", 1]);
    assert.equal(
      (await answer(send(`/predictions/${id}`, { method: "GET" }), 200)).status,
      "processing",
    );
  }
});

Deno.test("respond-async does not wait", async () => {
  const { send } = start();
  const headers = { prefer: "respond-async" };
  assert.equal((await answer(send("/predictions", { headers }), 202)).status, "starting");
});

Deno.test("a client that leaves a synchronous request cancels it", async () => {
  for (const path of ["/predictions", "/v1/predictions"]) {
    const { jobs, send } = start();
    const client = new AbortController();
    const { next } = jobs;
    const answered = send(path, { signal: client.signal, headers: { prefer: "wait" } });
    const { id } = await next;
    client.abort();
    await answered;
    assert.equal((await jobs.get(id))!.state, "canceled");
    assert.equal(jobs.listeners, 0);
  }
});

Deno.test("a client that chose an id may leave and come back", async () => {
  const { jobs, send } = start();
  const client = new AbortController();
  const put = { method: "PUT", body: { input: { prompt: "a star" } } };
  const { next } = jobs;
  const answered = send("/predictions/mine", { ...put, signal: client.signal });
  await next;
  client.abort();
  await answered;
  assert.equal((await jobs.get("mine"))!.state, "queued");
  const again = send("/predictions/mine", put);
  await jobs.make("mine");
  assert.equal((await answer(again, 200)).status, "succeeded");
  assert.equal((await jobs.list()).length, 1);
});

Deno.test("an id belongs to one input", async () => {
  const { send } = start();
  const headers = { prefer: "respond-async" };
  await answer(send("/predictions/mine", { method: "PUT", headers }), 202);
  const body = { input: { prompt: "a ring" } };
  assert.match(
    String(await answer(send("/predictions/mine", { method: "PUT", headers, body }), 409)),
    /another request/,
  );
  await answer(send("/predictions", { body: { ...STAR, id: "mine" }, headers }), 202);
  assert.deepEqual(
    await answer(
      send("/predictions/mine", { method: "PUT", body: { ...STAR, id: "other" } }),
      422,
    ),
    [{ loc: ["body", "id"], msg: "Give the ID that is in the address.", type: "value_error" }],
  );
});

Deno.test("what is wrong with a request is said field by field", async () => {
  const { jobs, send } = start();
  const wrong = async (body: unknown) =>
    (await answer(send("/predictions", { body }), 422) as unknown as {
      loc: string[];
      msg: string;
      type: string;
    }[])
      .map(({ loc, type }) => `${loc.join(".")} ${type}`);
  assert.deepEqual(await wrong({ input: { num_outputs: 0, colour: 1 } }), [
    "body.input.colour value_error",
    "body.input.prompt value_error",
    "body.input.num_outputs value_error",
  ]);
  assert.deepEqual(await wrong({}), ["body.input value_error"]);
  assert.deepEqual(await wrong("{"), ["body json_invalid"]);
  const of = (more: object) => wrong({ ...STAR, ...more });
  assert.deepEqual(await of({ id: "../x" }), ["body.id value_error"]);
  assert.deepEqual(await of({ webhook: "file:///etc/passwd" }), ["body.webhook value_error"]);
  assert.deepEqual(await of({ webhook_events_filter: ["end"] }), [
    "body.webhook_events_filter.0 value_error",
  ]);
  assert.deepEqual(await of({ output_file_prefix: "http://x" }), [
    "body.output_file_prefix value_error",
  ]);
  const inputs = (more: object) => wrong({ input: { ...STAR.input, ...more } });
  assert.deepEqual(await inputs({ width: 32, height: 64 }), ["body.input.height value_error"]);
  assert.deepEqual(await inputs({ scheduler: "K_EULER" }), ["body.input.scheduler value_error"]);
  assert.deepEqual(await inputs({ seed: -1 }), ["body.input.seed value_error"]);
  assert.deepEqual(
    await answer(send("/predictions/..%2Fx", { method: "PUT" }), 422),
    [{
      loc: ["body", "id"],
      msg: `Give 1 to 64 letters, digits, "-" and "_".`,
      type: "value_error",
    }],
  );
  await answer(send("/predictions", { headers: { "content-type": "text/plain" } }), 415);
  assert.deepEqual(await jobs.list(), []);
});

Deno.test("a job that the core refuses is a wrong input", async () => {
  const { jobs, send } = start();
  jobs.submit = () => Promise.reject(new UsageError('Sampler "dpm++" has no eta.'));
  assert.deepEqual(await answer(send("/predictions"), 422), [{
    loc: ["body", "input"],
    msg: `Sampler "dpm++" has no eta.`,
    type: "value_error",
  }]);
});

Deno.test("a full queue says when to come again", async () => {
  const { send } = start({ capacity: 0 });
  const response = await send("/predictions");
  assert.equal(response.headers.get("retry-after"), "7");
  assert.match(String(await answer(response, 429)), /queue is full/);
});

Deno.test("predictions and models that are not there", async () => {
  const { send } = start();
  for (const path of ["/predictions/none", "/predictions/none/stream", "/v1/predictions/none"]) {
    assert.match(String(await answer(send(path, { method: "GET" }), 404)), /no such job/);
  }
  assert.match(String(await answer(send("/predictions/none/cancel"), 404)), /no such job/);
  assert.match(
    String(await answer(send("/v1/models/a/sdxl/predictions"), 404)),
    /"mdm\/shapes32" is the one here/,
  );
});

Deno.test("the list has all jobs, the newest first, and no files in it", async () => {
  const { jobs, send } = start({ finishAtOnce: true });
  await answer(send("/predictions"), 200);
  await jobs.submit({ prompts: ["x"], count: 1, seed: "1", levels: false, preview: false });
  const response = await send("/v1/predictions", { method: "GET" });
  const { results, ...page } = await response.json();
  assert.deepEqual(page, { previous: null, next: null });
  assert.deepEqual(results.map(({ id }: Prediction) => id), ["job-2", "job-1"]);
  assert.equal(results[0].input.prompts[0], "x");
  assert.deepEqual(results[1].input, STAR.input);
  assert.deepEqual(results[1].output, []);
});

Deno.test("a list that is long goes on at the next page", async () => {
  const { jobs, send } = start();
  const request = { prompts: ["x"], count: 1, seed: "1", levels: false, preview: false };
  for (let k = 0; k < 250; k++) await jobs.submit(request);
  const lengths: number[] = [];
  const seen = new Set<string>();
  let path: string | null = "/v1/predictions";
  while (path !== null) {
    const response: Response = await send(path, { method: "GET" });
    const { results, next } = await response.json();
    lengths.push(results.length);
    for (const { id } of results) seen.add(id);
    path = next;
    if (path !== null) assert.match(path, /^http:\/\/localhost\/v1\/predictions\?cursor=/);
  }
  assert.deepEqual([lengths, seen.size], [[100, 100, 50], 250]);
  for (const cursor of ["none", "..%2F", ""]) {
    const response = await send(`/predictions?cursor=${cursor}`, { method: "GET" });
    assert.deepEqual((await response.json()).results, []);
  }
});

Deno.test("files that have an address are given by it, also to a webhook", async () => {
  const { jobs, send } = start({ finishAtOnce: true });
  const linked = Object.assign(jobs, {
    link: (id: string, name: string) => Promise.resolve(`https://files/${id}/${name}`),
  });
  const webhook = "https://client/hook";
  const filter = ["completed"];
  const made = await answer(
    send("/v1/predictions", { body: { ...STAR, webhook, webhook_events_filter: filter } }),
    201,
  );
  assert.deepEqual(made.output, ["https://files/job-1/0.png"]);
  const job = (await jobs.get("job-1"))!;
  assert.deepEqual(job.webhook, { url: webhook, events: filter });
  const sign = (path: string) => path;
  assert.deepEqual(await cogWebhookBody(job, { jobs: linked, sign }), made);
  const [listed] = (await (await send("/predictions", { method: "GET" })).json()).results;
  assert.deepEqual(listed.output, made.output);
});

Deno.test("Replicate gives signed addresses of files and streams, Cog files themselves", async () => {
  const jobs = new FakeJobs({ finishAtOnce: true });
  const app = appOf(jobs, [native, ...PROTOCOLS], { token: TOKEN, publicUrl: HTTPS });
  const headers = { Authorization: `Bearer ${TOKEN}` };
  const make = async (path: string) => {
    const response = await app.request(path, posted(STAR, { ...headers, Prefer: "wait" }));
    return await answer(response, path === "/predictions" ? 200 : 201);
  };
  const made = await make("/v1/predictions");
  const signed = "\\?until=\\d+&signature=[\\w-]{43}$";
  assert.match(made.output![0]!, new RegExp(`^${HTTPS}/jobs/job-1/files/0.png${signed}`));
  assert.match(made.urls.stream, new RegExp(`^${HTTPS}/v1/predictions/job-1/stream${signed}`));
  assert.equal(made.urls.get, `${HTTPS}/v1/predictions/job-1`);
  const file = await app.request(made.output![0]!);
  assert.deepEqual((await file.bytes()).subarray(1, 4), PNG);
  const [output, done] = await events(await app.request(made.urls.stream));
  assert.deepEqual([output, done], [["output", made.output![0]!], ["done", "{}"]]);
  const embedded = await make("/predictions");
  assert.match(embedded.output![0]!, /^data:image\/png;base64,/);
  const [first] = await events(await app.request(embedded.urls.stream));
  assert.deepEqual(first, ["output", embedded.output![0]!]);
  const webhook = async (id: string, note?: unknown) => {
    const job = (await jobs.get(id))!;
    const told = note === undefined ? job : { ...job, note };
    return await cogWebhookBody(told, { jobs, sign: (path) => ADDRESSES.sign(path) });
  };
  assert.deepEqual(await webhook(made.id), made);
  assert.deepEqual(await webhook(embedded.id), embedded);
  const { output: nowhere } = await webhook(made.id, { input: {}, version: null });
  assert.match(nowhere![0]!, /^data:image\/png;base64,/);
  const list = await app.request("/v1/predictions", { headers });
  const { results } = await list.json();
  assert.deepEqual(results[1].output, made.output);
});

Deno.test("a preview in a stream is the file itself, for the next one takes its place", async () => {
  const jobs = new FakeJobs();
  const app = appOf(jobs, [native, ...PROTOCOLS], { publicUrl: HTTPS });
  const { id, urls } = await answer(app.request("/v1/predictions", posted(STAR)), 202);
  const heard = events(await app.request(`${urls.stream}?previews=true`));
  const without = events(await app.request(urls.stream));
  jobs.begin(id);
  await jobs.preview(id);
  await jobs.picture(id);
  jobs.finish(id);
  const [preview, output, ...rest] = await heard;
  assert.match(preview!.join(), /^preview,data:image\/png;base64,/);
  assert.deepEqual(output, ["output", `${HTTPS}/jobs/${id}/files/0.png`]);
  assert.deepEqual(await without, [output, ...rest]);
});

Deno.test("without a filter a webhook hears of everything", async () => {
  const { jobs, send } = start();
  await send("/v1/predictions", { body: { ...STAR, webhook: "http://client/" } });
  const [job] = await jobs.list() as [Job];
  assert.deepEqual(job.webhook!.events, ["start", "output", "logs", "completed"]);
});

Deno.test("a prediction that failed says why", async () => {
  const { jobs, send } = start();
  const { next } = jobs;
  const answered = send("/predictions");
  const { id } = await next;
  jobs.begin(id);
  jobs.finish(id, { code: "refused", message: "It was refused." });
  const { status, error, output } = await answer(answered, 200);
  assert.deepEqual({ status, error, output }, {
    status: "failed",
    error: "It was refused.",
    output: null,
  });
});

Deno.test("Cog streams a new prediction", async () => {
  const { jobs, send } = start();
  const { next } = jobs;
  const response = await send("/predictions", { headers: { accept: "text/event-stream" } });
  const { id } = await next;
  const heard = events(response);
  jobs.begin(id);
  jobs.progress(id, 4);
  await jobs.preview(id);
  await jobs.picture(id);
  jobs.finish(id);
  const [first, log, preview, output, completed, ...rest] = (await heard)
    .map(([name, data]) => [name, JSON.parse(data)]);
  assert.deepEqual(first, ["start", { id, status: "processing" }]);
  assert.deepEqual(log, ["log", { source: "stdout", data: "20%|██        | 4/20\n" }]);
  assert.equal(preview![0], "preview");
  assert.match(preview![1].chunk, /^data:image\/png;base64,/);
  assert.equal(output![0], "output");
  assert.equal(output![1].index, 0);
  assert.equal(completed![0], "completed");
  assert.deepEqual(completed![1].output, [output![1].chunk]);
  assert.equal(completed![1].status, "succeeded");
  assert.deepEqual(rest, []);
});

Deno.test("Replicate streams predictions from their address, to any end", async () => {
  const { jobs, send } = start();
  const stream = async (end: (id: string) => unknown) => {
    const { id, urls } = await answer(send("/v1/predictions"), 202);
    jobs.begin(id);
    await jobs.picture(id);
    await end(id);
    return await events(await send(urls.stream, { method: "GET" }));
  };
  const output = (event: string) => event === "output";
  const well = await stream((id) => jobs.finish(id));
  assert.deepEqual(well.map(([event]) => event), ["output", "done"]);
  assert.match(well[0]![1], /^http:\/\/localhost\/jobs\/job-1\/files\/0\.png$/);
  assert.equal(well[1]![1], "{}");
  const canceled = await stream((id) => jobs.cancel(id));
  assert.deepEqual(canceled.filter(([event]) => !output(event)), [
    ["done", `{"reason":"canceled"}`],
  ]);
  const failed = await stream((id) => jobs.finish(id, { code: "timeout", message: "Too long." }));
  assert.deepEqual(failed.filter(([event]) => !output(event)), [["error", "Too long."]]);
});

Deno.test("a stream goes on after the event that a client has heard last, and ends once", async () => {
  const { jobs, send } = start();
  const { id, urls } = await answer(send("/v1/predictions"), 202);
  const listen = (after?: string) =>
    send(urls.stream, {
      method: "GET",
      headers: after === undefined ? {} : { "last-event-id": after },
    });
  const ids = async (response: Response) =>
    [...(await response.text()).matchAll(/^event: (\w+)\n(?:data: .*\n)+id: (.+)$/gm)]
      .map(([, event, id]) => `${event} ${id}`);
  const first = await listen();
  jobs.begin(id);
  jobs.progress(id, 4);
  await jobs.picture(id);
  // Another worker begins the job again: nothing is told twice.
  jobs.progress(id, 4);
  jobs.progress(id, 5);
  await jobs.picture(id);
  const rest = await listen("1:5");
  jobs.finish(id);
  const all = ["logs 0:5", "output 1:5", "logs 1:6", "output 2:6", "done end"];
  assert.deepEqual(await ids(first), all);
  assert.deepEqual(await ids(rest), ["output 2:5", "done end"]);
  // Lines of the log tell of what is going on only.
  const outputs = ["output 1:0", "output 2:0", "done end"];
  assert.deepEqual(await ids(await listen()), outputs);
  assert.deepEqual(await ids(await listen("1:0")), outputs.slice(1));
  assert.deepEqual(await ids(await listen("2:6")), ["done end"]);
  assert.deepEqual(await ids(await listen("of another server")), outputs);
  assert.equal((await listen("end")).status, 204);
});

Deno.test("a prediction that is made once more has another end", async () => {
  const { jobs, send } = start();
  const { id, urls } = await answer(send("/v1/predictions"), 202);
  await jobs.cancel(id);
  await jobs.retry(id);
  const heard = await send(urls.stream, { method: "GET", headers: { "last-event-id": "end" } });
  jobs.begin(id);
  jobs.finish(id);
  assert.deepEqual(await events(heard), [["done", "{}"]]);
});

Deno.test("null in the envelope is as good as nothing", async () => {
  const nothing = {
    id: null,
    version: null,
    webhook: null,
    webhook_completed: null,
    webhook_events_filter: null,
    stream: null,
    output_file_prefix: null,
  };
  for (const path of ["/predictions", "/v1/predictions", "/v1/models/mdm/shapes32/predictions"]) {
    const { jobs, send } = start({ finishAtOnce: true });
    const { id, version } = await answer(
      send(path, { body: { ...STAR, ...nothing } }),
      path === "/predictions" ? 200 : 201,
    );
    assert.deepEqual([id, version], ["job-1", VERSION.id], path);
    const job = (await jobs.get(id))!;
    assert.equal(job.webhook, null);
    const told = { ...STAR, ...nothing, webhook: "http://client/" };
    await send(path, { body: told });
    assert.equal((await jobs.get("job-2"))!.webhook!.events.length, 4);
  }
});

Deno.test("a webhook of what is completed", async () => {
  const { jobs, send } = start();
  const completed = { webhook_completed: "http://client/end" };
  await send("/v1/predictions", { body: { ...STAR, ...completed } });
  await send("/v1/predictions", { body: { ...STAR, ...completed, webhook: "http://client/" } });
  const [both, one] = await jobs.list();
  assert.deepEqual(one!.webhook, { url: "http://client/end", events: ["completed"] });
  assert.equal(both!.webhook!.url, "http://client/");
});

Deno.test("who leaves a stream is not listened for any more, and stops nothing", async () => {
  const { jobs, send } = start();
  const { next } = jobs;
  const response = await send("/predictions", { headers: { accept: "text/event-stream" } });
  const { id } = await next;
  const reader = response.body!.getReader();
  jobs.begin(id);
  await reader.read();
  assert.equal(jobs.listeners, 1);
  await reader.cancel();
  jobs.progress(id, 1);
  await jobs.wait(id, 0);
  assert.equal(jobs.listeners, 0);
  assert.equal((await jobs.get(id))!.state, "running");
});

Deno.test("the health of a worker in Cog's words", async () => {
  const { jobs, send } = start({ health: { worker: "starting", reason: "Weights are read." } });
  const health = async () => await (await send("/health-check", { method: "GET" })).json();
  assert.deepEqual(await health(), {
    status: "STARTING",
    setup: { status: "starting", logs: "Weights are read." },
  });
  jobs.reason = null;
  const status = async (worker: typeof jobs.worker) => {
    jobs.worker = worker;
    return (await health()).status;
  };
  assert.equal(await status("ready"), "READY");
  assert.equal(await status("none"), "READY");
  assert.equal(await status("draining"), "BUSY");
  assert.equal(await status("failed"), "DEFUNCT");
  for (let k = 0; k < 4; k++) {
    jobs.begin((await answer(send("/v1/predictions"), 202)).id);
  }
  assert.equal(await status("ready"), "BUSY");
  const real = jobs.knownHealth();
  jobs.knownHealth = () => ({ ...real, worker: "failed", stepMs: null });
  assert.equal((await health()).status, "SETUP_FAILED");
  jobs.knownHealth = () => ({ ...real, away: "Cannot use the queue: it is away." });
  assert.deepEqual(await health(), {
    status: "UNHEALTHY",
    setup: { status: "succeeded", logs: "" },
    user_healthcheck_error: "Cannot use the queue: it is away.",
  });
});

Deno.test("the OpenAPI document says what a model takes and gives", async () => {
  const { send } = start();
  const { paths, components } = await (await send("/openapi.json", { method: "GET" })).json();
  const { Input, Output } = components.schemas;
  assert.deepEqual(Input.required, ["prompt"]);
  assert.deepEqual(Output, {
    title: "Output",
    type: "array",
    items: { type: "string", format: "uri" },
  });
  const { properties } = components.schemas.PredictionResponse;
  assert.match(JSON.stringify(properties.output), /#\/components\/schemas\/Output.*null/);
  for (const path of ["/health-check", "/predictions", "/predictions/{id}/cancel"]) {
    assert.ok(path in paths && `/v1${path}` in paths, path);
  }
});

/** A server on loopback, and Replicate's client. */
async function withClient(
  use: (client: Replicate, jobs: FakeJobs) => Promise<void>,
  { base = "/v1", ...options }: FakeOptions & { base?: string } = {},
): Promise<void> {
  const { jobs, app } = start(options);
  await listening(app, async (url) => {
    const baseUrl = `${url}${base}`;
    await use(new Replicate({ auth: "token", baseUrl, useFileOutput: false }), jobs);
  });
}

Deno.test("Replicate's client makes, reads, lists and cancels predictions", () =>
  withClient(async (client, jobs) => {
    const made = await client.predictions.create({ version: VERSION.id, input: STAR.input });
    assert.equal(made.status, "starting");
    jobs.begin(made.id);
    jobs.progress(made.id, 5);
    const seen = await client.predictions.get(made.id);
    assert.equal(seen.status, "processing");
    assert.deepEqual(parseProgressFromLogs(seen), {
      percentage: 0.25,
      current: 5,
      total: 20,
    });
    assert.equal((await client.predictions.cancel(made.id)).status, "canceled");
    assert.deepEqual((await client.predictions.list()).results.map(({ id }) => id), [made.id]);
  }));

Deno.test("Replicate's client runs a model, and waits past an expired wait", () =>
  withClient(async (client, jobs) => {
    const { next } = jobs;
    const seen: string[] = [];
    const output = client.run("mdm/shapes32", { input: STAR.input }, ({ status }) => {
      seen.push(status);
      if (status === "starting") void next.then(({ id }) => jobs.make(id));
    });
    assert.match(String((await output as string[])[0]), /^data:image\/png;base64,/);
    assert.deepEqual([seen[0], seen.at(-1)], ["starting", "succeeded"]);
  }, { limits: { waitMs: 1 } }));

Deno.test("Replicate's client runs a version without a wait for it, on Cog's paths as well", () =>
  withClient(async (client) => {
    const output = await client.run("mdm/shapes32:v1", { input: STAR.input });
    assert.equal((output as string[]).length, 1);
  }, { finishAtOnce: true, base: "" }));

Deno.test("Replicate's client makes files of results", () =>
  withClient(async (client) => {
    const files = new Replicate({ auth: "token", baseUrl: client.baseUrl! });
    const [file] = await files.run("mdm/shapes32", { input: STAR.input }) as [Blob];
    assert.deepEqual((await new Response(file as never).bytes()).subarray(1, 4), PNG);
  }, { finishAtOnce: true }));

Deno.test("Replicate's client streams a prediction", () =>
  withClient(async (client, jobs) => {
    const { next } = jobs;
    const made = next.then(({ id }) => jobs.make(id));
    const heard: string[] = [];
    for await (const { event } of client.stream("mdm/shapes32", { input: STAR.input })) {
      heard.push(event);
    }
    await made;
    assert.deepEqual(heard.filter((event) => event !== "logs"), ["output", "done"]);
  }));

Deno.test("Replicate's client streams from a server with a token, and fetches files", async () => {
  const jobs = new FakeJobs({ finishAtOnce: true });
  const app = appOf(jobs, [native, ...PROTOCOLS], { token: TOKEN, publicUrl: HTTPS });
  await listening(app, async (url) => {
    const client = new Replicate({
      auth: TOKEN,
      baseUrl: `${HTTPS}/v1`,
      // In the place of a proxy that speaks TLS.
      fetch: (input, init) => fetch(String(input).replace(HTTPS, url), init),
    });
    const heard: string[] = [];
    for await (const { event, data } of client.stream("mdm/shapes32", { input: STAR.input })) {
      heard.push(event === "output" ? data : event);
    }
    assert.match(heard[0]!, /^https:\/\/mdm\.example\/jobs\/job-1\/files\/0\.png\?until=/);
    assert.deepEqual(heard.slice(1), ["done"]);
    const [file] = await client.run("mdm/shapes32", { input: STAR.input }) as [FileOutput];
    assert.equal(file.url().pathname, "/jobs/job-2/files/0.png");
    assert.deepEqual((await (await file.blob()).bytes()).subarray(1, 4), PNG);
  });
});

Deno.test("a connection that is cut cancels what it waits for", () =>
  withClient(async (client, jobs) => {
    const { next } = jobs;
    const gone = new AbortController();
    const made = client.predictions.create({
      version: VERSION.id,
      input: STAR.input,
      wait: 30,
      signal: gone.signal,
    });
    const { id } = await next;
    gone.abort();
    await assert.rejects(made, { name: "AbortError" });
    assert.equal((await jobs.wait(id, 10_000))!.state, "canceled");
  }));

Deno.test("Replicate's client is told of what is wrong, and of what failed", () =>
  withClient(async (client, jobs) => {
    const input = { prompt: "" };
    await assert.rejects(
      client.predictions.create({ model: "mdm/shapes32", input }),
      /422 .*"field":"input\.prompt"/,
    );
    await assert.rejects(client.predictions.get("none"), /404 .*no such job/);
    const made = await client.predictions.create({ model: "mdm/shapes32", input: STAR.input });
    jobs.begin(made.id);
    jobs.finish(made.id, { code: "failed", message: "The device was lost." });
    await assert.rejects(client.wait(made, {}), /Prediction failed: The device was lost\./);
  }));

Deno.test("without the token Replicate's client is refused", () => {
  const app = appOf(new FakeJobs(), PROTOCOLS, { token: "secret" });
  return listening(app, async (url) => {
    const client = new Replicate({ auth: "wrong", baseUrl: `${url}/v1` });
    await assert.rejects(
      client.predictions.list(),
      /401 .*"detail":"The token is not the server's/,
    );
    const right = new Replicate({ auth: "secret", baseUrl: `${url}/v1` });
    assert.deepEqual((await right.predictions.list()).results, []);
    assert.equal((await app.request("/health-check")).status, 200);
  });
});

const PNG = new TextEncoder().encode("PNG");
