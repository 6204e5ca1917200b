/** What the official client and others of OpenAI's API get. */
import assert from "../../../assert.ts";
import OpenAI from "openai";
import type { JobError } from "../../../../src/jobs/job.ts";
import { modelList } from "../../../../src/server/protocols/model_list.ts";
import { openai } from "../../../../src/server/protocols/openai/openai.ts";
import { within } from "../../../within.ts";
import { native } from "../../../../src/server/protocols/native/native.ts";
import { readPng } from "../../../media/png_pixels.ts";
import { FakeJobs, type FakeOptions, MODEL } from "../../fake_jobs.ts";
import { appOf, eventsOf, listening, posted } from "../../server.ts";

const VIDEOS = { ...MODEL, name: "balloons", makes: "videos", frames: 16 } as const;
const PNG = "iVBORw0KGgo";

/** Lets the official client talk to a server. */
async function withClient(
  options: FakeOptions,
  use: (client: OpenAI, jobs: FakeJobs, url: string) => Promise<void>,
): Promise<void> {
  const jobs = new FakeJobs(options);
  await listening(appOf(jobs, [native, modelList, openai], { token: "secret" }), async (url) => {
    const client = new OpenAI({ apiKey: "secret", baseURL: `${url}/v1`, maxRetries: 0 });
    await within(10, "the client's test", use(client, jobs, url));
  });
}

Deno.test("the official client gets pictures", async () => {
  await withClient({ finishAtOnce: true }, async (client, jobs) => {
    const { data, created, output_format, size } = await client.images.generate({
      model: "gpt-image-1.5",
      prompt: "a star",
      n: 2,
      size: "32x32",
      quality: "high",
      user: "somebody",
    });
    assert.equal(data!.length, 2);
    assert.ok(data!.every(({ b64_json, url }) => b64_json!.startsWith(PNG) && url === undefined));
    assert.ok(Math.abs(created - Date.now() / 1000) < 10);
    assert.deepEqual([output_format, size], ["png", "32x32"]);
    const [{ origin, request }] = await jobs.list() as [Awaited<ReturnType<typeof jobs.submit>>];
    assert.deepEqual([origin, request.prompts, request.count], ["openai", ["a star"], 2]);
  });
});

Deno.test("the official client gets addresses of pictures that it can fetch", async () => {
  await withClient({ finishAtOnce: true }, async (client, jobs) => {
    const asked = { prompt: "a star", size: "auto", output_format: "webp" } as const;
    const explicit = await client.images.generate({ ...asked, response_format: "url" });
    assert.match(
      explicit.data![0]!.url!,
      /^http:\/\/127\.0\.0\.1:\d+\/jobs\/job-1\/files\/0\.webp\?until=\d+&signature=[\w-]+$/,
    );
    const legacy = await client.images.generate({ ...asked, model: "dall-e-3" });
    for (const { data } of [explicit, legacy]) {
      assert.equal(data![0]!.b64_json, undefined);
      const response = await fetch(data![0]!.url!);
      assert.equal(response.headers.get("Content-Type"), "image/webp");
      assert.ok((await response.bytes()).length > 0);
    }
    jobs.link = ((id: string, name: string) =>
      Promise.resolve(`https://store.example/${id}/${name}`)) as unknown as typeof jobs.link;
    const stored = await client.images.generate({ ...asked, response_format: "url" });
    assert.equal(stored.data![0]!.url, "https://store.example/job-3/0.webp");
  });
});

Deno.test("where there is no token, addresses of pictures have no signature", async () => {
  const app = appOf(new FakeJobs({ finishAtOnce: true }), [native, openai]);
  const body = { prompt: "a star", response_format: "url" };
  const { data } = await (await app.request("/v1/images/generations", posted(body))).json();
  assert.deepEqual(data, [{ url: "http://localhost/jobs/job-1/files/0.png" }]);
});

