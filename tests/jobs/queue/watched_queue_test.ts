/** A queue that is watched: what has no place in the tests of `Outage`. */
import assert from "../../assert.ts";
import { watchQueue } from "../../../src/jobs/queue/watched_queue.ts";
import { Unavailable } from "../../../src/jobs/unavailable.ts";
import { JobPlace, queueWith } from "../job_place.ts";

/** Milliseconds that a call may take. */
const PATIENCE_MS = 30;

Deno.test("a job that is given away too late is given back, as the same attempt", async () => {
  await using place = await JobPlace.open();
  await place.add();
  const slow = Promise.withResolvers<void>();
  const released = Promise.withResolvers<void>();
  const watched = watchQueue(
    queueWith(place.queue, {
      claim: async (wanted) => {
        await slow.promise;
        return await place.queue.claim(wanted);
      },
      release: async (...about) => {
        const isOurs = await place.queue.release(...about);
        released.resolve();
        return isOurs;
      },
    }),
    { warn: () => {}, patienceMs: PATIENCE_MS },
  );
  await assert.rejects(watched.claim(), Unavailable);
  slow.resolve();
  await released.promise;
  const { state, attempts } = await place.job();
  assert.deepEqual({ state, attempts }, { state: "queued", attempts: 0 });
  watched.outage[Symbol.dispose]();
});

Deno.test("a queue that does not answer when it is closed is left as it is", async () => {
  await using place = await JobPlace.open();
  const never = new Promise<never>(() => {});
  const queue = queueWith(place.queue, { [Symbol.asyncDispose]: () => never });
  const told: string[] = [];
  const options = { warn: (line: string) => void told.push(line), patienceMs: PATIENCE_MS };
  await watchQueue(queue, options)[Symbol.asyncDispose]();
  assert.deepEqual(told, []);
});
