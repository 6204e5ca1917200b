import type { Job } from "../../../src/jobs/job.ts";

/** A job that succeeded, but for what is given. */
export function aJob(different: Partial<Job> = {}): Job {
  return {
    id: "job",
    origin: "plain",
    note: null,
    request: { prompts: ["a star"], count: 1, seed: "7", levels: false, preview: false },
    priority: 0,
    beginBy: null,
    deadline: null,
    webhook: null,
    state: "succeeded",
    attempts: 1,
    createdAt: 0,
    startedAt: 1,
    finishedAt: 2,
    progress: { step: 0, steps: 0, etaMs: null, previews: [] },
    files: [],
    error: null,
    warnings: [],
    timings: null,
    ...different,
  };
}
