/** What becomes of a job, as server-sent events. */
import type { Context } from "hono";
import { type SSEStreamingApi, streamSSE } from "hono/streaming";
import type { Jobs } from "../jobs/jobs.ts";
import type { JobEvent } from "../jobs/queue/queue.ts";

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

/** Streams a job until it has ended or nobody reads any more. */
export function streamJob(c: Context, options: EventStreamOptions): Response {
  const { jobs, id, send, onLeave, keepAliveMs = KEEP_ALIVE_MS } = options;
  // Proxies would keep events until there are many of them.
  c.header("X-Accel-Buffering", "no");
  return streamSSE(c, async (stream) => {
    const left = new AbortController();
    stream.onAbort(() => left.abort());
    try {
      for await (const event of newest(jobs.events(id, left.signal), keepAliveMs)) {
        if (event === "quiet") await stream.write(": still here\n\n");
        else await send(event, stream);
      }
      if (left.signal.aborted) await onLeave?.();
    } finally {
      left.abort();
    }
  });
}

/**
 * Events as a reader takes them. While it takes none, a newer one stands for an older one of its kind, so that what waits for a slow
 * reader does not grow. "quiet": for so many milliseconds there was none.
 */
export async function* newest(
  events: AsyncIterable<JobEvent>,
  quietMs: number,
): AsyncGenerator<JobEvent | "quiet"> {
  const waiting = new Map<string, JobEvent>();
  let wake = () => {};
  let ended = false;
  const reading = (async () => {
    for await (const event of events) {
      const kind = `${event.change} ${event.file?.name}`;
      waiting.delete(kind);
      waiting.set(kind, event);
      wake();
    }
  })().finally(() => {
    ended = true;
    wake();
  });
  // A failure is thrown below, after what came before it.
  reading.catch(() => {});
  while (true) {
    const [first] = waiting;
    if (first !== undefined) {
      waiting.delete(first[0]);
      yield first[1];
    } else if (ended) {
      return await reading;
    } else if (await quiet(quietMs, (woken) => wake = woken)) {
      yield "quiet";
    }
  }
}

/** Waits to be woken; true: nobody did in so many milliseconds. */
function quiet(ms: number, onWake: (wake: () => void) => void): Promise<boolean> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(true), ms);
    onWake(() => {
      clearTimeout(timer);
      resolve(false);
    });
  });
}
