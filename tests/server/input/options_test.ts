/** Options of generation as they come in, and what is made of them. */
import assert from "../../assert.ts";
import {
  jobRequest,
  optionField,
  optionShape,
  promptField,
} from "../../../src/server/input/options.ts";
import { FakeJobs, MODEL } from "../fake_jobs.ts";

Deno.test("a seed is a number or digits, up to 64 bits", () => {
  const seed = optionField("seed", "native", new FakeJobs());
  for (const right of [0, 7, 2 ** 53 - 1, "0", "007", "18446744073709551615"]) {
    assert.equal(seed.safeParse(right).success, true, String(right));
  }
  for (
    const wrong of [-1, 1.5, 2 ** 53, "18446744073709551616", "-1", "7 ", "seven", "0x7", "", null]
  ) assert.equal(seed.safeParse(wrong).success, false, String(wrong));
  assert.equal(jobRequest(["a"], { seed: "007" }).seed, "7");
  assert.equal(jobRequest(["a"], { seed: 2 ** 53 - 1 }).seed, "9007199254740991");
});

Deno.test("a seed that is not given is drawn, but the same for the same key", () => {
  const drawn = (key?: string) => jobRequest(["a"], {}, key).seed;
  assert.notEqual(drawn(), drawn());
  assert.equal(drawn("k"), drawn("k"));
  assert.notEqual(drawn("k"), drawn("l"));
  assert.ok(BigInt(drawn()) < 1n << 32n);
});

Deno.test("what is left out is left out of the job as well", () => {
  const options = { seed: 7, steps: undefined, guidance: 6, threshold: "none" } as const;
  assert.deepEqual(jobRequest(["a"], options), {
    prompts: ["a"],
    count: 1,
    seed: "7",
    guidance: 6,
    threshold: "NONE",
    levels: false,
    preview: false,
  });
});

Deno.test("what may be asked for is what the server allows and the model makes", () => {
  const limits = { pictures: 3, steps: 50, promptLength: 10, pixels: 100 * 100 };
  const jobs = new FakeJobs({ limits });
  const pictures = { prompt: promptField(jobs), ...optionShape("native", jobs) };
  const accepts = (field: keyof typeof pictures, value: unknown) => {
    return pictures[field].safeParse(value).success;
  };
  assert.deepEqual([accepts("n", 3), accepts("n", 4)], [true, false]);
  assert.deepEqual([accepts("steps", 50), accepts("steps", 51)], [true, false]);
  assert.deepEqual([accepts("prompt", "a".repeat(10)), accepts("prompt", "a".repeat(11))], [
    true,
    false,
  ]);
  assert.deepEqual([96, 100, 104].map((size) => accepts("size", size)), [true, false, false]);
  assert.deepEqual([accepts("format", "jpeg"), accepts("format", "mp4")], [true, false]);
  const videos = optionShape("native", new FakeJobs({ model: { ...MODEL, makes: "videos" } }));
  assert.equal(videos.format.safeParse("mp4").success, true);
  assert.equal(videos.format.safeParse("jpeg").success, false);
});
