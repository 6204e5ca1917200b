import assert from "../assert.ts";
import { allFormats } from "./formats.ts";
import { fuzz } from "./fuzz.ts";

for (const format of await allFormats()) {
  Deno.test(`a spoilt file of ${format.name} gives a result or an error for the user`, async () => {
    // What other tests in this process have taken does not count.
    const before = Deno.memoryUsage().rss;
    const { refused, accepted, slowest, memory } = await fuzz(format, 1500, 1_000_000);
    // Both happen, or the changes are too coarse or too fine to test anything.
    assert.ok(refused > 100 && accepted > 0, `${refused} refused, ${accepted} read`);
    assert.ok(slowest < 5000, `${slowest} ms`);
    assert.ok(memory - before < 2 ** 29, `${memory - before} bytes`);
  });
}
