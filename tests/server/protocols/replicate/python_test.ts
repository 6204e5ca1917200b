/** What Python's `replicate` 1.0.7 sends, as it was recorded (`tests/oracle/record_replicate.py`): its classes can be made of each answer. */
import assert from "../../../assert.ts";
import { z } from "../../../../src/deps/zod_openapi.ts";
import { cog } from "../../../../src/server/protocols/replicate/cog.ts";
import { modelList } from "../../../../src/server/protocols/model_list.ts";
import { openai } from "../../../../src/server/protocols/openai/openai.ts";
import { native } from "../../../../src/server/protocols/native/native.ts";
import { replicate } from "../../../../src/server/protocols/replicate/replicate.ts";
import calls from "../../../fixtures/replicate_python/calls.json" with { type: "json" };
import { FakeJobs, VERSION } from "../../fake_jobs.ts";
import { appOf } from "../../server.ts";

const PROTOCOLS = [
  native,
  cog,
  replicate({ secret: "whsec_c2VjcmV0" }),
  modelList,
  openai,
] as const;

const anObject = z.record(z.string(), z.unknown());
const text = z.string();
const maybe = <T extends z.ZodType>(type: T) => type.nullish();
const pageOf = (type: z.ZodType) =>
  z.object({ previous: maybe(text), next: maybe(text), results: z.array(type) });

const Prediction = z.object({
  id: text,
  model: text,
  version: text,
  status: z.enum(["starting", "processing", "succeeded", "failed", "canceled"]),
  input: maybe(anObject),
  logs: maybe(text),
  error: maybe(text),
  metrics: maybe(anObject),
  created_at: maybe(text),
  started_at: maybe(text),
  completed_at: maybe(text),
  urls: maybe(z.record(text, text)),
});

const Version = z.object({
  id: text,
  created_at: z.iso.datetime(),
  cog_version: text.regex(/^\d+\.\d+\.\d+$/),
  openapi_schema: z.object({
    components: z.object({ schemas: z.object({ Input: anObject, Output: anObject }) }),
  }),
});

const Model = z.object({
  url: text,
  owner: text,
  name: text,
  description: maybe(text),
  visibility: z.enum(["public", "private"]),
  github_url: maybe(text),
  paper_url: maybe(text),
  license_url: maybe(text),
  run_count: z.int(),
  cover_image_url: maybe(text),
  default_example: maybe(Prediction),
  latest_version: maybe(Version),
});

/** The package's classes, with what pydantic wants of each field. */
const CLASSES: Readonly<Record<string, z.ZodType>> = {
  Prediction,
  Version,
  Model,
  "Page": pageOf(z.never()),
  "Page[Prediction]": pageOf(Prediction),
  "Page[Model]": pageOf(Model),
  "Page[Version]": pageOf(Version),
  "Account": z.object({
    type: z.enum(["user", "organization"]),
    username: text,
    name: text,
    github_url: maybe(text),
  }),
  "Hardware[]": z.array(z.object({ sku: text, name: text })),
  "WebhookSigningSecret": z.object({ key: text.regex(/^[^_]+_[^_]+$/) }),
};

/** What the package's decoder makes of events: it fails at other names, and passes over events that have no id. */
function checkEvents(events: string): void {
  const blocks = events.split("\n\n").filter((block) => block !== "" && !block.startsWith(":"));
  const names = blocks.map((block) => {
    const [, name] = /^event: (output|logs|error|done)$/m.exec(block) ?? [];
    assert.ok(name, block);
    assert.match(block, /^id: ./m);
    // A text that begins so becomes a file, which `str(event)` cannot return.
    if (name === "output") assert.match(block, /^data: http:/m);
    return name;
  });
  assert.equal(names.at(-1), "done");
}

for (const { call, exchanges } of calls) {
  Deno.test(`Python's replicate: ${call}`, async () => {
    const app = appOf(new FakeJobs({ finishAtOnce: true }), PROTOCOLS, { token: "secret" });
    const last = { id: "none", query: "" };
    for (const { method, path, headers, body, gives } of exchanges) {
      const put = (template: string) =>
        template.replace("{id}", last.id).replace("{query}", last.query)
          .replace("{version}", VERSION.id);
      const form = new FormData();
      form.set("content", new Blob(["hello"]), "file");
      const { "content-type": type, ...rest } = headers as Record<string, string>;
      const isForm = type === "multipart/form-data";
      const response = await app.request(put(path), {
        method,
        headers: { ...rest, ...!isForm && type && { "content-type": type } },
        body: isForm ? form : body && put(body),
      });
      const answer = await response.text();
      const what = `${method} ${path}: ${response.status} ${answer}`;
      if (typeof gives === "number") {
        assert.equal(response.status, gives, what);
        const { title, detail, status } = JSON.parse(answer);
        assert.deepEqual([typeof title, typeof detail, status], ["string", "string", gives]);
        continue;
      }
      assert.ok(response.ok, what);
      if (gives === "ServerSentEvent") {
        assert.equal(response.headers.get("content-type"), "text/event-stream");
        checkEvents(answer);
        continue;
      }
      const json = JSON.parse(answer);
      const { error } = CLASSES[gives]!.safeParse(json);
      assert.equal(error, undefined, what);
      if (gives === "Prediction") {
        last.id = json.id;
        last.query = new URL(json.urls.stream).search;
        assert.equal(json.version, VERSION.id);
      }
    }
  });
}
