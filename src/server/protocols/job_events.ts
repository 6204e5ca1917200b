/** What becomes of a job, as server-sent events. */
import { z } from "../../deps/zod_openapi.ts";
import { type Context, type SSEStreamingApi, streamSSE } from "../../deps/hono.ts";
import type { Jobs } from "../../jobs/jobs.ts";
import type { JobEvent } from "../../jobs/queue/queue.ts";
import { Unavailable } from "../../jobs/unavailable.ts";

/** The content of an answer that is events, for the description of a route: its schema is that of each of them. */
export const EVENT_STREAM = {
  "text/event-stream": {
    schema: z.object({ event: z.string(), data: z.string(), id: z.string().optional() })
      .openapi("ServerSentEvent"),
  },
};

/** Proxies close connections on which nothing is said for so long, and longer. */
const KEEP_ALIVE_MS = 15_000;

export interface EventStreamOptions {
  readonly jobs: Pick<Jobs, "events">;
  readonly id: string;
  /** Sends what a change says. */
  readonly send: (event: JobEvent, stream: SSEStreamingApi) => Promise<void>;
  /** The client went away before the job had ended. */
  readonly onLeave?: () => Promise<unknown>;
  readonly keepAliveMs?: number;
}

/**
 * Streams a job until it has ended or nobody reads any more. While the queue is away nothing happens; where something that is to be sent
 * cannot be read, the stream ends, and who asks again gets all of it.
 */
export function streamJob(c: Context, options: EventStreamOptions): Response {
  const { jobs, id, send, onLeave, keepAliveMs = KEEP_ALIVE_MS } = options;
  // Proxies would keep events until there are many of them.
  c.header("X-Accel-Buffering", "no");
  return streamSSE(c, async (stream) => {
    const left = new AbortController();
    stream.onAbort(() => left.abort());
    try {
      for await (const event of withPauses(jobs.events(id, left.signal), keepAliveMs)) {
        if (event === "quiet") await stream.write(": still here\n\n");
        else await send(event, stream);
      }
      if (left.signal.aborted) await onLeave?.();
    } catch (error) {
      if (!(error instanceof Unavailable)) throw error;
    } finally {
      left.abort();
    }
  });
}

/**
 * Events, and "quiet" whenever there was none for so many milliseconds. Events are asked for one by one, as the reader takes them:
 * what a slow one misses is the concern of whoever tells them.
 */
export async function* withPauses(
  events: AsyncIterable<JobEvent>,
  quietMs: number,
): AsyncGenerator<JobEvent | "quiet"> {
  const iterator = events[Symbol.asyncIterator]();
  let next = iterator.next();
  try {
    while (true) {
      const result = await within(next, quietMs);
      if (result === "quiet") {
        yield result;
        continue;
      }
      if (result.done) return;
      yield result.value;
      next = iterator.next();
    }
  } finally {
    // Not waited for: an event that is asked for may come only after the caller has aborted.
    next.catch(() => {});
    iterator.return?.().catch(() => {});
  }
}

/** What comes, or "quiet" when it takes longer. */
async function within<T>(coming: Promise<T>, ms: number): Promise<T | "quiet"> {
  const { promise: over, resolve } = Promise.withResolvers<"quiet">();
  const timer = setTimeout(() => resolve("quiet"), ms);
  try {
    return await Promise.race([coming, over]);
  } finally {
    clearTimeout(timer);
  }
}
