import assert from "../../assert.ts";
import { percentile } from "../../../bench/serve/percentile.ts";

Deno.test("a percentile is the first value that enough of the others do not exceed", () => {
  const hundred = Array.from({ length: 100 }, (_, i) => 100 - i);
  assert.equal(percentile(hundred, 0.5), 50);
  assert.equal(percentile(hundred, 0.95), 95);
  assert.equal(percentile(hundred, 1), 100);
  assert.equal(percentile([10, 9, 2], 0.5), 9);
  assert.equal(percentile([3, 1], 0.5), 1);
  assert.equal(percentile([3, 1], 0.51), 3);
});

Deno.test("every percentile of one value is that value, and values stay in their order", () => {
  assert.equal(percentile([7], 0.01), 7);
  assert.equal(percentile([7], 0.95), 7);
  const values = [2, 1];
  percentile(values, 0.5);
  assert.deepEqual(values, [2, 1]);
});
