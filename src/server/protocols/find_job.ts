import type { Job } from "../../jobs/job.ts";
import type { Jobs } from "../../jobs/jobs.ts";
import { type HttpError, notFound } from "../http/http_error.ts";

/** What an id can be. */
export const JOB_ID = /^[\w-]{1,128}$/;

/** @throws {HttpError} Where there is no such job; what cannot be an id never reaches the queue. */
export async function findJob(jobs: Pick<Jobs, "get">, id: string): Promise<Job> {
  const job = JOB_ID.test(id) ? await jobs.get(id) : null;
  return job ?? fail(notFound());
}

function fail(error: HttpError): never {
  throw error;
}