Deno.test("extras of ours are passed on", async () => {
  await withClient({ finishAtOnce: true }, async (client, jobs) => {
    const extras = { seed: 7, steps: 30, guidance: 6, negative_prompt: "a ring", sampler: "ddim" };
    await client.images.generate({ prompt: "a star", ...extras });
    const [{ request }] = await jobs.list() as [Awaited<ReturnType<typeof jobs.submit>>];
    assert.deepEqual(request, {
      prompts: ["a star"],
      count: 1,
      seed: "7",
      steps: 30,
      guidance: 6,
      sampler: "ddim",
      negative: "a ring",
      levels: false,
      preview: false,
    });
  });
});

Deno.test("the official client sees pictures form", async () => {
  await withClient({}, async (client, jobs) => {
    const submitted = jobs.next;
    const stream = await client.images.generate({
      model: "shapes32",
      prompt: "a star",
      stream: true,
      partial_images: 2,
    });
    const { id, request } = await submitted;
    assert.equal(request.preview, true);
    jobs.begin(id);
    const events = stream[Symbol.asyncIterator]();
    // A third and two thirds of the way; what is shown in between is left out.
    for (const [index, steps] of [[1, 6, 7], [8, 12, 14]].entries()) {
      for (const step of steps) {
        jobs.progress(id, step);
        await jobs.preview(id);
        if (step !== (index === 0 ? 7 : 14)) continue;
        const { value: event } = await events.next();
        assert.equal(event!.type, "image_generation.partial_image");
        assert.equal((event as OpenAI.ImageGenPartialImageEvent).partial_image_index, index);
        assert.ok(event!.b64_json.startsWith(PNG));
      }
    }
    await jobs.picture(id);
    const { value: completed } = await events.next();
    assert.equal(completed!.type, "image_generation.completed");
    assert.ok(completed!.b64_json.startsWith(PNG));
    assert.equal((completed as OpenAI.ImageGenCompletedEvent).usage.total_tokens, 0);
    jobs.finish(id);
    assert.equal((await events.next()).done, true);
  });
});

Deno.test("a stream whose job fails ends with an error that the official client throws", async () => {
  await withClient({}, async (client, jobs) => {
    const submitted = jobs.next;
    const stream = await client.images.generate({ prompt: "a star", stream: true });
    const { id } = await submitted;
    jobs.finish(id, { code: "refused", message: "No stars." });
    await assert.rejects(async () => {
      for await (const _ of stream);
    }, { code: "moderation_blocked", message: "No stars." });
  });
});

Deno.test("a client that leaves cancels its pictures", async () => {
  await withClient({}, async (client, jobs) => {
    const leave = new AbortController();
    const waiting = client.images.generate({ prompt: "a star" }, { signal: leave.signal });
    const { id } = await jobs.next;
    const canceled = jobs.wait(id, 10_000);
    leave.abort();
    await assert.rejects(waiting, OpenAI.APIUserAbortError);
    assert.equal((await canceled)!.state, "canceled");

    const submitted = jobs.next;
    const stream = await client.images.generate({ prompt: "a star", stream: true });
    const streamed = jobs.wait((await submitted).id, 10_000);
    stream.controller.abort();
    assert.equal((await streamed)!.state, "canceled");
    assert.equal(jobs.listeners, 0);
  });
});

Deno.test("what becomes of a failed job is said by status and code", async () => {
  const cases: [JobError["code"], number, string, string][] = [
    ["request", 400, "invalid_request_error", "invalid"],
    ["refused", 400, "invalid_request_error", "moderation_blocked"],
    ["expired", 503, "server_error", "expired"],
    ["timeout", 503, "server_error", "timeout"],
    ["lost", 500, "server_error", "lost"],
    ["failed", 500, "server_error", "failed"],
  ];
  await withClient({}, async (client, jobs) => {
    for (const [code, status, type, theirs] of cases) {
      jobs.next.then(({ id }) => jobs.finish(id, { code, message: "It is so." }));
      const error = await rejection(client.images.generate({ prompt: "a star" }));
      assert.deepEqual([error.status, error.type, error.code], [status, type, theirs]);
      assert.equal(error.message, `${status} It is so.`);
    }
    jobs.next.then(({ id }) => jobs.cancel(id));
    const { status, code } = await rejection(client.images.generate({ prompt: "a star" }));
    assert.deepEqual([status, code], [400, "canceled"]);
  });
});

