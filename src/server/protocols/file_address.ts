import type { JobFile } from "../../jobs/job.ts";
import type { Jobs } from "../../jobs/jobs.ts";

/** Where this server has a file of a job. */
export function filePath(id: string, { name }: Pick<JobFile, "name">): string {
  return `/jobs/${id}/files/${name}`;
}

/**
 * Where clients get a file that send no token when they fetch it: its address where the store has one; otherwise one of ours; without
 * that a data: URL, which is the file itself. Null where it is gone.
 *
 * @param addressOf Gives the address of a path of this server that needs no token; null: there is none, or the protocol wants the file.
 */
export async function fileAddress(
  jobs: Pick<Jobs, "link" | "read">,
  id: string,
  file: JobFile,
  addressOf: ((path: string) => string) | null = null,
): Promise<string | null> {
  const link = await jobs.link(id, file.name);
  if (link !== null) return link;
  if (addressOf !== null) return addressOf(filePath(id, file));
  const content = await fileBase64(jobs, id, file);
  return content && `data:${file.type};base64,${content}`;
}

/** A file itself, in base64; null where it is gone. */
export async function fileBase64(
  jobs: Pick<Jobs, "read">,
  id: string,
  { name }: JobFile,
): Promise<string | null> {
  const stored = await jobs.read(id, name);
  return stored && (await new Response(stored.body).bytes()).toBase64();
}

/** Results in the order of the pictures, each before its inner resolutions: they are made in another one. */
export function inOrder(files: readonly JobFile[]): JobFile[] {
  return files.toSorted((a, b) => a.picture - b.picture || a.level - b.level);
}
