import assert from "../../../assert.ts";
import Replicate from "replicate";
import { cog } from "../../../../src/server/protocols/replicate/cog.ts";
import { modelList } from "../../../../src/server/protocols/model_list.ts";
import { openai } from "../../../../src/server/protocols/openai/openai.ts";
import { native } from "../../../../src/server/protocols/native/native.ts";
import { replicate } from "../../../../src/server/protocols/replicate/replicate.ts";
import { FakeJobs, VERSION } from "../../fake_jobs.ts";
import { appOf, listening, posted } from "../../server.ts";

const SECRET = "whsec_c2VjcmV0";
const PROTOCOLS = [native, cog, replicate({ secret: SECRET }), modelList, openai] as const;
const STAR = { input: { prompt: "a star", seed: 7 } };

function start(token: string | null = null) {
  const jobs = new FakeJobs();
  const app = appOf(jobs, PROTOCOLS, { token });
  const get = async (path: string, init: RequestInit = {}) => {
    const response = await app.request(path, init);
    return {
      status: response.status,
      type: response.headers.get("content-type"),
      body: await response.json(),
    };
  };
  return { jobs, app, get };
}

Deno.test("the model and its one version", async () => {
  const { jobs, get } = start();
  await jobs.submit({ prompts: ["x"], count: 1, seed: "1", levels: false, preview: false });
  const { body: { latest_version: version, ...model } } = await get("/v1/models/mdm/shapes32");
  assert.deepEqual(model, {
    url: "http://localhost/",
    owner: "mdm",
    name: "shapes32",
    description: "Makes pictures of 32x32 from text: a Matryoshka Diffusion Model.",
    visibility: "private",
    github_url: null,
    paper_url: "https://arxiv.org/abs/2310.15111",
    license_url: null,
    run_count: 1,
    cover_image_url: null,
    default_example: null,
  });
  const { openapi_schema: schema, ...rest } = version;
  assert.deepEqual(rest, {
    id: VERSION.id,
    created_at: "2026-01-02T00:00:00.000Z",
    cog_version: "0.16.0",
  });
  const { Input, Output } = schema.components.schemas;
  assert.deepEqual(Output.items, { type: "string", format: "uri" });
  const fields = Object.entries<{ "x-order": number }>(Input.properties);
  assert.equal(fields[0]![0], "prompt");
  assert.deepEqual(fields.map(([, field]) => field["x-order"]), fields.map((_, k) => k));
  assert.ok("/predictions" in schema.paths);
  const path = "/v1/models/mdm/shapes32/versions";
  assert.deepEqual((await get(path)).body, { previous: null, next: null, results: [version] });
  assert.deepEqual((await get(`${path}/${VERSION.id}`)).body, version);
});

Deno.test("one list of models for the clients of OpenAI and of Replicate", async () => {
  const { get } = start();
  const { body: { created: _, ...openai } } = await get("/v1/models/shapes32");
  const { body: model } = await get("/v1/models/mdm/shapes32");
  const { body: { object, data: [{ created, ...entry }], ...page } } = await get("/v1/models");
  assert.ok(created > 0);
  assert.deepEqual([object, entry], ["list", openai]);
  assert.deepEqual(page, { previous: null, next: null, results: [model] });
  const { status, body } = await start("secret").get("/v1/models");
  assert.deepEqual([status, body.status, body.detail], [401, 401, body.error.message]);
  assert.equal(body.error.type, "authentication_error");
});

Deno.test("models are found by words of their names", async () => {
  const { get } = start();
  const found = async (body: string) =>
    (await get("/v1/models", { method: "QUERY", body })).body.results.length;
  assert.deepEqual(
    [
      await found("SHAPES32"),
      await found("mdm pictures"),
      await found(""),
      await found("mdm llama"),
      await found('"shapes32"'),
    ],
    [1, 1, 1, 0, 1],
  );
});

Deno.test("a prediction that was tried again counts once", async () => {
  const { jobs, get } = start();
  const request = { prompts: ["x"], count: 1, seed: "1", levels: false, preview: false };
  const { id } = await jobs.submit(request);
  await jobs.cancel(id);
  await jobs.retry(id);
  assert.equal((await jobs.health()).jobs.retried, 1);
  assert.equal((await get("/v1/models/mdm/shapes32")).body.run_count, 1);
});

Deno.test("another model or version is none that is here", async () => {
  const { app, jobs, get } = start();
  for (const path of ["", "/versions", `/versions/${VERSION.id}`]) {
    const { status, type, body } = await get(`/v1/models/me/shapes32${path}`);
    assert.deepEqual([status, type], [404, "application/problem+json"]);
    assert.deepEqual(body, {
      title: "Not Found",
      detail: `There is no such model: "mdm/shapes32" is the one here.`,
      status: 404,
    });
  }
  const { body } = await get("/v1/models/mdm/shapes32/versions/v1");
  assert.equal(body.detail, `There is no such version: "${VERSION.id}" is the one here.`);
  const asked = async (version: string, path = "/v1/predictions") => {
    const response = await app.request(
      path,
      posted({ ...STAR, version }, { prefer: "respond-async" }),
    );
    return { status: response.status, body: await response.json() };
  };
  const old = "a".repeat(64);
  for (
    const version of [
      VERSION.id,
      "mdm/shapes32",
      `mdm/shapes32:${VERSION.id}`,
      // Of another model of that name: what answers is told.
      old,
      `mdm/shapes32:${old}`,
    ]
  ) {
    const { status, body } = await asked(version);
    assert.deepEqual([status, body.version, body.model], [202, VERSION.id, "mdm/shapes32"]);
  }
  const others = [
    "v1",
    "me/shapes32",
    `me/shapes32:${VERSION.id}`,
    "mdm/shapes32:v1",
    "mdm/shapes32:",
    "",
  ];
  for (const version of others) {
    const { status, body } = await asked(version);
    assert.deepEqual([status, body], [422, {
      title: "Unprocessable Entity",
      detail: `There is no such version: give "mdm/shapes32:${VERSION.id}", or leave it out.`,
      status: 422,
    }]);
  }
  assert.equal((await jobs.list()).length, 5);
  assert.equal((await get(`/v1/models/mdm/shapes32/versions/${old}`)).body.id, VERSION.id);
  // Cog has no versions: what it is told of them is not looked at.
  assert.deepEqual((await asked("v1", "/predictions")).body.version, VERSION.id);
});

