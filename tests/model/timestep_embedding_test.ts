import assert from "../assert.ts";
import { microTime, timestepEmbedding } from "../../src/model/timestep_embedding.ts";
import { assertAllclose } from "../allclose.ts";

Deno.test("timestepEmbedding has all sines, then all cosines, of frequencies from 1 down to nearly 1/10000", () => {
  const embedding = timestepEmbedding(3, 32);
  const angles = [1, 1e-1, 1e-2, 1e-3].map((frequency) => 3 * frequency);
  const expected = [...angles.map(Math.sin), ...angles.map(Math.cos)];
  assertAllclose(embedding, expected, { absolute: 2e-7 });
  assert.deepEqual([...timestepEmbedding(0, 16)], [0, 0, 1, 1]);
});

Deno.test("microTime bounds a scale by what the model was trained with, and stretches others", () => {
  assert.equal(microTime("scale", 32, 64), 32);
  assert.equal(microTime("scale", 128, 64), 64);
  assert.equal(microTime("watermark", 0.25, 1), 250);
});
