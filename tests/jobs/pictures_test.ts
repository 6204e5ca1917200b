import assert from "node:assert/strict";
import type { JobRequest } from "../../src/jobs/job.ts";
import { planJob, seedOf } from "../../src/jobs/pictures.ts";
import { MODEL, requestOf } from "./job_place.ts";

Deno.test("a job is taken apart into pictures, prompt by prompt, with seeds that follow each other", () => {
  const request = requestOf({
    prompts: ["a star", "a ring"],
    count: 2,
    seed: "18446744073709551614",
    negative: "a cross",
    sampler: "ddim",
    eta: 0.5,
    guidanceInterval: [0.2, 0.8],
    format: "webp",
    levels: true,
  });
  const { pictures, output, steps, size } = planJob(request, MODEL);
  const shared = {
    negative: "a cross",
    sampler: "ddim",
    eta: 0.5,
    guidanceInterval: [0.2, 0.8],
    steps: 4,
  };
  assert.deepEqual(pictures, [
    { ...shared, prompt: "a star", seed: (1n << 64n) - 2n },
    { ...shared, prompt: "a star", seed: (1n << 64n) - 1n },
    { ...shared, prompt: "a ring", seed: 0n },
    { ...shared, prompt: "a ring", seed: 1n },
  ]);
  assert.deepEqual(output, { levels: true, preview: false, format: "webp" });
  assert.deepEqual({ steps, size }, { steps: 4, size: 32 });
  assert.deepEqual(
    pictures.map(({ seed }) => String(seed)),
    [0, 1, 2, 3].map((i) => seedOf(request, i)),
  );
});

Deno.test("what is left open is the model's own", () => {
  const { steps: _, ...request } = requestOf();
  const { steps, size, pictures } = planJob(request, MODEL);
  assert.ok(steps > 1);
  assert.equal(size, 32);
  assert.deepEqual(pictures, [{ prompt: "a star", seed: 7n }]);
});

Deno.test("a job that cannot be is refused with a sentence", async (t) => {
  const cases: [Partial<JobRequest>, string | RegExp][] = [
    [{ prompts: [] }, "No prompt was given: give at least one."],
    [{ seed: "-1" }, `Cannot use seed "-1": give a whole number from 0 to 2^64 - 1.`],
    [{ seed: "0x7" }, `Cannot use seed "0x7": give a whole number from 0 to 2^64 - 1.`],
    [{ seed: "1e3" }, `Cannot use seed "1e3": give a whole number from 0 to 2^64 - 1.`],
    [
      { seed: "18446744073709551616" },
      "Cannot use seed 18446744073709551616: give a whole number from 0 to 2^64 - 1.",
    ],
    [{ count: 0 }, "Cannot use count 0: give a whole number from 1 to 10000."],
    [{ steps: 1.5 }, "Cannot use steps 1.5: give a whole number from 1 to 100000."],
    [{ guidance: NaN }, "Cannot use guidance NaN: give a number from 0 to 1000."],
    [{ size: 0 }, /^The model cannot make pictures of size 0: give a multiple of/],
    [{ format: "gif" }, "The model makes pictures: give one of the formats png, jpeg, webp."],
    [{ fps: 8 }, "The model makes pictures, not videos: leave out the frames a second."],
  ];
  for (const [request, message] of cases) {
    await t.step(String(message), () => {
      assert.throws(() => planJob(requestOf(request), MODEL), { name: "UsageError", message });
    });
  }
});
