/** Numbers about the server, for Prometheus. */
import { createRoute, OpenAPIHono, z } from "../../deps/zod_openapi.ts";
import { Counter, Gauge, Histogram, Registry } from "../../deps/prom_client.ts";
import { type Job, JOB_STATES } from "../../jobs/job.ts";
import { type Health, takesJobs } from "../../jobs/jobs.ts";
import type { ProtocolFactory } from "./protocol.ts";
import { nativeError } from "../protocols/native/error.ts";

/** Seconds of a step: 1 ms on a large GPU, 30 s of a large model on none. */
const STEP_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
const JOB_BUCKETS = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600];

/** What is counted. Those who do something say so; how the server is now is asked when the numbers are. */
export class Metrics {
  readonly #registry = new Registry();
  readonly #registers = { registers: [this.#registry] };

  readonly #ready = new Gauge({
    name: "mdm_ready",
    help: "1: jobs can be taken; 0: not.",
    ...this.#registers,
  });
  readonly #away = new Gauge({
    name: "mdm_away",
    help: "1: the queue or the store is away, and numbers of jobs are as they were before; 0: not.",
    ...this.#registers,
  });
  readonly #queued = new Gauge({
    name: "mdm_queue_depth",
    help: "Jobs that wait.",
    ...this.#registers,
  });
  readonly #jobs = new Gauge({
    name: "mdm_jobs",
    help: "Jobs that are kept, by state.",
    labelNames: ["state"] as const,
    ...this.#registers,
  });
  readonly #slots = new Gauge({
    name: "mdm_slots",
    help: "Pictures that can be made together.",
    ...this.#registers,
  });
  readonly #busySlots = new Gauge({
    name: "mdm_slots_busy",
    help: "Pictures that are being made.",
    ...this.#registers,
  });
  readonly #ended = new Counter({
    name: "mdm_jobs_ended_total",
    help: "Jobs that have ended, by outcome and the protocol that they came by.",
    labelNames: ["outcome", "origin"] as const,
    ...this.#registers,
  });
  readonly #jobSeconds = new Histogram({
    name: "mdm_job_seconds",
    help: "From a job's coming to its end.",
    labelNames: ["outcome"] as const,
    buckets: JOB_BUCKETS,
    ...this.#registers,
  });
  readonly #stepSeconds = new Histogram({
    name: "mdm_step_seconds",
    help: "A step of all pictures that are made together.",
    buckets: STEP_BUCKETS,
    ...this.#registers,
  });
  readonly #stepPictures = new Counter({
    name: "mdm_step_pictures_total",
    help: "Pictures that steps were made of: over the number of steps, how full they were.",
    ...this.#registers,
  });
  readonly #pictures = new Counter({
    name: "mdm_pictures_total",
    help: "Pictures and videos that were made.",
    ...this.#registers,
  });
  readonly #gpuSeconds = new Counter({
    name: "mdm_gpu_seconds_total",
    help: "Seconds of the GPU that jobs have to answer for.",
    ...this.#registers,
  });
  readonly #deliveries = new Counter({
    name: "mdm_webhook_deliveries_total",
    help: "Webhooks that were called, by what came of it.",
    labelNames: ["result"] as const,
    ...this.#registers,
  });
  readonly #memory = new Gauge({
    name: "process_resident_memory_bytes",
    help: "Memory that the process has.",
    ...this.#registers,
  });
  readonly #coldStart = new Gauge({
    name: "mdm_cold_start_seconds",
    help: "What the start took, by part.",
    labelNames: ["part"] as const,
    ...this.#registers,
  });

  /** A step of so many pictures took so many milliseconds. */
  step(ms: number, pictures: number): void {
    this.#stepSeconds.observe(ms / 1000);
    this.#stepPictures.inc(pictures);
  }

  /** A picture is there. */
  picture(): void {
    this.#pictures.inc();
  }

  /** A job has ended, so many seconds after it came. */
  jobEnded(outcome: Job["state"], origin: string, seconds: number): void {
    this.#ended.inc({ outcome, origin });
    this.#jobSeconds.observe({ outcome }, seconds);
  }

  /** A job has to answer for seconds of the GPU. */
  gpu(seconds: number): void {
    this.#gpuSeconds.inc(seconds);
  }

  /** A webhook was called. */
  delivery(result: "delivered" | "failed" | "dropped"): void {
    this.#deliveries.inc({ result });
  }

  /** A part of the start ("device", "weights") took so many milliseconds. */
  coldStart(part: string, ms: number): void {
    this.#coldStart.set({ part }, ms / 1000);
  }

  /** All of it in Prometheus's text format. */
  async text(health: Health): Promise<string> {
    const { slots, jobs, away } = health;
    this.#ready.set(takesJobs(health) ? 1 : 0);
    this.#away.set(away === null ? 0 : 1);
    this.#queued.set(jobs.queued);
    for (const state of JOB_STATES) this.#jobs.set({ state }, jobs[state]);
    this.#slots.set(slots.all);
    this.#busySlots.set(slots.busy);
    this.#memory.set(Deno.memoryUsage().rss);
    return await this.#registry.metrics();
  }

  get contentType(): string {
    return this.#registry.contentType;
  }
}

/** `/metrics`. */
export function metricsPage(metrics: Metrics): ProtocolFactory {
  return ({ jobs }) => {
    const app = new OpenAPIHono();
    app.openapi(
      createRoute({
        method: "get",
        path: "/metrics",
        tags: ["Probes"],
        summary: "Numbers for Prometheus",
        responses: {
          200: { description: "Metrics.", content: { "text/plain": { schema: z.string() } } },
        },
      }),
      async (c) =>
        c.text(await metrics.text(await jobs.health()), 200, {
          "Content-Type": metrics.contentType,
        }),
    );
    return { routes: app, onError: nativeError };
  };
}
