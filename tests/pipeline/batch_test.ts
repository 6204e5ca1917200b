import assert from "../assert.ts";
import { MdmError } from "../../src/errors.ts";
import type { Batch, SampledImage } from "../../src/pipeline/batch.ts";
import { Pipeline } from "../../src/pipeline/pipeline.ts";
import { batchKind, type GenerateRequest } from "../../src/pipeline/request.ts";

const MODEL = "weights/shapes32";

/** A small image of a request, and the batch that it can be in. */
async function prepared(
  pipeline: Pipeline,
  request: Partial<GenerateRequest> = {},
): Promise<{ picture: SampledImage; batch: Batch }> {
  const resolved = pipeline.resolve({ prompt: "a star", steps: 3, seed: 7, size: 16, ...request });
  const [picture] = await pipeline.prepare(resolved, resolved.jobs);
  return { picture: picture!, batch: pipeline.batch(batchKind(resolved, pipeline.folder)) };
}

/** Takes steps until an image is done; gives its levels. */
async function finish(batch: Batch, picture: SampledImage): Promise<Uint8Array[]> {
  while (!batch.step().includes(picture)) { /* One more. */ }
  const levels = await batch.read(picture);
  batch.remove(picture);
  return levels.map(({ data }) => data);
}

Deno.test("images come and go between steps, and none sees the others", async (t) => {
  await using pipeline = await Pipeline.load(MODEL);
  const { picture, batch } = await prepared(pipeline);
  await batch.add([picture]);
  const whole = await finish(batch, picture);
  assert.deepEqual(batch.images, []);

  await t.step(
    "one that comes later, with a longer text and run, is as if it were alone",
    async () => {
      const long = {
        prompt: "a small blue star in the top left on a yellow background",
        steps: 20,
      };
      const { picture: other } = await prepared(pipeline, { ...long, seed: 8 });
      await batch.add([other]);
      assert.deepEqual(batch.step(), []);
      await batch.add([picture]);
      assert.deepEqual(batch.images, [other, picture]);
      assert.deepEqual([batch.stepsOf(other), batch.stepsOf(picture)], [1, 0]);
      assert.deepEqual(await finish(batch, picture), whole);
      assert.deepEqual(batch.images, [other]);
      batch.remove(other);
    },
  );

  await t.step("one whose text is too long for the free slot gets a longer one", async () => {
    // More than the 16 tokens that the others have room for.
    const { picture: long } = await prepared(pipeline, { prompt: "a red circle ".repeat(7) });
    assert.ok(long.texts[0]!.length > 16);
    await batch.add([long]);
    const alone = await finish(batch, long);
    const { picture: other } = await prepared(pipeline, { seed: 8, steps: 9 });
    const { picture: gone } = await prepared(pipeline, { seed: 9 });
    await batch.add([other, gone]);
    batch.step();
    batch.remove(gone);
    await batch.add([long]);
    assert.deepEqual(await finish(batch, long), alone);
    batch.remove(other);
  });

  await t.step("one that is removed is not read, and its slot is another's", async () => {
    await batch.add([picture]);
    batch.step();
    batch.remove(picture);
    batch.remove(picture);
    await assert.rejects(batch.read(picture), /not in the batch/);
    assert.throws(() => batch.stepsOf(picture), /not in the batch/);
    await batch.add([picture]);
    assert.equal(batch.stepsOf(picture), 0);
    assert.deepEqual(await finish(batch, picture), whole);
  });

  await t.step("one that was saved goes on, also beside others and after each step", async () => {
    const { picture: other } = await prepared(pipeline, { seed: 8, steps: 9 });
    for (const step of [0, 1, 2]) {
      await batch.add([picture]);
      for (let i = 0; i < step; i++) batch.step();
      const saved = await batch.save(picture);
      assert.equal(saved.step, step);
      batch.remove(picture);
      const again = { ...picture, saved };
      await batch.add([other]);
      batch.step();
      await batch.add([again]);
      assert.equal(batch.stepsOf(again), step);
      assert.deepEqual(await finish(batch, again), whole);
      batch.remove(other);
    }
  });

  await t.step("one goes on in another slot when the batch changes its size", async () => {
    const [first, second, third] = await Promise.all(
      [8, 9, 10].map(async (seed) => (await prepared(pipeline, { seed, steps: 9 })).picture),
    );
    // From slot 2 of four to slot 1 of two, then to slot 1 of five.
    await batch.add([first!, second!, picture, third!]);
    batch.step();
    batch.remove(second!);
    batch.remove(third!);
    await batch.add([]);
    assert.deepEqual(batch.images, [first, picture]);
    batch.step();
    await batch.add([second!, third!, { ...second! }]);
    assert.deepEqual(await finish(batch, picture), whole);
    for (const one of batch.images) batch.remove(one);
  });

  await t.step("what it is going to be is nearer with each step", async () => {
    await batch.add([picture]);
    const far: number[] = [];
    for (let step = 0; step < 3; step++) {
      batch.step();
      const { data } = await batch.preview(picture, 1);
      far.push(data.reduce((sum, value, i) => sum + Math.abs(value - whole[1]![i]!), 0));
    }
    batch.remove(picture);
    assert.ok(far[0]! > far[1]! && far[1]! > far[2]!, String(far));
  });

  await t.step("memory follows the number of images", async () => {
    const many = await Promise.all(
      Array.from({ length: 8 }, async (_, i) => (await prepared(pipeline, { seed: i })).picture),
    );
    await batch.add(many);
    const most = batch.bytes;
    for (const one of many.slice(1)) batch.remove(one);
    await batch.add([]);
    assert.ok(batch.bytes < most / 2, `${batch.bytes} of ${most}`);
    assert.deepEqual(batch.images, many.slice(0, 1));
    batch.remove(many[0]!);
  });

  await t.step("where more cannot be held, the batch is empty and can be used again", async () => {
    const { gpu } = pipeline;
    const { buffer } = gpu;
    await batch.add([picture]);
    batch.step();
    const made: GPUBuffer[] = [];
    gpu.buffer = (bytes, label) => {
      if (made.length === 9) throw new MdmError("It is full.");
      const one = buffer.call(gpu, bytes, label);
      made.push(one);
      return one;
    };
    const destroyed: GPUBuffer[] = [];
    const { destroy } = GPUBuffer.prototype;
    GPUBuffer.prototype.destroy = function () {
      destroyed.push(this);
      destroy.call(this);
    };
    const { picture: more } = await prepared(pipeline, { seed: 8 });
    await assert.rejects(batch.add([more]), /It is full/);
    gpu.buffer = buffer;
    GPUBuffer.prototype.destroy = destroy;
    assert.deepEqual(made.filter((one) => !destroyed.includes(one)), []);
    assert.deepEqual(batch.images, []);
    assert.equal(batch.bytes, 0);
    await batch.add([picture]);
    assert.deepEqual(await finish(batch, picture), whole);
  });
});
