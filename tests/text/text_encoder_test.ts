import assert from "../assert.ts";
import { readJson } from "../../src/checkpoint/json.ts";
import { Safetensors } from "../../src/checkpoint/safetensors.ts";
import { Gpu } from "../../src/gpu/device.ts";
import { Pipelines } from "../../src/gpu/recording.ts";
import { relativeBuckets } from "../../src/model/t5.ts";
import { TextEncoder } from "../../src/text/text_encoder.ts";
import { compare } from "../../src/verify/comparison.ts";

/** f32 against f32 over a few layers: what other orders of summation leave. */
const TOLERANCE = 1e-5;

interface Case {
  name: string;
  lengths: number[];
  input_ids: number[][];
}

for (const folder of ["t5", "t5_relu"]) {
  const path = `tests/fixtures/${folder}`;
  Deno.test(`TextEncoder agrees with transformers: ${folder}`, async (t) => {
    using gpu = await Gpu.open();
    using pipelines = new Pipelines(gpu);
    using encoder = await TextEncoder.open(path, pipelines);
    using expected = await Safetensors.open(`${path}/expected.safetensors`);
    for (
      const { name, lengths, input_ids: rows } of await readJson(`${path}/cases.json`) as Case[]
    ) {
      const hidden = await expected.readFloat32(name);
      const capacity = expected.tensors.get(name)!.shape[1]!;
      for (const [row, length] of lengths.entries()) {
        await t.step(`${name}, ${length} tokens of ${capacity}`, async () => {
          const [ours] = await encoder.encode([rows[row]!.slice(0, length)]);
          const start = row * capacity * encoder.width;
          const reference = hidden.subarray(start, start + length * encoder.width);
          const { relativeL2, passed } = compare(name, ours!, reference, TOLERANCE);
          assert.ok(passed, `relative error ${relativeL2}`);
        });
      }
    }
  });
}

Deno.test("TextEncoder gives the features that shapes32 was trained with", async () => {
  using gpu = await Gpu.open();
  using pipelines = new Pipelines(gpu);
  using encoder = await TextEncoder.open("weights/shapes32/text_encoder", pipelines);
  const golden = "tests/fixtures/golden/shapes32";
  using expected = await Safetensors.open(`${golden}/text.safetensors`);
  const { token_ids: ids } = await readJson(`${golden}/text.json`) as { token_ids: number[][] };
  const recorded = await expected.readFloat32("lm_outputs");
  const size = expected.tensors.get("lm_outputs")!.shape[1]! * encoder.width;
  const encoded = await encoder.encode(ids);
  for (const [row, features] of encoded.entries()) {
    const ours = new Float32Array(size);
    ours.set(features);
    const reference = recorded.subarray(row * size, (row + 1) * size);
    assert.ok(compare("lm_outputs", ours, reference, TOLERANCE).passed, `row ${row}`);
  }
});

Deno.test("texts that are encoded together are as they are alone", async () => {
  using gpu = await Gpu.open();
  using pipelines = new Pipelines(gpu);
  using encoder = await TextEncoder.open("weights/shapes32/text_encoder", pipelines);
  const long = Array.from({ length: 20 }, (_, i) => 3 + i % 7);
  const texts = [[3, 8, 1], long, [1], [3, 8, 1]];
  const together = await encoder.encode(texts);
  for (const [i, text] of texts.entries()) {
    assert.deepEqual([together[i]!], await encoder.encode([text]));
  }
  assert.deepEqual(await encoder.encode([]), []);
});

Deno.test("relativeBuckets: near distances apart, far ones shared, both directions", () => {
  const config = { relativeAttentionNumBuckets: 32, relativeAttentionMaxDistance: 128 };
  const buckets = relativeBuckets(200, config);
  const at = (distance: number) => buckets[distance + 199];
  assert.deepEqual([0, -1, -7, -8, -199].map(at), [0, 1, 7, 8, 15]);
  assert.deepEqual([1, 7, 8, 16, 32, 64, 127, 199].map(at), [17, 23, 24, 26, 28, 30, 31, 31]);
});
