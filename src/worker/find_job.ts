import type { Job, JobFile } from "../jobs/job.ts";
import type { Jobs } from "../jobs/jobs.ts";
import type { StoredFile } from "../jobs/store/store.ts";
import { HttpError, notFound } from "./http_error.ts";

/** What an id can be. */
export const JOB_ID = /^[\w-]{1,128}$/;

/** @throws {HttpError} Where there is no such job; what cannot be an id never reaches the queue. */
export async function findJob(jobs: Pick<Jobs, "get">, id: string): Promise<Job> {
  const job = JOB_ID.test(id) ? await jobs.get(id) : null;
  return job ?? fail(notFound());
}

/**
 * A result or a preview, and its content. Names are looked up in the job, so that a client can ask for no others.
 *
 * @throws {HttpError} Where there is no such file.
 */
export async function findFile(
  jobs: Pick<Jobs, "read">,
  { id, files, progress }: Job,
  name: string,
) {
  const file = [...files, ...progress.previews].find((known) => known.name === name);
  const content = file && await jobs.read(id, file.name);
  return file && content ? { file, content } : fail(new HttpError(404, "There is no such file."));
}

/** The headers that a file of a job is sent with. */
export function fileHeaders(
  { id }: Pick<Job, "id">,
  { name, type }: JobFile,
  { bytes }: StoredFile,
): Record<string, string> {
  return {
    "Content-Type": type,
    "Content-Length": String(bytes),
    "Content-Disposition": `inline; filename="${id}-${name}"`,
  };
}

function fail(error: HttpError): never {
  throw error;
}