Deno.test("pictures that are not there in time are canceled", async () => {
  await withClient({ limits: { waitMs: 5 } }, async (client, jobs) => {
    const { status, code } = await rejection(client.images.generate({ prompt: "a star" }));
    assert.deepEqual([status, code], [503, "timeout"]);
    assert.equal((await jobs.get("job-1"))!.state, "canceled");
  });
});

Deno.test("wrong requests are told what would be right", async () => {
  await withClient({}, async (client, _, url) => {
    const wrong = async (fields: object) => {
      const asked = { prompt: "a star", ...fields } as OpenAI.ImageGenerateParamsNonStreaming;
      const { status, type, param, message } = await rejection(client.images.generate(asked));
      assert.deepEqual([status, type], [400, "invalid_request_error"]);
      return [param, message];
    };
    assert.deepEqual(await wrong({ size: "large" }), [
      "size",
      `400 "size": Give a size such as "32x32", or "auto".`,
    ]);
    assert.deepEqual(await wrong({ background: "transparent" }), [
      "background",
      `400 "background": Pictures have no transparency: give "opaque" or "auto".`,
    ]);
    for (
      const [name, value] of Object.entries({
        n: 11,
        prompt: "",
        response_format: "png",
        output_format: "svg",
        aspect_ratio: "wide",
        partial_images: 4,
        seed: -1,
        steps: 0,
        images: 3,
      })
    ) assert.equal((await wrong({ [name]: value }))[0], name);

    const missing = await rejection(client.images.generate({ prompt: "a", model: "flux" }));
    assert.ok(missing instanceof OpenAI.NotFoundError);
    assert.deepEqual([missing.code, missing.param], ["model_not_found", "model"]);
    const other = new OpenAI({ apiKey: "no", baseURL: `${url}/v1`, maxRetries: 0 });
    const refused = await rejection(other.images.generate({ prompt: "a star" }));
    assert.ok(refused instanceof OpenAI.AuthenticationError);
    assert.equal(refused.type, "authentication_error");
    const unused = await rejection(client.videos.create({ prompt: "a star" }));
    assert.equal(unused.message, "400 The model makes pictures: ask at /v1/images/generations.");
  });
});

Deno.test("sizes that the model does not make are answered with its own, which is said", async () => {
  await withClient({ finishAtOnce: true }, async (client, jobs) => {
    for (const size of ["1024x1024", "1536x1024", "256*256", "3840X2160", "16x16", "32x32", null]) {
      const asked = { prompt: "a star", size, ...{ aspect_ratio: "16:9", aspectRatio: null } };
      const answer = await client.images.generate(asked as OpenAI.ImageGenerateParamsNonStreaming);
      assert.equal(answer.size, "32x32", String(size));
      const png = Uint8Array.fromBase64(answer.data![0]!.b64_json!);
      assert.equal(readPng(png).width, 32);
    }
    assert.ok((await jobs.list()).every(({ request }) => request.size === undefined));
    for (const size of ["0x0", "1024", "1024x", "-1x5", "1e3x5", "123456x1", ""]) {
      const error = await rejection(client.images.generate({ prompt: "a star", size } as never));
      assert.equal(error.param, "size", size);
    }
  });
});

Deno.test("where sizes are strict, others than the model's own are refused", async () => {
  for (const model of [MODEL, VIDEOS]) {
    const jobs = new FakeJobs({ finishAtOnce: true, model });
    const app = appOf(jobs, [openai], { strictSizes: true });
    const path = model === MODEL ? "/v1/images/generations" : "/v1/videos";
    const answer = async (fields: object) => {
      const response = await app.request(path, posted({ prompt: "a star", ...fields }));
      return [response.status, (await response.json()).error?.message];
    };
    assert.deepEqual(await answer({ size: "1024x1024" }), [
      400,
      `"size": The model makes one size: give "32x32" or "auto".`,
    ]);
    for (const name of ["aspect_ratio", "aspectRatio"]) {
      assert.deepEqual(await answer({ [name]: "16:9" }), [
        400,
        `"${name}": All that the model makes is square: give "1:1".`,
      ]);
      assert.equal((await answer({ [name]: "1:1" }))[0], 200);
    }
    for (const size of ["32x32", "auto", null]) assert.equal((await answer({ size }))[0], 200);
  }
});

