/** Sends files of jobs. */
import { z } from "../../deps/zod_openapi.ts";
import type { Context } from "../../deps/hono.ts";
import type { Job, JobFile } from "../../jobs/job.ts";
import type { Jobs } from "../../jobs/jobs.ts";
import { HttpError } from "../http/http_error.ts";
import { etagOf, sendContent } from "../http/send_content.ts";

/** What browsers need to show a picture or play a video in a tab of its own: they style it, and fetch a video once more. */
const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "img-src 'self'",
  "media-src 'self'",
  "style-src 'unsafe-inline'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

/** What can be said in the headers of a request for a file. */
export const FileHeaders = z.object({
  range: z.string().optional().describe(
    "`bytes=0-99`, `bytes=100-` or `bytes=-100`: send that part. All is sent where several parts are asked for.",
  ),
  "if-range": z.string().optional().describe(
    "The `ETag` that parts are of: where the file has another one, all of it is sent.",
  ),
  "if-none-match": z.string().optional().describe(
    "The `ETag` of what is there already: it is not sent again.",
  ),
});

/** The good answers of a route that sends files of these types. */
export function fileResponses(types: readonly string[]) {
  const content = Object.fromEntries(types.map((type) => [type, { schema: z.string() }]));
  return {
    200: { description: "The file.", content },
    206: { description: "The part of it that was asked for.", content },
    304: { description: "It is the one that the client has." },
  };
}

/**
 * Answers a request for a result or a preview. Names are looked up in the job, so that a client can ask for no others.
 *
 * @throws {HttpError} Where there is no such file; as `sendContent` does.
 */
export async function sendFile(
  c: Context,
  jobs: Pick<Jobs, "read">,
  job: Job,
  name: string,
): Promise<Response> {
  const { id, createdAt, startedAt, attempts, files, progress: { previews } } = job;
  const file = [...files, ...previews].find((known) => known.name === name) ??
    await olderPreview(jobs, job, name);
  if (file === null) throw new HttpError(404, "There is no such file.");
  const { type, bytes } = file;
  return await sendContent(c, {
    // A name is written once by who makes the job. A job of the same id, or made once more, has begun at another time.
    etag: etagOf(JSON.stringify([id, createdAt, startedAt, attempts, name])),
    type,
    bytes,
    headers: {
      "Content-Security-Policy": CONTENT_SECURITY_POLICY,
      "Content-Disposition": `inline; filename="${id}-${name}"`,
      // Under one name there is ever the same.
      "Cache-Control": "private, max-age=31536000, immutable",
    },
    async read(range) {
      const stored = await jobs.read(id, name, range);
      if (stored === null || stored.bytes === bytes) return stored && stored.body;
      // It is not the one that was made.
      await stored.body.cancel();
      return null;
    },
  });
}

/** A preview that a newer one has followed since the client was told of it: it is kept as long as its job. */
async function olderPreview(
  jobs: Pick<Jobs, "read">,
  { id, progress: { previews } }: Job,
  name: string,
): Promise<JobFile | null> {
  const newest = previews.find((known) => series(known.name) === series(name));
  const stored = newest && await jobs.read(id, name, { first: 0, last: 0 });
  if (!newest || !stored) return null;
  await stored.body.cancel();
  return { ...newest, name, bytes: stored.bytes };
}

/** What the names of all previews of a picture's resolution have in common. */
function series(name: string): string {
  return name.replace(/^(preview-\d+)-\d+-/, "$1-");
}
