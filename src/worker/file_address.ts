import type { JobFile } from "../jobs/job.ts";
import type { Jobs } from "../jobs/jobs.ts";

/**
 * Where clients of Replicate and RunPod get a file, for they send no token when they fetch it: its address where the store has
 * one, otherwise a data: URL that is the file itself. Null where it is gone.
 */
export async function fileAddress(
  jobs: Pick<Jobs, "link" | "read">,
  id: string,
  { name, type }: JobFile,
): Promise<string | null> {
  const link = await jobs.link(id, name);
  if (link !== null) return link;
  const file = await jobs.read(id, name);
  if (file === null) return null;
  const content = await new Response(file.body).bytes();
  return `data:${type};base64,${content.toBase64()}`;
}

/** Results in the order of the pictures, each before its inner resolutions: they are made in another one. */
export function inOrder(files: readonly JobFile[]): JobFile[] {
  return files.toSorted((a, b) => a.picture - b.picture || a.level - b.level);
}
