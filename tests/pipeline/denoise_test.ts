import assert from "../assert.ts";
import type { FeatureCacheSchedule } from "../../src/diffusion/feature_cache.ts";
import type { Batch, SampledImage } from "../../src/pipeline/batch.ts";
import { denoise, type DenoisingOptions } from "../../src/pipeline/denoise.ts";
import { within } from "../within.ts";

/** An image of so many steps. */
function image(steps: number): SampledImage {
  return { plan: { times: Array(steps).fill(0) } } as unknown as SampledImage;
}

/** A batch that keeps a log, on a GPU that does a step when the test says so. */
class FakeBatch {
  readonly log: string[] = [];
  readonly steps = new Map<SampledImage, number>();
  /** Of each step that was submitted. */
  readonly gpu: PromiseWithResolvers<number | void>[] = [];
  kind = { inner: "always" };
  /** What reading an image gives. */
  result: () => Promise<unknown> = () => Promise.resolve("levels");

  constructor(...images: readonly SampledImage[]) {
    for (const image of images) this.steps.set(image, 0);
  }

  get images(): SampledImage[] {
    return [...this.steps.keys()];
  }

  step({ inner }: { readonly inner: boolean }): SampledImage[] {
    this.log.push(inner ? "step" : "step without inner UNets");
    for (const [image, step] of this.steps) this.steps.set(image, step + 1);
    return this.images.filter((image) => this.steps.get(image) === image.plan.times.length);
  }

  finish(): Promise<void> {
    return this.#submitted() as Promise<void>;
  }

  readChange(): Promise<number> {
    this.log.push("measure");
    return this.#submitted() as Promise<number>;
  }

  #submitted(): Promise<number | void> {
    const step = Promise.withResolvers<number | void>();
    this.gpu.push(step);
    return step.promise;
  }

  stepsOf(image: SampledImage): number {
    return this.steps.get(image)!;
  }

  read(image: SampledImage): Promise<unknown> {
    assert.ok(this.steps.has(image));
    this.log.push("read");
    return this.result();
  }

  remove(image: SampledImage): void {
    this.log.push("remove");
    this.steps.delete(image);
  }

  /** The loop over this batch. */
  denoise(options?: DenoisingOptions) {
    return denoise(this as unknown as Batch, options);
  }
}

/** Whether a promise has settled, once all is done that can be. */
async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  let settled = false;
  promise.then(() => settled = true, () => settled = true);
  await new Promise((resolve) => setTimeout(resolve));
  return settled;
}

Deno.test("two steps are on the GPU at a time, and all are done at the end", async () => {
  const batch = new FakeBatch(image(3));
  const loop = batch.denoise();
  await within(1, "a step", loop.next());
  const second = loop.next();
  assert.equal(batch.gpu.length, 2);
  assert.equal(await isSettled(second), false);
  batch.gpu[0]!.resolve();
  await within(1, "a step", second);
  const third = loop.next();
  assert.equal(batch.gpu.length, 3);
  assert.equal(await isSettled(third), false);
  batch.gpu[1]!.resolve();
  await within(1, "a step", third);
  const end = loop.next();
  assert.equal(await isSettled(end), false);
  batch.gpu[2]!.resolve();
  assert.equal((await within(1, "the end", end)).done, true);
});

Deno.test("an image is read after its last step, leaves the batch, and others come between two steps", async () => {
  const [short, long, late] = [image(1), image(2), image(1)];
  const batch = new FakeBatch(short, long);
  const seen: unknown[] = [];
  for await (const { steps, finished } of batch.denoise()) {
    batch.gpu.at(-1)!.resolve();
    if (seen.length === 0) batch.steps.set(late, 0);
    seen.push([[...steps.values()], [...finished.keys()], await Promise.all(finished.values())]);
  }
  assert.deepEqual(seen, [
    [[1, 1], [short], ["levels"]],
    [[2, 1], [long, late], ["levels", "levels"]],
  ]);
  assert.deepEqual(batch.log, [
    ...["step", "read", "remove"],
    ...["step", "read", "read", "remove", "remove"],
  ]);
});

Deno.test("a schedule decides on the inner UNets by what was measured two steps before", async () => {
  const batch = new FakeBatch(image(4));
  batch.kind = { inner: "measured" };
  const runs = [true, true, false, true];
  let decided = 0;
  const schedule = {
    next: () => runs[decided++],
    measured: (step: number, change: number) => batch.log.push(`step ${step}: ${change}`),
  } as unknown as FeatureCacheSchedule;
  let step = 0;
  const loop = batch.denoise({ schedule });
  while (true) {
    const next = loop.next();
    // What is measured is there at once, and used later: it must not matter how fast the GPU is.
    if (step < 4) batch.gpu[step]!.resolve(runs[step] ? step / 10 : undefined);
    await new Promise((resolve) => setTimeout(resolve));
    if ((await within(1, "a step", next)).done) break;
    step++;
  }
  assert.deepEqual(batch.log.filter((line) => line !== "read" && line !== "remove"), [
    ...["step", "measure"],
    ...["step", "measure", "step 0: 0"],
    ...["step without inner UNets", "step 1: 0.1"],
    ...["step", "measure", "step 3: 0.3"],
  ]);
});

Deno.test("an aborted loop stops between two steps, when the GPU has done those that were submitted", async () => {
  const batch = new FakeBatch(image(9));
  const abort = new AbortController();
  const loop = batch.denoise({ signal: abort.signal });
  await loop.next();
  abort.abort(new Error("gone"));
  const end = loop.next();
  assert.equal(await isSettled(end), false);
  batch.gpu[0]!.resolve();
  await assert.rejects(end, /gone/);
  assert.deepEqual(batch.log, ["step"]);
});

Deno.test("what the GPU reports of a step ends the loop, and of the last step as well", async (t) => {
  for (const failing of [0, 1]) {
    await t.step(`step ${failing + 1} of 2`, async () => {
      const batch = new FakeBatch(image(2));
      // Nobody looks at it any more.
      batch.result = () => Promise.reject(new Error("It cannot be read."));
      const loop = batch.denoise();
      await loop.next();
      const steps = [loop.next(), loop.next()];
      for (const [i, { reject, resolve }] of batch.gpu.entries()) {
        if (i === failing) reject(new Error("The GPU was lost."));
        else resolve();
      }
      await assert.rejects(Promise.all(steps), /The GPU was lost/);
    });
  }
});
