/** Hears of jobs that any machine has changed. */
import type { Redis } from "../../../deps/ioredis.ts";
import { type JobRecord, upgraded } from "../job_record.ts";
import type { Listeners } from "../listeners.ts";
import { disconnect } from "./connection.ts";
import { CHANGES, SNAPSHOT } from "./scripts.ts";

/** Milliseconds after which what was not answered is asked again. */
const AGAIN_MS = 1000;

/** Starts to tell listeners of changes; gives what ends that. */
export function hearChanges(
  redis: Redis,
  prefix: string,
  listeners: Listeners,
): () => Promise<void> {
  let stopped = false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  // Sent now: whatever is changed by this process from here on comes after it.
  let heard = askFor(SNAPSHOT, (records) => listeners.note(records.map(({ job }) => job)));

  const subscriber = redis.duplicate({ lazyConnect: false, autoResubscribe: false });
  subscriber.on("error", () => {}); // It connects again.
  subscriber.on("message", hear);
  // Also after each reconnection, for something may have been missed meanwhile.
  subscriber.on("ready", () => void subscriber.subscribe(`${prefix}:changes`).then(hear, () => {}));
  // It only listens, and so does not notice when nobody speaks any more.
  const renew = () => subscriber.status === "ready" && subscriber.disconnect(true);
  redis.on("ready", renew);

  function hear(): void {
    heard = heard.then((last) =>
      askFor(CHANGES, (records) => records.forEach(({ job }) => listeners.tell(job)), last)
    );
  }

  /** Gives the number of the last change that was heard of. */
  async function askFor(
    script: string,
    use: (records: JobRecord[]) => void,
    last = "0",
  ): Promise<string> {
    const answer = await redis.eval(script, 1, prefix, last).catch(() => null);
    if (answer === null) {
      // What was missed is asked for later, though nothing else may happen.
      clearTimeout(timer);
      if (!stopped) timer = setTimeout(hear, AGAIN_MS);
      return last;
    }
    const [newest, texts] = answer as [string, string[]];
    if (!stopped) use(texts.map((text) => upgraded(JSON.parse(text))));
    return newest;
  }

  return async () => {
    stopped = true;
    clearTimeout(timer);
    redis.off("ready", renew);
    await disconnect(subscriber);
  };
}
