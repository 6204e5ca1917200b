/// <reference lib="dom" />
/** What of RFC 9110 routes that send files keep to: parts, tags, and HEAD. */
import assert from "../../assert.ts";
import type { JobRequest } from "../../../src/jobs/job.ts";
import { encodeAnimation } from "../../../src/media/animation.ts";
import { openai } from "../../../src/server/protocols/openai/openai.ts";
import { webPage } from "../../../src/server/page/mod.ts";
import { native } from "../../../src/server/protocols/native/native.ts";
import { startChromium } from "../page/browser.ts";
import { FakeJobs, MODEL } from "../fake_jobs.ts";
import { ADDRESSES, type App, appOf, listening } from "../server.ts";

const REQUEST: JobRequest = {
  prompts: ["a star"],
  count: 1,
  seed: "1",
  levels: false,
  preview: false,
};
const VIDEOS = { ...MODEL, makes: "videos", frames: 2 } as const;
const CONTENT = new TextEncoder().encode("0123456789");

/** A server with a job that has ended, and routes that send a file of ten bytes. */
async function start(options: Parameters<typeof appOf>[2] = {}, content = CONTENT) {
  const jobs = new FakeJobs({ model: VIDEOS });
  const app = appOf(jobs, [native, openai, webPage], options);
  const { id } = await jobs.submit(REQUEST, { id: "made" });
  jobs.begin(id);
  await jobs.picture(id, content);
  jobs.finish(id);
  return { jobs, app, files: [`/jobs/${id}/files/0.mp4`, `/v1/videos/${id}/content`] };
}

type Answer = readonly [status: number, body: string, range: string | null];

async function answer(app: App, path: string, headers: Record<string, string>): Promise<Answer> {
  const response = await app.request(path, { headers });
  return [response.status, await response.text(), response.headers.get("Content-Range")];
}

Deno.test("a part of a file is sent, and no more of it is read", async () => {
  const { app, jobs, files } = await start();
  const asked: unknown[] = [];
  const { read } = jobs;
  jobs.read = (id, name, range) => {
    asked.push(range && [range.first, range.last]);
    return read.call(jobs, id, name, range);
  };
  for (const path of files) {
    for (
      const [range, first, last] of [
        ["bytes=0-1", 0, 1],
        ["bytes=0-0", 0, 0],
        ["bytes=9-9", 9, 9],
        ["bytes=4-", 4, 9],
        ["bytes=-3", 7, 9],
        ["bytes=-10", 0, 9],
        ["bytes=-99999999999999999999999999", 0, 9],
        ["bytes=8-99999999999999999999999999", 8, 9],
        ["bytes=0-9", 0, 9],
        ["BYTES= 2-3 ", 2, 3],
      ] as const
    ) {
      assert.deepEqual(await answer(app, path, { Range: range }), [
        206,
        "0123456789".slice(first, last + 1),
        `bytes ${first}-${last}/10`,
      ], `${path} ${range}`);
      assert.deepEqual(asked.pop(), [first, last], range);
    }
    const { headers } = await app.request(path, { headers: { Range: "bytes=2-4" } });
    assert.equal(headers.get("Content-Length"), "3");
    assert.equal(headers.get("Content-Type"), "video/mp4");
    assert.equal(headers.get("Accept-Ranges"), "bytes");
    assert.match(headers.get("ETag")!, /^"[\w-]{22}"$/);
  }
});

Deno.test("a part that is not there is 416, and how long the file is", async () => {
  const { app, files } = await start();
  for (const path of files) {
    for (const range of ["bytes=10-", "bytes=10-20", "bytes=-0", `bytes=${"9".repeat(4000)}-`]) {
      const [status, body, whole] = await answer(app, path, { Range: range });
      assert.deepEqual([status, whole], [416, "bytes */10"], range);
      assert.equal(
        JSON.parse(body).error.message,
        "There is no such part: the file has 10 bytes.",
      );
    }
  }
});

Deno.test("all is sent where several parts are asked for, or none that can be understood", async () => {
  const { app, files } = await start();
  for (const path of files) {
    for (
      const range of [
        "bytes=0-1,3-4",
        "bytes=0-1, -1",
        "bytes=" + Array(2000).fill("0-").join(),
        "bytes=5-2",
        "bytes=-",
        "bytes=",
        "bytes",
        "bytes=a-b",
        "bytes=0x1-2",
        "bytes=1.5-2",
        "bytes=--1",
        "bytes=1-2-3",
        "bytes=0-1;",
        "items=0-1",
        "bytes=" + "-".repeat(4000),
        "",
      ]
    ) {
      assert.deepEqual(
        await answer(app, path, { Range: range }),
        [200, "0123456789", null],
        range.slice(0, 50),
      );
    }
  }
});