Deno.test("pictures are answered as the name of the model lets expect", async () => {
  await withClient({ finishAtOnce: true }, async (client) => {
    const ways = async (fields: Partial<OpenAI.ImageGenerateParamsNonStreaming>) => {
      const { data } = await client.images.generate({ prompt: "a star", ...fields });
      return Object.keys(data![0]!).join();
    };
    assert.equal(await ways({ model: "gpt-image-2.5-flare" }), "b64_json");
    assert.equal(await ways({ model: "dall-e-2" }), "url");
    // Who names no model of OpenAI may be made for one as for the other.
    assert.equal(await ways({}), "b64_json,url");
    assert.equal(await ways({ model: "shapes32" }), "b64_json,url");
    assert.equal(await ways({ model: "dall-e-2", response_format: "b64_json" }), "b64_json");
    assert.equal(await ways({ response_format: "url" }), "url");
  });
});

Deno.test("hints that change nothing may have any value", async () => {
  await withClient({ finishAtOnce: true }, async (client, jobs) => {
    const hints = {
      quality: "ultra",
      style: "natural",
      moderation: "low",
      complexity: "high",
      output_compression: 50,
      user: "me",
      safety_identifier: "me",
    } as const;
    const asked = { prompt: "a star", seed: 7 };
    await client.images.generate({ ...asked, ...hints } as never);
    await client.images.generate(asked);
    const [hinted, plainly] = await jobs.list();
    assert.deepEqual(hinted!.request, plainly!.request);
  });
});

Deno.test("null in any field that may be left out is as without it", async () => {
  for (const model of [MODEL, VIDEOS]) {
    const jobs = new FakeJobs({ finishAtOnce: true, model });
    const app = appOf(jobs, [openai]);
    const path = model === MODEL ? "/v1/images/generations" : "/v1/videos";
    const document = await (await app.request("/openapi.json")).json();
    const name = model === MODEL ? "OpenAIImageRequest" : "OpenAIVideoRequest";
    const fields = Object.keys(document.components.schemas[name].properties);
    assert.ok(fields.length > 12);
    for (const field of fields.filter((field) => field !== "prompt")) {
      const asked = { prompt: "a star", ...field !== "seed" && { seed: 7 }, [field]: null };
      const response = await app.request(path, posted(asked));
      assert.equal(response.status, 200, `${field}: ${await response.text()}`);
    }
  }
});

Deno.test("what the API has and the model cannot is said in a sentence, and no body is read", async () => {
  const pictures = "The model makes pictures from text alone, not from others: ask at " +
    "/v1/images/generations.";
  const videos = "The model makes videos from text alone, not from others: ask at /v1/videos.";
  const none = "This server makes pictures from text: ask at /v1/images/generations.";
  const large = new File([new Uint8Array(3 << 20)], "large.png", { type: "image/png" });
  const form = () => {
    const form = new FormData();
    form.append("image", large);
    return { method: "POST", body: form };
  };
  const cases: [path: string, status: number, message: string][] = [
    ["/v1/images/edits", 400, pictures],
    ["/v1/images/variations", 400, pictures],
    ["/v1/audio/transcriptions", 404, none],
    ["/v1/chat/completions", 404, none],
    ["/v1/responses", 404, none],
    ["/v1/embeddings", 404, none],
    ["/v1/completions", 404, none],
  ];
  const app = appOf(new FakeJobs(), [native, openai], { token: "secret" });
  const headers = { Authorization: "Bearer secret" };
  for (const [path, status, message] of cases) {
    const response = await app.request(path, { ...form(), headers });
    assert.equal(response.status, status, path);
    const { error } = await response.json();
    assert.deepEqual(error, {
      message,
      type: "invalid_request_error",
      param: null,
      code: "unsupported",
    });
    assert.equal((await app.request(path, form())).status, 401, path);
  }
  const other = appOf(new FakeJobs({ model: VIDEOS }), [openai]);
  for (const path of ["edits", "extensions", "characters", "characters/x", "job-1/remix"]) {
    const response = await other.request(`/v1/videos/${path}`, form());
    assert.equal(response.status, 400, path);
    assert.equal((await response.json()).error.message, videos);
  }
  const reference = await listened(other, "/v1/videos", form());
  assert.equal(reference.status, 413);
  assert.equal(
    (await reference.json()).error.message,
    "The body is too large: 1048576 bytes are the most; the model makes videos from text alone, so send no files.",
  );
});

