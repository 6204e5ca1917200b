import assert from "../assert.ts";
import { backoffMs } from "../../src/net/backoff.ts";

Deno.test("each failure makes the wait longer, up to the longest", () => {
  const waits = [1, 2, 3, 4, 5, 2000].map((failures) =>
    backoffMs(failures, { firstMs: 100, longestMs: 1000 })
  );
  assert.deepEqual(waits, [100, 200, 400, 800, 1000, 1000]);
  assert.equal(backoffMs(3, { firstMs: 4, factor: 2.5 }), 25);
});

Deno.test("jitter draws between two shares of the wait", () => {
  const waits = Array.from(
    { length: 200 },
    () => backoffMs(2, { firstMs: 50, jitter: [0.8, 1.2] }),
  );
  assert.ok(waits.every((wait) => wait >= 80 && wait <= 120));
  assert.ok(Math.min(...waits) < 90 && Math.max(...waits) > 110);
});