Deno.test("If-Range has a part sent of the same file only", async () => {
  const { app, files } = await start();
  for (const path of files) {
    const etag = (await app.request(path, { method: "HEAD" })).headers.get("ETag")!;
    const status = async (validator: string) =>
      (await answer(app, path, { "Range": "bytes=0-1", "If-Range": validator }))[0];
    assert.equal(await status(etag), 206);
    for (const other of [`W/${etag}`, `"x"`, "x", "Wed, 21 Oct 2026 07:28:00 GMT", ""]) {
      assert.equal(await status(other), 200, other);
    }
    assert.deepEqual(
      await answer(app, path, { "Range": "bytes=50-", "If-Range": `"x"` }),
      [200, "0123456789", null],
    );
  }
});

Deno.test("who has a file already is told so, on every route that sends one", async () => {
  const { app, jobs, files } = await start();
  const routes = [...files, "/", "/favicon.ico", "/page/page.js", "/page/page.css"];
  const { read } = jobs;
  for (const path of routes) {
    const first = await app.request(path);
    await first.body?.cancel();
    const etag = first.headers.get("ETag")!;
    assert.match(etag, /^"[\w-]{22}"$/, path);
    jobs.read = () => Promise.reject(new Error("It is read"));
    for (
      const known of [etag, `W/${etag}`, "*", ` * `, `"a", ${etag}`, `W/"b,c" , W/${etag},"d"`]
    ) {
      const response = await app.request(path, {
        headers: { "If-None-Match": known, "Range": "bytes=0-1" },
      });
      assert.equal(response.status, 304, `${path} ${known}`);
      assert.equal(await response.text(), "");
      assert.equal(response.headers.get("ETag"), etag);
      assert.equal(response.headers.get("Cache-Control"), first.headers.get("Cache-Control"));
    }
    jobs.read = read;
    for (const other of [`"x"`, etag.slice(1, -1), `"x${etag.slice(1)}`, "W/", '"', ""]) {
      const response = await app.request(path, { headers: { "If-None-Match": other } });
      await response.body?.cancel();
      assert.equal(response.status, 200, `${path} ${other}`);
    }
  }
});

Deno.test("If-Match refuses another file than the one that is meant", async () => {
  const { app, files } = await start();
  for (const path of [...files, "/page/page.js"]) {
    const response = await app.request(path, { method: "HEAD" });
    const etag = response.headers.get("ETag")!;
    const status = async (wanted: string) => (await answer(app, path, { "If-Match": wanted }))[0];
    for (const same of [etag, "*", `"x", ${etag}`]) assert.equal(await status(same), 200, same);
    for (const other of [`"x"`, `W/${etag}`, "x"]) assert.equal(await status(other), 412, other);
  }
});

Deno.test("a tag is another one for another job of the same id, one that is made once more, and another file", async () => {
  const { app, jobs } = await start();
  const tag = async (path: string) => {
    const { status, headers } = await app.request(path, { method: "HEAD" });
    assert.equal(status, 200, path);
    return headers.get("ETag")!;
  };
  const path = "/jobs/made/files/0.mp4";
  const first = await tag(path);
  assert.equal(await tag(path), first);
  assert.equal(await tag(ADDRESSES.sign(path)), first, "the address changes nothing");

  const { id } = await jobs.submit({ ...REQUEST, count: 2 }, { id: "two" });
  jobs.begin(id);
  await jobs.picture(id, CONTENT);
  await jobs.picture(id, CONTENT);
  const [one, other] = [await tag(`/jobs/two/files/0.mp4`), await tag(`/jobs/two/files/1.mp4`)];
  assert.equal(new Set([first, one, other]).size, 3);
  jobs.finish(id, { code: "failed", message: "It failed." });
  assert.equal(await tag(`/jobs/two/files/0.mp4`), one, "its end changes no file");

  await jobs.retry(id);
  await new Promise((resolve) => setTimeout(resolve, 2));
  jobs.begin(id);
  await jobs.picture(id, new TextEncoder().encode("987654321"));
  assert.notEqual(await tag(`/jobs/two/files/0.mp4`), one);

  await jobs.remove("made");
  await new Promise((resolve) => setTimeout(resolve, 2));
  await jobs.submit(REQUEST, { id: "made" });
  await jobs.make("made");
  assert.notEqual(await tag(path), first);
});