/** An answer to a request that says how long its body is. */
async function listened(app: ReturnType<typeof appOf>, path: string, init: RequestInit) {
  let answer: Response | undefined;
  await listening(app, async (url) => {
    const response = await fetch(url + path, init);
    answer = new Response(await response.bytes(), response);
  });
  return answer!;
}

Deno.test("when the queue is full the official client is told when to come again", async () => {
  await withClient({ capacity: 0 }, async (client) => {
    const error = await rejection(client.images.generate({ prompt: "a star" }));
    assert.ok(error instanceof OpenAI.RateLimitError);
    assert.equal(error.type, "rate_limit_error");
    assert.equal(error.headers!.get("Retry-After"), "7");
  });
});

Deno.test("the official client makes a video, waits for it and fetches it", async () => {
  await withClient({ model: VIDEOS }, async (client, jobs) => {
    const video = await client.videos.create({
      model: "sora-2",
      prompt: "a balloon rises",
      seconds: "4",
      ...{ seed: 7, steps: 30 },
    });
    const { id } = video;
    const { created_at, ...rest } = video;
    assert.ok(Math.abs(created_at - Date.now() / 1000) < 10);
    assert.deepEqual(rest, {
      id,
      object: "video",
      model: "balloons",
      status: "queued",
      progress: 0,
      completed_at: null,
      expires_at: null,
      prompt: "a balloon rises",
      seconds: "4",
      size: "32x32",
      remixed_from_video_id: null,
      error: null,
    });
    const { request } = (await jobs.get(id))!;
    assert.deepEqual([request.fps, request.seed, request.steps], [4, "7", 30]);
    assert.equal((await rejection(client.videos.downloadContent(id))).code, "video_not_ready");
    jobs.begin(id);
    jobs.progress(id, 5);
    const running = await client.videos.retrieve(id);
    assert.deepEqual([running.status, running.progress], ["in_progress", 25]);
    await jobs.picture(id, new TextEncoder().encode("a video"));
    jobs.finish(id);
    const done = await client.videos.retrieve(id);
    assert.deepEqual([done.status, done.progress], ["completed", 100]);
    assert.ok(done.completed_at! >= created_at);
    const content = await client.videos.downloadContent(id);
    assert.equal(content.headers.get("Content-Type"), "video/mp4");
    assert.equal(await content.text(), "a video");
    const thumbnail = await rejection(client.videos.downloadContent(id, { variant: "thumbnail" }));
    assert.equal(thumbnail.status, 400);
    const gone = { id, object: "video.deleted", deleted: true };
    assert.deepEqual(await client.videos.delete(id), gone);
    assert.ok(await rejection(client.videos.retrieve(id)) instanceof OpenAI.NotFoundError);
  });
});

Deno.test("a video lasts as long as is asked for, or is refused", async () => {
  await withClient({ model: VIDEOS }, async (client, jobs) => {
    const ask = (fields: object) =>
      client.videos.create({ prompt: "a balloon", ...fields } as OpenAI.VideoCreateParams);
    for (
      const [asked, fps, told] of [
        ["16", 1, "16"],
        ["8", 2, "8"],
        ["4", 4, "4"],
        ["5.33", 3, "5.33"],
        [2, 8, "2"],
        ["0.5", 32, "0.5"],
        ["0.13", 120, "0.13"],
        ["null", undefined, "2"],
      ]
    ) {
      const video = await ask({ seconds: asked });
      assert.equal(video.seconds, told);
      assert.equal((await jobs.get(video.id))!.request.fps, fps, String(asked));
    }
    assert.equal((await ask({ seconds: "4", fps: 4 })).seconds, "4");
    for (
      const [fields, param, message] of [
        [{ seconds: "12" }, "seconds", "cannot last 12 seconds: 8 or 16 can be."],
        [{ seconds: "5" }, "seconds", "cannot last 5 seconds: 4 or 5.33 can be."],
        [{ seconds: "20" }, "seconds", "cannot last 20 seconds: 16 can be."],
        [{ seconds: "0.1" }, "seconds", "cannot last 0.1 seconds: 0.13 can be."],
        [{ seconds: "long" }, "seconds", `Give a number of seconds, such as "2".`],
        [{ seconds: "" }, "seconds", `Give a number of seconds, such as "2".`],
        [{ seconds: "4", fps: 8 }, "fps", "leave one of them out."],
      ] as const
    ) {
      const error = await rejection(ask(fields));
      assert.deepEqual([error.status, error.param], [400, param]);
      assert.ok(error.message.endsWith(message), error.message);
    }
  });
});