Deno.test("a prediction keeps the version that made it", async () => {
  const { jobs, get } = start();
  const request = { prompts: ["x"], count: 1, seed: "1", levels: false, preview: false };
  const note = { input: {}, version: "older", api: { publicUrl: "", prefix: "" } };
  const made = await jobs.submit(request, { origin: "cog", note });
  const other = await jobs.submit(request, { origin: "openai" });
  const version = async (id: string) => (await get(`/v1/predictions/${id}`)).body.version;
  assert.deepEqual([await version(made.id), await version(other.id)], ["older", VERSION.id]);
});

Deno.test("what is wrong is said as Replicate does", async () => {
  const { app } = start();
  const wrong = async (body: unknown, headers: Record<string, string> = {}) => {
    const response = await app.request("/v1/predictions", posted(body, headers));
    assert.equal(response.headers.get("content-type"), "application/problem+json");
    const problem = await response.json();
    assert.equal(problem.status, response.status);
    return problem;
  };
  const { title, detail, status, invalid_fields: fields } = await wrong({
    input: { num_outputs: 0, colour: 1 },
  });
  assert.deepEqual([title, status], ["Input validation failed", 422]);
  assert.deepEqual(
    fields.map(({ field, type }: { field: string; type: string }) => [field, type]),
    [["input.colour", "invalid"], ["input.prompt", "invalid"], ["input.num_outputs", "invalid"]],
  );
  assert.deepEqual(
    detail.split("\n"),
    fields.map((one: { field: string; description: string }) =>
      `- ${one.field}: ${one.description}`
    ),
  );
  assert.equal((await wrong(STAR, { "content-type": "text/plain" })).status, 415);
  const response = await app.request("/v1/predictions", { ...posted({}), body: "{" });
  assert.equal((await response.json()).status, 400);
});

Deno.test("the account, the hardware and the secret of webhooks", async () => {
  const { get } = start();
  assert.equal((await get("/v1/account")).body.username, "mdm");
  assert.deepEqual((await get("/v1/hardware")).body, [{ sku: "mdm", name: "This server" }]);
  assert.deepEqual((await get("/v1/webhooks/default/secret")).body, { key: SECRET });
  assert.equal((await start("secret").get("/v1/webhooks/default/secret")).status, 401);
});

Deno.test("what Replicate has beside models is empty here, or says what to do", async () => {
  const { app, get } = start();
  for (const path of ["collections", "deployments", "trainings", "files"]) {
    const { body } = await get(`/v1/${path}`);
    assert.deepEqual(body, { previous: null, next: null, results: [] }, path);
  }
  const file = new FormData();
  file.set("content", new Blob(["hello"]), "hello.txt");
  const refused = await app.request("/v1/files", { method: "POST", body: file });
  const { detail, status } = await refused.json();
  assert.deepEqual(
    [refused.status, status, detail],
    [422, 422, "No input of the model takes a file: leave it out."],
  );
});

Deno.test("Token and Bearer are the same", async () => {
  const { get } = start("secret");
  const status = async (Authorization: string) =>
    (await get("/v1/account", { headers: { Authorization } })).status;
  for (const scheme of ["Bearer", "Token", "token"]) {
    assert.deepEqual([await status(`${scheme} secret`), await status(`${scheme} other`)], [
      200,
      401,
    ]);
  }
  assert.equal(await status("Basic secret"), 401);
});

Deno.test("Replicate's client for JavaScript asks for models, versions and files", () =>
  listening(start("secret").app, async (url) => {
    const client = new Replicate({ auth: "secret", baseUrl: `${url}/v1` });
    const { latest_version: version } = await client.models.get("mdm", "shapes32");
    assert.equal(version!.id, VERSION.id);
    assert.deepEqual((await client.models.list()).results.map(({ name }) => name), ["shapes32"]);
    const versions = await client.models.versions.list("mdm", "shapes32");
    assert.deepEqual((versions as unknown as { results: unknown[] }).results, [version]);
    assert.deepEqual(await client.models.versions.get("mdm", "shapes32", VERSION.id), version);
    assert.equal((await client.accounts.current()).username, "mdm");
    assert.equal((await client.webhooks.default.secret.get()).key, SECRET);
    assert.deepEqual((await client.collections.list()).results, []);
    assert.deepEqual(
      ((await client.files.list()) as unknown as { results: unknown[] }).results,
      [],
    );
    await assert.rejects(client.files.create(new Blob(["x"])), /422 .*takes a file/);
  }));
