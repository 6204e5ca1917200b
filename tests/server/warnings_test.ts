/** What should be known of a job although it is no error, in every protocol. */
import assert from "../assert.ts";
import { cog } from "../../src/server/protocols/replicate/cog.ts";
import { openai } from "../../src/server/protocols/openai/openai.ts";
import { native } from "../../src/server/protocols/native/native.ts";
import { replicate } from "../../src/server/protocols/replicate/replicate.ts";
import { runpod } from "../../src/server/protocols/runpod/runpod.ts";
import { FakeJobs, MODEL } from "./fake_jobs.ts";
import { appOf, eventsOf, posted } from "./server.ts";

const CUT = "The prompt was cut.";
const STAR = { prompt: "a star", seed: 7 };

/** A server whose jobs succeed at once, with warnings. */
function start(warnings: readonly string[], model = MODEL) {
  const jobs = new FakeJobs({ model });
  const app = appOf(jobs, [native, cog, replicate({ secret: "whsec_secret" }), runpod, openai]);
  const json = async (path: string, body?: unknown) => {
    if (body !== undefined) {
      void jobs.next.then(async ({ id }) => {
        jobs.begin(id);
        if (warnings.length > 0) jobs.warn(id, ...warnings);
        await jobs.picture(id);
        jobs.finish(id);
      });
    }
    const response = await app.request(path, body === undefined ? {} : posted(body));
    return await response.json();
  };
  return { jobs, app, json };
}

Deno.test("a warning is said in every protocol, where its answers have room", async () => {
  const { app, json } = start([CUT]);
  const predicted = await json("/predictions", { input: STAR });
  assert.match(predicted.logs, /^Using seed: 7\nWarning: The prompt was cut\.\n/);
  assert.deepEqual((await json(`/jobs/${predicted.id}`)).warnings, [CUT]);
  assert.deepEqual((await json("/v2/x/runsync", { input: STAR })).output.warnings, [CUT]);
  assert.deepEqual((await json("/v1/images/generations", STAR)).warnings, [CUT]);
  const stream = await app.request(`/v1/predictions/${predicted.id}/stream`);
  assert.match(await stream.text(), /^event: logs\ndata: Warning: The prompt was cut\./m);
});

Deno.test("pictures that are streamed say it with the picture", async () => {
  const { jobs, app } = start([]);
  void jobs.next.then(async ({ id }) => {
    jobs.begin(id);
    jobs.warn(id, CUT);
    await jobs.picture(id);
    jobs.finish(id);
  });
  const body = { ...STAR, stream: true };
  const events = await Array.fromAsync(
    eventsOf(await app.request("/v1/images/generations", posted(body))),
  );
  assert.deepEqual(events.map(({ event, data }) => [event, data.warnings]), [
    ["image_generation.completed", [CUT]],
  ]);
});

Deno.test("of a video it stands in the video", async () => {
  const { jobs, json } = start([], { ...MODEL, makes: "videos", frames: 16 });
  const { id, ...video } = await json("/v1/videos", STAR);
  assert.equal("warnings" in video, false);
  jobs.warn(id, CUT);
  assert.deepEqual((await json(`/v1/videos/${id}`)).warnings, [CUT]);
});

Deno.test("where there is none nothing is said", async () => {
  const { json } = start([]);
  const predicted = await json("/predictions", { input: STAR });
  assert.doesNotMatch(predicted.logs, /Warning/);
  assert.deepEqual((await json(`/jobs/${predicted.id}`)).warnings, []);
  assert.equal("warnings" in (await json("/v2/x/runsync", { input: STAR })).output, false);
  assert.equal("warnings" in await json("/v1/images/generations", STAR), false);
});
