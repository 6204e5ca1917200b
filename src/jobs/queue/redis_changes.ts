/** Hears of jobs that any machine has changed. */
import type { Redis } from "ioredis";
import { completed, type Entry } from "./entry.ts";
import type { Listeners } from "./listeners.ts";
import { disconnect } from "./redis_connection.ts";
import { CHANGES, SNAPSHOT } from "./redis_scripts.ts";

/** Starts to tell listeners of changes; gives what ends that. */
export function hearChanges(
  redis: Redis,
  prefix: string,
  listeners: Listeners,
): () => Promise<void> {
  // Sent now: whatever is changed by this process from here on comes after it.
  let heard = askFor(SNAPSHOT, (entries) => listeners.note(entries.map(({ job }) => job)));
  let stopped = false;

  const subscriber = redis.duplicate({ lazyConnect: false, autoResubscribe: false });
  subscriber.on("error", () => {}); // It connects again.
  subscriber.on("message", hear);
  // Also after each reconnection, for something may have been missed meanwhile.
  subscriber.on("ready", () => void subscriber.subscribe(`${prefix}:changes`).then(hear, () => {}));

  function hear(): void {
    heard = heard.then((last) =>
      askFor(CHANGES, (entries) => entries.forEach(({ job }) => listeners.tell(job)), last)
    );
  }

  /** Gives the number of the last change that was heard of. */
  async function askFor(
    script: string,
    use: (entries: Entry[]) => void,
    last = "0",
  ): Promise<string> {
    // Without a connection there is no answer: what was missed is asked for when it is back.
    const answer = await redis.eval(script, 1, prefix, last).catch(() => null);
    if (answer === null) return last;
    const [newest, texts] = answer as [string, string[]];
    if (!stopped) use(texts.map((text) => completed(JSON.parse(text))));
    return newest;
  }

  return async () => {
    stopped = true;
    await disconnect(subscriber);
  };
}