Deno.test("a form says null in words", async () => {
  const jobs = new FakeJobs({ model: VIDEOS });
  const form = new FormData();
  form.append("prompt", "null");
  const names = ["model", "size", "seconds", "fps", "seed", "steps", "guidance", "sampler"];
  for (const name of names) form.append(name, "null");
  const asked = { method: "POST", body: form };
  const response = await appOf(jobs, [openai]).request("/v1/videos", asked);
  assert.equal(response.status, 200);
  const { prompts, seed, ...rest } = (await jobs.get("job-1"))!.request;
  assert.deepEqual(prompts, ["null"]);
  assert.match(seed, /^\d+$/);
  assert.deepEqual(rest, { count: 1, format: "mp4", levels: false, preview: false });
});

Deno.test("only videos are shown as videos", async () => {
  const request = { prompts: ["a star"], count: 1, seed: "1", levels: false, preview: false };
  const shown = async (model: typeof MODEL, format?: "mp4" | "gif" | "png") => {
    const jobs = new FakeJobs({ finishAtOnce: true, model });
    const { id } = await jobs.submit({ ...request, ...format && { format } });
    const app = appOf(jobs, [openai]);
    const { data } = await (await app.request("/v1/videos")).json();
    const statuses = [];
    for (const path of [`/v1/videos/${id}`, `/v1/videos/${id}/content`]) {
      const response = await app.request(path);
      statuses.push(response.status);
      const type = response.headers.get("Content-Type");
      if (response.status === 200) assert.match(type!, /^(application\/json|video\/mp4)$/);
      await response.body?.cancel();
    }
    statuses.push((await app.request(`/v1/videos/${id}`, { method: "DELETE" })).status);
    assert.equal(await jobs.get(id) === null, data.length === 1);
    return [data.length, ...statuses];
  };
  assert.deepEqual(await shown(VIDEOS), [1, 200, 200, 200]);
  assert.deepEqual(await shown(VIDEOS, "mp4"), [1, 200, 200, 200]);
  assert.deepEqual(await shown(VIDEOS, "gif"), [0, 404, 404, 404]);
  assert.deepEqual(await shown(VIDEOS, "png"), [0, 404, 404, 404]);
  assert.deepEqual(await shown(MODEL), [0, 404, 404, 404]);
  // Of a model that was there before.
  const old = new FakeJobs({ finishAtOnce: true });
  const { id } = await old.submit(request);
  Object.assign(old, { model: VIDEOS });
  assert.equal((await appOf(old, [openai]).request(`/v1/videos/${id}/content`)).status, 404);
});

Deno.test("a video of another protocol is shown in its own size", async () => {
  const jobs = new FakeJobs({ model: VIDEOS });
  const asked = { prompts: ["a star"], count: 1, seed: "1", levels: false, preview: false };
  // Four by four frames.
  const { id } = await jobs.submit({ ...asked, size: 256, fps: 32 });
  const { size, seconds } = await (await appOf(jobs, [openai]).request(`/v1/videos/${id}`)).json();
  assert.deepEqual([size, seconds], ["64x64", "0.5"]);
});

Deno.test("a list that goes on after a video that is gone does not begin anew", async () => {
  await withClient({ model: VIDEOS }, async (client) => {
    await client.videos.create({ prompt: "a balloon" });
    const error = await rejection(Promise.resolve(client.videos.list({ after: "gone" })));
    assert.equal(error.status, 404);
  });
});

