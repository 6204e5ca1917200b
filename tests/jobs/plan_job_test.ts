import assert from "../assert.ts";
import type { JobRequest } from "../../src/jobs/job.ts";
import { planJob, seedOf } from "../../src/jobs/plan_job.ts";
import { resolveRequest } from "../../src/pipeline/request.ts";
import { MODEL, requestOf } from "./job_place.ts";

Deno.test("a job is taken apart into images, prompt by prompt, with seeds that follow each other", () => {
  const shared = {
    negative: "a cross",
    sampler: "ddim",
    eta: 0.5,
    guidanceInterval: [0.2, 0.8],
    steps: 4,
  } as const;
  const request = requestOf({
    ...shared,
    prompts: ["a star", "a ring"],
    count: 2,
    seed: "18446744073709551614",
    format: "webp",
    levels: true,
  });
  const { images, output, steps, size } = planJob(request, MODEL);
  // Each is as if it had been asked for alone: so engines know two that are the same.
  const { config, diffusion } = MODEL;
  const alone = (prompt: string, seed: bigint) =>
    resolveRequest({ ...shared, prompt, seed, batch: 1 }, config, diffusion);
  assert.deepEqual(images, [
    alone("a star", (1n << 64n) - 2n),
    alone("a star", (1n << 64n) - 1n),
    alone("a ring", 0n),
    alone("a ring", 1n),
  ]);
  const encoding = { medium: "image", format: "webp", extension: ".webp" };
  assert.deepEqual(output, { levels: true, preview: false, encoding });
  assert.deepEqual({ steps, size }, { steps: 4, size: 32 });
  assert.deepEqual(
    images.map(({ jobs: [job] }) => String(job!.seed)),
    [0, 1, 2, 3].map((i) => seedOf(request, i)),
  );
});

Deno.test("what is left open is the model's own", () => {
  const { steps: _, ...request } = requestOf();
  const { steps, size, images } = planJob(request, MODEL);
  assert.ok(steps > 1);
  assert.equal(size, 32);
  const { config, diffusion } = MODEL;
  const own = resolveRequest({ prompt: "a star", seed: 7n, batch: 1 }, config, diffusion);
  assert.deepEqual(images, [own]);
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
    [{ size: 33 }, /^The model cannot make pictures of size 33: give a multiple of/],
    [{ size: 0 }, /^The model cannot make pictures of size 0: give a multiple of/],
    [{ format: "gif" }, "The model makes images: give one of the formats png, jpeg, webp."],
    [{ format: "mp4" }, "The model makes images: give one of the formats png, jpeg, webp."],
    [{ fps: 8 }, "The model makes images, not videos: leave out the frames a second."],
  ];
  for (const [request, message] of cases) {
    await t.step(String(message), () => {
      assert.throws(() => planJob(requestOf(request), MODEL), { name: "UsageError", message });
    });
  }
});
