import { Outage, type OutageOptions } from "../outage.ts";
import { tellUnlessAway, Unavailable } from "../unavailable.ts";
import type { ResultStore } from "./store.ts";

/** Milliseconds that writing a file, or removing many, may take: nobody who asks by HTTP waits for it. */
const WRITE_MS = 60_000;

/** Milliseconds that a reader waits for the next part of a file. */
const STALL_MS = 10_000;

/** A store whose outages are known; calls to it, and files that are read from it, have a time limit. */
export interface WatchedStore extends ResultStore {
  readonly outage: Outage;
}

export interface WatchedStoreOptions extends OutageOptions {
  /** Whether this process writes files. */
  readonly writes: boolean;
  readonly stallMs?: number;
}

/** Watches a store. It is disposed of with what this gives. */
export function watchStore(store: ResultStore, options: WatchedStoreOptions): WatchedStore {
  const { writes, stallMs = STALL_MS } = options;
  const outage = new Outage({ name: store.name, check: () => store.check(writes) }, options);

  /** A body that fails where nothing more comes of it, which is no outage yet: it may be this connection alone. */
  function limited(body: ReadableStream<Uint8Array<ArrayBuffer>>) {
    const reader = body.getReader();
    return new ReadableStream<Uint8Array<ArrayBuffer>>({
      async pull(controller) {
        const { promise: stalled, reject } = Promise.withResolvers<never>();
        const timer = setTimeout(
          () => reject(new Unavailable(`Cannot use ${store.name}: a file came only in part.`)),
          stallMs,
        );
        try {
          const { done, value } = await Promise.race([reader.read(), stalled]);
          if (done) controller.close();
          else controller.enqueue(value);
        } catch (error) {
          reader.cancel(error).catch(() => {}); // Who reads hears of the first error.
          throw error;
        } finally {
          clearTimeout(timer);
        }
      },
      cancel: (reason) => reader.cancel(reason),
    }, { highWaterMark: 0 });
  }

  return {
    outage,
    name: store.name,
    check: (writing) => outage.ask(() => store.check(writing)),
    put: (...file) => outage.ask(() => store.put(...file), { patienceMs: WRITE_MS }),
    async get(...file) {
      const found = await outage.ask(() => store.get(...file), {
        late: (late) => late?.body.cancel(),
      });
      return found && { ...found, body: limited(found.body) };
    },
    has: (job, name) => outage.ask(() => store.has(job, name)),
    link: (job, name) => store.link(job, name),
    remove: (job) => outage.ask(() => store.remove(job), { patienceMs: WRITE_MS }),
    async [Symbol.asyncDispose]() {
      outage[Symbol.dispose]();
      await outage.ask(async () => await store[Symbol.asyncDispose]()).catch(tellUnlessAway);
    },
  };
}
