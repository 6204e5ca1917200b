import assert from "../assert.ts";
import { mock } from "node:test";
import { MdmError } from "../../src/errors.ts";
import { isEnded } from "../../src/jobs/job.ts";

import { Runner, type RunnerOptions } from "../../src/jobs/runner.ts";
import { Outage } from "../../src/jobs/outage.ts";
import type { Wanted } from "../../src/jobs/queue/queue.ts";
import { Unavailable } from "../../src/jobs/unavailable.ts";
import { type Ask, JobPlace, made, queueWith } from "./job_place.ts";

/** Gives a place with a runner at work; both are ended after, whatever is left is given back. */
async function running(
  use: (place: JobPlace, runner: Runner) => Promise<void>,
  different: (place: JobPlace) => Partial<RunnerOptions> = () => ({}),
): Promise<void> {
  await using place = await JobPlace.open();
  const runner = new Runner(place.options(different(place)));
  try {
    await use(place, runner);
  } finally {
    await runner.drain(0);
  }
}

/** Waits until the runner has looked at the queue once more and found nothing to take. */
async function settled(place: JobPlace, runner: Runner): Promise<void> {
  const looked = Promise.withResolvers<void>();
  const { claim } = place.queue;
  const { mock: watched } = mock.method(place.queue, "claim", async (wanted?: Wanted) => {
    const lease = await claim.call(place.queue, wanted);
    if (lease === null) looked.resolve();
    return lease;
  });
  runner.wake();
  await looked.promise;
  watched.restore();
}

const seeds = (asks: readonly Ask[]) => asks.map(({ seed }) => Number(seed));

Deno.test("no more jobs are taken than there are slots for, and the next one when one is free", async () => {
  await running(async (place, runner) => {
    for (const seed of ["1", "2", "3"]) await place.add({ seed });
    const asks = await place.engine.asked(2);
    await settled(place, runner);
    assert.deepEqual(seeds(asks), [1, 2]);
    assert.equal((await place.job("job-2")).state, "queued");
    asks[1]!.end(made());
    assert.deepEqual(seeds(await place.engine.asked(3)), [1, 2, 3]);
  });
});

Deno.test("a job has all slots of its images, and an image that is made leaves its own to another job", async () => {
  await running(async (place, runner) => {
    await place.add({ seed: "1", count: 2 });
    await place.add({ seed: "3" });
    const asks = await place.engine.asked(2);
    await settled(place, runner);
    assert.deepEqual(seeds(asks), [1, 2]);
    asks[0]!.end(made());
    assert.deepEqual(seeds(await place.engine.asked(3)), [1, 2, 3]);
  });
});

Deno.test("what is more urgent comes beside what runs, but no more of it than there are slots", async () => {
  await running(async (place, runner) => {
    for (const seed of ["1", "2", "3"]) await place.add({ seed });
    await place.engine.asked(2);
    for (const seed of ["11", "12", "13"]) await place.add({ seed }, { priority: 5 });
    const asks = await place.engine.asked(4);
    await settled(place, runner);
    assert.deepEqual(seeds(asks), [1, 2, 11, 12]);
    await place.add({ seed: "21" }, { priority: 9 });
    await place.engine.asked(5);
    await settled(place, runner);
    assert.deepEqual(seeds(asks), [1, 2, 11, 12, 21]);
  });
});

Deno.test("jobs that ask for what is being made come at once, though no slot is free", async () => {
  await running(async (place) => {
    place.engine.slots = 1;
    for (const seed of ["1", "2", "1"]) await place.add({ seed });
    const asks = await place.engine.asked(2);
    assert.deepEqual(seeds(asks), [1, 1]);
  });
});

Deno.test("an engine that is not ready gets no jobs until it is", async () => {
  await using place = await JobPlace.open();
  place.engine.slots = 0;
  let claims = 0;
  const queue = queueWith(place.queue, {
    claim: (wanted) => {
      claims++;
      return place.queue.claim(wanted);
    },
  });
  const runner = new Runner(place.options({ queue }));
  await place.add();
  runner.wake();
  await new Promise((resolve) => setTimeout(resolve));
  assert.equal(claims, 0);
  place.engine.slots = 1;
  runner.wake();
  await place.engine.asked(1);
  await runner.drain(0);
});

Deno.test("a queue that cannot be reached is asked again", async () => {
  const quiet = mock.method(console, "error", () => {});
  try {
    let claims = 0;
    await running(
      async (place, runner) => {
        await place.add();
        while (claims < 2) {
          runner.wake();
          await new Promise((resolve) => setTimeout(resolve));
        }
        await place.engine.asked(1);
      },
      ({ queue }) => ({
        queue: queueWith(queue, {
          claim: (wanted) =>
            ++claims <= 2 ? Promise.reject(new MdmError("No answer.")) : queue.claim(wanted),
        }),
      }),
    );
    assert.ok(quiet.mock.callCount() >= 2);
  } finally {
    quiet.mock.restore();
  }
});