Deno.test("videos are listed page by page", async () => {
  await withClient({ model: VIDEOS }, async (client) => {
    for (let k = 0; k < 5; k++) await client.videos.create({ prompt: `balloon ${k}` });
    const prompts = async (query: OpenAI.VideoListParams) => {
      const seen = [];
      for await (const { prompt } of client.videos.list(query)) seen.push(prompt?.at(-1));
      return seen.join("");
    };
    assert.equal(await prompts({ limit: 2 }), "43210");
    assert.equal(await prompts({ limit: 2, order: "asc" }), "01234");
    assert.equal(await prompts({ after: "job-2" }), "0");
  });
});

Deno.test("a video may be asked for by JSON as well, and once for each idempotency key", async () => {
  const jobs = new FakeJobs({ model: VIDEOS });
  const app = appOf(jobs, [openai]);
  const ask = async () => {
    const body = { prompt: "a balloon rises", fps: 12 };
    const response = await app.request("/v1/videos", posted(body, { "Idempotency-Key": "k" }));
    return (await response.json()).id;
  };
  assert.equal(await ask(), await ask());
  assert.equal((await jobs.list()).length, 1);
  assert.equal((await jobs.get("job-1"))!.request.fps, 12);
});

Deno.test("a video that is asked for in no known way is refused", async () => {
  const app = appOf(new FakeJobs({ model: VIDEOS }), [openai]);
  const status = async (headers: Record<string, string>, body: string) => {
    return (await app.request("/v1/videos", { method: "POST", headers, body })).status;
  };
  assert.equal(await status({ "Content-Type": "" }, ""), 415);
  assert.equal(await status({ "Content-Type": "text/plain" }, "{}"), 415);
  const boundary = { "Content-Type": "multipart/form-data; boundary=json" };
  assert.equal(await status(boundary, "--json--"), 400);
});

Deno.test("a video that is not ready is canceled, and says why it failed", async () => {
  await withClient({ model: VIDEOS }, async (client, jobs) => {
    const { id } = await client.videos.create({ prompt: "a balloon rises" });
    assert.equal((await client.videos.delete(id)).deleted, false);
    const canceled = await client.videos.retrieve(id);
    assert.deepEqual([canceled.status, canceled.error!.code], ["failed", "canceled"]);
    const other = await client.videos.create({ prompt: "a balloon rises" });
    jobs.finish(other.id, { code: "timeout", message: "It ran too long." });
    const failed = await client.videos.retrieve(other.id);
    assert.deepEqual(failed.error, { code: "timeout", message: "It ran too long." });
    const content = await rejection(client.videos.downloadContent(other.id));
    assert.equal(content.message, "400 The video was not made.");
    const pictures = await rejection(client.images.generate({ prompt: "a balloon" }));
    assert.equal(pictures.message, "400 The model makes videos: ask for them at /v1/videos.");
  });
});

Deno.test("the official client finds the model", async () => {
  await withClient({}, async (client) => {
    const ids = [];
    for await (const { id, object } of client.models.list()) ids.push([id, object]);
    assert.deepEqual(ids, [["shapes32", "model"]]);
    assert.equal((await client.models.retrieve("shapes32")).owned_by, "mdm");
    assert.equal((await rejection(client.models.retrieve("flux"))).code, "model_not_found");
  });
});

Deno.test("plain events of a stream can be read without a client", async () => {
  const jobs = new FakeJobs({ finishAtOnce: true });
  const app = appOf(jobs, [openai]);
  const asked = posted({ prompt: "a star", stream: true, n: 2 });
  const response = await app.request("/v1/images/generations", asked);
  assert.equal(response.headers.get("Content-Type"), "text/event-stream");
  const events = await Array.fromAsync(eventsOf(response));
  assert.deepEqual(events.map(({ event }) => event), [
    "image_generation.completed",
    "image_generation.completed",
  ]);
});

/** The error of the official client that a call ends with. */
async function rejection(call: Promise<unknown>): Promise<InstanceType<typeof OpenAI.APIError>> {
  const error = await call.then(() => null, (error: unknown) => error);
  assert.ok(error instanceof OpenAI.APIError, String(error));
  return error;
}
