/** Events of jobs as readers get them. */
import assert from "node:assert/strict";
import { Hono } from "hono";
import type { Job } from "../../src/jobs/job.ts";
import type { JobEvent } from "../../src/jobs/queue/queue.ts";
import { newest, streamJob } from "../../src/worker/job_events.ts";
import { FakeJobs } from "./fake_jobs.ts";

const REQUEST = { prompts: ["a star"], count: 1, seed: "1", levels: false, preview: false };
const FOREVER = 1 << 30;

Deno.test("a slow reader gets the newest of each kind, and what it has not read does not grow", async () => {
  const jobs = new FakeJobs();
  const { id } = await jobs.submit(REQUEST);
  const all = Promise.withResolvers<void>();
  async function* told() {
    yield* jobs.events(id, new AbortController().signal);
    all.resolve();
  }
  const events = newest(told(), FOREVER);
  await events.next();
  jobs.begin(id);
  for (let step = 1; step <= 10_000; step++) jobs.progress(id, step, 10_000);
  for (let k = 0; k < 3; k++) await jobs.preview(id);
  await jobs.picture(id);
  await jobs.picture(id);
  jobs.finish(id);
  await all.promise;
  const rest: string[] = [];
  for await (const event of events) {
    assert.notEqual(event, "quiet");
    const { change, job, file } = event as JobEvent;
    rest.push(`${change} ${file?.name ?? job.progress.step}`);
  }
  assert.deepEqual(rest.filter((line) => line.startsWith("progress")), ["progress 10000"]);
  assert.deepEqual(rest.filter((line) => line.startsWith("file")), ["file 0.png", "file 1.png"]);
  assert.equal(rest.filter((line) => line.startsWith("preview")).length, 1);
  assert.equal(rest.at(-1), "state 10000");
});

Deno.test("what fails in the middle fails for the reader, after what came before", async () => {
  async function* broken(): AsyncGenerator<JobEvent> {
    yield { change: "state", job: await new FakeJobs().submit(REQUEST) };
    throw new TypeError("no more");
  }
  const seen: unknown[] = [];
  await assert.rejects(async () => {
    for await (const event of newest(broken(), FOREVER)) seen.push(event);
  }, { message: "no more" });
  assert.equal(seen.length, 1);
});

/** The chunks of an answer that streams a job. */
async function chunks(jobs: FakeJobs, { id }: Job, onLeave?: () => Promise<unknown>) {
  const app = new Hono().get("/", (c) =>
    streamJob(c, {
      jobs,
      id,
      keepAliveMs: 1,
      send: ({ job }, stream) => stream.writeSSE({ data: job.state }),
      ...onLeave !== undefined && { onLeave },
    }));
  const response = await app.request("/");
  return response.body!.pipeThrough(new TextDecoderStream()).getReader();
}

Deno.test("while nothing happens a comment keeps the connection alive", async () => {
  const jobs = new FakeJobs();
  const job = await jobs.submit(REQUEST);
  const reader = await chunks(jobs, job);
  assert.equal((await reader.read()).value, "data: queued\n\n");
  for (let k = 0; k < 3; k++) assert.equal((await reader.read()).value, ": still here\n\n");
  await jobs.cancel(job.id);
  const rest: string[] = [];
  for (let read = await reader.read(); !read.done; read = await reader.read()) {
    rest.push(read.value);
  }
  assert.equal(rest.at(-1), "data: canceled\n\n");
});

Deno.test("whoever leaves is told of, whoever stays to the end is not", async () => {
  const jobs = new FakeJobs();
  const left = Promise.withResolvers<void>();
  const onLeave = () => Promise.resolve(left.resolve());
  const reader = await chunks(jobs, await jobs.submit(REQUEST), onLeave);
  await reader.read();
  await reader.cancel();
  await left.promise;
  assert.equal(jobs.listeners, 0);

  const job = await jobs.submit(REQUEST);
  const staying = await chunks(jobs, job, () => Promise.reject(new Error("nobody left")));
  await jobs.cancel(job.id);
  while (!(await staying.read()).done);
  assert.equal(jobs.listeners, 0);
});
