import { Outage, type OutageOptions } from "../outage.ts";
import { tellUnlessAway } from "../unavailable.ts";
import type { JobQueue } from "./queue.ts";

/** A queue whose outages are known; calls to it have a time limit. */
export interface WatchedQueue extends JobQueue {
  readonly outage: Outage;
}

/** Watches a queue. It is disposed of with what this gives. */
export function watchQueue(queue: JobQueue, options: OutageOptions): WatchedQueue {
  const outage = new Outage(queue, options);
  return {
    outage,
    name: queue.name,
    check: () => outage.ask(() => queue.check()),
    add: (job) => outage.ask(() => queue.add(job)),
    get: (id) => outage.ask(() => queue.get(id)),
    list: (filter) => outage.ask(() => queue.list(filter)),
    position: (id) => outage.ask(() => queue.position(id)),
    counts: () => outage.ask(() => queue.counts()),
    cancel: (id) => outage.ask(() => queue.cancel(id)),
    retry: (id) => outage.ask(() => queue.retry(id)),
    purge: (origin) => outage.ask(() => queue.purge(origin)),
    claim: (wanted) =>
      outage.ask(() => queue.claim(wanted), {
        // Nobody would work on it until its lease is over.
        late: (lease) => lease && queue.release(lease, lease.checkpoints),
      }),
    heartbeat: (lease, seen) => outage.ask(() => queue.heartbeat(lease, seen)),
    finish: (lease, outcome) => outage.ask(() => queue.finish(lease, outcome)),
    release: (lease, checkpoints) => outage.ask(() => queue.release(lease, checkpoints)),
    listen: (listener) => queue.listen(listener),
    takeDeliveries: (limit) => outage.ask(() => queue.takeDeliveries(limit)),
    settleDelivery: (id, settlement) => outage.ask(() => queue.settleDelivery(id, settlement)),
    remove: (id) => outage.ask(() => queue.remove(id)),
    forget: (endedBefore) => outage.ask(() => queue.forget(endedBefore)),
    async [Symbol.asyncDispose]() {
      outage[Symbol.dispose]();
      // One that does not answer is left as it is: the process is about to end.
      await outage.ask(async () => await queue[Symbol.asyncDispose]()).catch(tellUnlessAway);
    },
  };
}