Deno.test("HEAD says all that GET says, and reads no more than a byte", async () => {
  const { app, jobs, files } = await start();
  await listening(app, async (url) => {
    for (
      const path of [...files, "/", "/page/page.css", "/favicon.ico", "/jobs", "/openapi.json"]
    ) {
      const all = await fetch(url + path);
      await all.body?.cancel();
      const { read } = jobs;
      jobs.read = (id, name, range) => {
        assert.deepEqual(range, { first: 0, last: 0 });
        return read.call(jobs, id, name, range);
      };
      const head = await fetch(url + path, { method: "HEAD", headers: { Range: "bytes=0-1" } });
      jobs.read = read;
      const said = ({ headers }: Response) =>
        [...headers].filter(([name]) => !["date", "x-request-id"].includes(name)).sort();
      assert.equal(head.status, 200, path);
      assert.deepEqual(said(head), said(all), path);
      assert.ok(Number(head.headers.get("Content-Length")) > 0, path);
      assert.equal(await head.text(), "");
    }
  });
});

Deno.test("a signed address opens parts as well", async () => {
  const { app, files: [path] } = await start({ token: "secret" });
  const signed = ADDRESSES.sign(path!);
  assert.deepEqual(await answer(app, signed, { Range: "bytes=2-3" }), [206, "23", "bytes 2-3/10"]);
  assert.equal((await answer(app, signed, { "If-None-Match": "*" }))[0], 304);
  assert.equal((await app.request(signed, { method: "HEAD" })).status, 200);
  for (const headers of [{ Range: "bytes=2-3" }, { "If-None-Match": "*" }]) {
    assert.equal((await answer(app, path!, headers as Record<string, string>))[0], 401);
  }
});

Deno.test("a file that is gone, or is not the one that was made, is 404", async () => {
  const { app, jobs, files } = await start();
  const empty = () => new Blob([]).stream();
  for (
    const read of [
      () => Promise.resolve(null),
      () => Promise.resolve({ body: empty(), bytes: 9 }),
    ]
  ) {
    jobs.read = read;
    for (const path of files) {
      for (const range of ["bytes=0-1", ""]) {
        const [status, body] = await answer(app, path, { Range: range });
        assert.equal(status, 404);
        assert.equal(JSON.parse(body).error.message, "There is no such file.");
      }
    }
  }
});

Deno.test("a preview that a newer one has followed is still there", async () => {
  const jobs = new FakeJobs();
  const app = appOf(jobs, [native]);
  const { id } = await jobs.submit({ ...REQUEST, preview: true });
  jobs.begin(id);
  const previews = ["preview-0-1-16x16.png", "preview-0-2-16x16.png"];
  const job = await jobs.get(id);
  jobs.get = () => {
    const file = { picture: 0, level: 1, seed: "1", type: "image/png", width: 16, height: 16 };
    const newest = { ...file, name: previews[1]!, frames: 1, bytes: CONTENT.length };
    return Promise.resolve({ ...job!, progress: { ...job!.progress, previews: [newest] } });
  };
  jobs.read = (_, name, range) => {
    const i = previews.indexOf(name);
    if (i < 0) return Promise.resolve(null);
    const bytes = CONTENT.slice(i);
    const part = bytes.slice(range?.first, range && range.last + 1);
    return Promise.resolve({ body: new Blob([part]).stream(), bytes: bytes.length });
  };
  const ask = (name: string, headers: Record<string, string> = {}) =>
    answer(app, `/jobs/${id}/files/${name}`, headers);
  assert.deepEqual(await ask("preview-0-1-16x16.png"), [200, "0123456789", null]);
  assert.deepEqual(await ask("preview-0-1-16x16.png", { Range: "bytes=1-2" }), [
    206,
    "12",
    "bytes 1-2/10",
  ]);
  for (const name of ["preview-0-3-16x16.png", "preview-1-1-16x16.png", "preview-0-1-8x8.png"]) {
    assert.equal((await ask(name))[0], 404, name);
  }
});

Deno.test("in a tab of its own a browser plays a video and shows a picture", async () => {
  const frame = { width: 32, height: 32, data: new Uint8Array(32 * 32 * 4).fill(128) };
  const { app, jobs, files } = await start(
    {},
    await encodeAnimation([frame, frame], "mp4", { fps: 8 }),
  );
  const { id } = await jobs.submit({ ...REQUEST, format: "png" });
  await jobs.make(id);
  await listening(app, async (url) => {
    await using stack = new AsyncDisposableStack();
    const browser = stack.adopt(await startChromium(), (opened) => opened.close());
    const page = await browser.newPage();
    const wrong: string[] = [];
    page.on("console", (message) => wrong.push(message.text()));
    for (const path of [...files, `/jobs/${id}/files/0.png`]) {
      await page.goto(url + path);
      await page.waitForFunction(() => {
        const [medium] = document.querySelectorAll<HTMLVideoElement | HTMLImageElement>(
          "video, img",
        );
        return medium instanceof HTMLVideoElement
          ? medium.videoWidth === 32
          : medium?.naturalWidth === 32;
      });
    }
    assert.deepEqual(wrong, []);
  });
});
