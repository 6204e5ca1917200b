import { Unavailable } from "../unavailable.ts";
import type { WatchedStore } from "./watched_store.ts";

/**
 * Removes all files of jobs that are forgotten: where the store is away, as soon as it is there again.
 */
export async function removeFiles(
  store: WatchedStore,
  jobs: readonly string[],
): Promise<void> {
  for (const [at, job] of jobs.entries()) {
    try {
      await store.remove(job);
    } catch (error) {
      if (!(error instanceof Unavailable)) throw error;
      return store.outage.afterwards(() => removeFiles(store, jobs.slice(at)));
    }
  }
}
