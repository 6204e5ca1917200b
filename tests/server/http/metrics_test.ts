/** Numbers for Prometheus. */
import assert from "../../assert.ts";
import { Metrics, metricsPage } from "../../../src/server/http/metrics.ts";
import { FakeJobs } from "../fake_jobs.ts";
import { appOf } from "../server.ts";

const REQUEST = { prompts: ["a star"], count: 1, seed: "1", levels: false, preview: false };

Deno.test("what was counted and how the server is can be scraped", async () => {
  const jobs = new FakeJobs();
  const metrics = new Metrics();
  const app = appOf(jobs, [metricsPage(metrics)]);
  const { id } = await jobs.submit(REQUEST);
  await jobs.submit(REQUEST);
  jobs.begin(id);
  metrics.coldStart("weights", 1500);
  metrics.step(40, 1);
  metrics.step(2000, 4);
  metrics.picture();
  metrics.gpu(0.25);
  metrics.jobEnded("succeeded", "cog", 3);
  metrics.delivery("delivered");
  const response = await app.request("/metrics");
  assert.match(response.headers.get("Content-Type")!, /^text\/plain; version=0\.0\.4/);
  const lines = (await response.text()).split("\n");
  for (
    const line of [
      "mdm_ready 1",
      "mdm_away 0",
      "mdm_queue_depth 1",
      `mdm_jobs{state="running"} 1`,
      `mdm_jobs{state="failed"} 0`,
      "mdm_slots 4",
      "mdm_slots_busy 1",
      `mdm_cold_start_seconds{part="weights"} 1.5`,
      `mdm_step_seconds_bucket{le="0.05"} 1`,
      "mdm_step_seconds_count 2",
      "mdm_step_pictures_total 5",
      "mdm_pictures_total 1",
      "mdm_gpu_seconds_total 0.25",
      `mdm_jobs_ended_total{outcome="succeeded",origin="cog"} 1`,
      `mdm_job_seconds_sum{outcome="succeeded"} 3`,
      `mdm_webhook_deliveries_total{result="delivered"} 1`,
    ]
  ) assert.ok(lines.includes(line), line);
  assert.ok(lines.some((line) => /^process_resident_memory_bytes \d{7,}$/.test(line)));
  assert.ok(lines.every((line) => line === "" || /^(# (HELP|TYPE) )?(mdm|process)_/.test(line)));
});

Deno.test("two servers in one process count apart", async () => {
  const [one, other] = [new Metrics(), new Metrics()];
  one.picture();
  const health = await new FakeJobs().health();
  assert.match(await one.text(health), /mdm_pictures_total 1\n/);
  assert.match(await other.text(health), /mdm_pictures_total 0\n/);
});

Deno.test("that something is away is a number, and the others are there all the same", async () => {
  const jobs = new FakeJobs();
  await jobs.submit(REQUEST);
  jobs.away = "The queue is away.";
  const lines = (await new Metrics().text(await jobs.health())).split("\n");
  for (const line of ["mdm_ready 0", "mdm_away 1", "mdm_queue_depth 1"]) {
    assert.ok(lines.includes(line), line);
  }
});
