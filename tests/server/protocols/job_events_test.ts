/** Events of jobs as readers get them. */
import assert from "../../assert.ts";
import { mock } from "node:test";
import { Hono } from "../../../src/deps/hono.ts";
import type { Job } from "../../../src/jobs/job.ts";
import type { JobEvent } from "../../../src/jobs/queue/queue.ts";
import { Unavailable } from "../../../src/jobs/unavailable.ts";
import {
  type EventStreamOptions,
  streamJob,
  withPauses,
} from "../../../src/server/protocols/job_events.ts";
import { FakeJobs } from "../fake_jobs.ts";

const REQUEST = { prompts: ["a star"], count: 1, seed: "1", levels: false, preview: false };
const FOREVER = 1 << 30;

Deno.test("events are taken one by one, and a pause ends with the event that was waited for", async () => {
  const job = await new FakeJobs().submit(REQUEST);
  const second = Promise.withResolvers<void>();
  let asked = 0;
  async function* told(): AsyncGenerator<JobEvent> {
    asked++;
    yield { change: "state", job };
    asked++;
    await second.promise;
    yield { change: "progress", job };
  }
  const events = withPauses(told(), 1);
  const seen = [(await events.next()).value];
  assert.equal(asked, 1);
  for (let k = 0; k < 2; k++) assert.equal((await events.next()).value, "quiet");
  second.resolve();
  for await (const event of events) seen.push(event);
  assert.deepEqual(
    seen.filter((event) => event !== "quiet").map((event) => (event as JobEvent).change),
    ["state", "progress"],
  );
});

Deno.test("whoever stops reading ends the events, also while one is waited for", async () => {
  let ended = 0;
  const { promise: never, resolve } = Promise.withResolvers<void>();
  const job = await new FakeJobs().submit(REQUEST);
  async function* told(): AsyncGenerator<JobEvent> {
    try {
      yield { change: "state", job };
      await never;
    } finally {
      ended++;
    }
  }
  for await (const event of withPauses(told(), FOREVER)) if (event !== "quiet") break;
  assert.equal(ended, 1);
  for await (const event of withPauses(told(), 1)) if (event === "quiet") break;
  assert.equal(ended, 1);
  resolve();
  await never;
  await new Promise((done) => setTimeout(done));
  assert.equal(ended, 2);
});

Deno.test("what fails in the middle fails for the reader, after what came before", async () => {
  async function* broken(): AsyncGenerator<JobEvent> {
    yield { change: "state", job: await new FakeJobs().submit(REQUEST) };
    throw new TypeError("no more");
  }
  const seen: unknown[] = [];
  await assert.rejects(async () => {
    for await (const event of withPauses(broken(), FOREVER)) seen.push(event);
  }, { message: "no more" });
  assert.equal(seen.length, 1);
});

/** The chunks of an answer that streams a job. */
async function chunks(
  jobs: FakeJobs,
  { id }: Job,
  onLeave?: () => Promise<unknown>,
  send: EventStreamOptions["send"] = ({ job }, stream) => stream.writeSSE({ data: job.state }),
) {
  const app = new Hono().get("/", (c) =>
    streamJob(c, {
      jobs,
      id,
      keepAliveMs: 1,
      send,
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

Deno.test("a stream ends where what it has to send is away", async () => {
  const jobs = new FakeJobs();
  const job = await jobs.submit(REQUEST);
  const { mock: said } = mock.method(console, "error", () => {});
  const reader = await chunks(
    jobs,
    job,
    undefined,
    () => Promise.reject(new Unavailable("It is away.")),
  );
  while (!(await reader.read()).done);
  said.restore();
  assert.equal(said.callCount(), 0);
  assert.equal(jobs.listeners, 0);
});