Deno.test("a run that cannot tell the queue leaves its slot to the next job", async () => {
  const quiet = mock.method(console, "error", () => {});
  try {
    await running(
      async (place) => {
        place.engine.slots = 1;
        await place.add({ seed: "1" });
        await place.add({ seed: "2" });
        const [first] = await place.engine.asked(1);
        first!.end(made());
        assert.deepEqual(seeds(await place.engine.asked(2)), [1, 2]);
      },
      ({ queue }) => ({
        leaseMs: 0,
        queue: queueWith(queue, {
          heartbeat: () => Promise.resolve("alive"),
          finish: () => Promise.reject(new MdmError("No answer.")),
        }),
      }),
    );
  } finally {
    quiet.mock.restore();
  }
});

Deno.test("with grace enough what runs is finished, and nothing else is begun", async () => {
  await using place = await JobPlace.open();
  place.engine.slots = 1;
  const runner = new Runner(place.options());
  await place.add({ seed: "1" });
  await place.add({ seed: "2" });
  const [ask] = await place.engine.asked(1);
  const drained = runner.drain(60_000);
  ask!.end(made());
  await drained;
  assert.equal((await place.job("job-0")).state, "succeeded");
  const { state, attempts } = await place.job("job-1");
  assert.deepEqual({ state, attempts }, { state: "queued", attempts: 0 });
});

Deno.test("without grace what runs is given back, as far as it is", async () => {
  await using place = await JobPlace.open();
  const runner = new Runner(place.options());
  await place.add({ count: 2 });
  const [first, second] = await place.engine.asked(2);
  const kept = Promise.withResolvers<void>();
  const unlisten = place.queue.listen(({ change }) => change === "file" && kept.resolve());
  first!.end(made());
  await kept.promise;
  unlisten();
  const saved = {
    step: 1,
    weights: "0a",
    latents: [Float32Array.of(1)],
    estimates: [Float32Array.of(2)],
  };
  place.engine.save = () => second!.end({ kind: "saved", id: "", saved });
  await runner.drain(0);
  const { state, attempts, files } = await place.job();
  assert.deepEqual({ state, attempts }, { state: "queued", attempts: 0 });
  assert.deepEqual(files.map(({ name }) => name), ["0.png"]);
  assert.deepEqual(place.names, ["job-0/0.png", "job-0/checkpoint-1.safetensors"]);
});

Deno.test("a job that has asked for no image yet when all are stopped is given back as well", async () => {
  await using place = await JobPlace.open();
  const [asked, answer] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const before = async () => {
    asked.resolve();
    await answer.promise;
    return { allow: true } as const;
  };
  const after = before;
  const runner = new Runner(place.options({ moderator: { before, after } }));
  await place.add();
  await asked.promise;
  place.engine.save = answer.resolve;
  await runner.drain(0);
  assert.deepEqual(place.engine.asks, []);
  const job = await place.job();
  assert.deepEqual([job.state, isEnded(job)], ["queued", false]);
});

Deno.test("a job that is canceled frees its slot", async () => {
  await running(async (place) => {
    place.engine.slots = 1;
    await place.add({ seed: "1" });
    await place.add({ seed: "2" });
    await place.engine.asked(1);
    await place.queue.cancel("job-0");
    assert.deepEqual(seeds(await place.engine.asked(2)), [1, 2]);
  });
});

Deno.test("no jobs are taken while something is away, nor before those who had some could say so", async () => {
  let away: string | null = "It is away.";
  const store = {
    name: "the store",
    check: () => away === null ? Promise.resolve() : Promise.reject(new Unavailable(away)),
  };
  using outage = new Outage(store, { warn: () => {}, lookMs: 1 });
  await outage.look();
  let claims = 0;
  await running(
    async (place, runner) => {
      await place.add();
      runner.wake();
      await new Promise((resolve) => setTimeout(resolve));
      away = null;
      while (outage.reason !== null) await new Promise((resolve) => setTimeout(resolve, 1));
      runner.wake();
      await new Promise((resolve) => setTimeout(resolve));
      assert.equal(claims, 0);
      await place.engine.asked(1);
      assert.ok(outage.isThere(2000));
    },
    ({ queue }) => ({
      outages: [outage],
      queue: queueWith(queue, {
        claim: (wanted) => {
          claims++;
          return queue.claim(wanted);
        },
      }),
    }),
  );
});

Deno.test("what waits for a store that is away does not keep the process from ending", async () => {
  await using place = await JobPlace.open();
  const waiting = Promise.withResolvers<void>();
  place.store.put = () => {
    waiting.resolve();
    return Promise.reject(new Unavailable("It is away."));
  };
  const runner = new Runner(place.options());
  await place.add();
  (await place.engine.asked(1))[0]!.end(made());
  await waiting.promise;
  await runner.drain(0);
  const { state, attempts, files } = await place.job();
  assert.deepEqual({ state, attempts, files }, { state: "queued", attempts: 0, files: [] });
});
