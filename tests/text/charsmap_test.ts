import assert from "../assert.ts";
import { Charsmap } from "../../src/text/charsmap.ts";
import { readSentencePieceModel } from "../../src/text/sentencepiece_model.ts";
import { seededRandom } from "../fuzz/mutate.ts";

const utf8 = (text: string) => new TextEncoder().encode(text);

async function rules(): Promise<Charsmap> {
  const path = `${import.meta.dirname}/../fixtures/sentencepiece/rules.model`;
  return (await readSentencePieceModel(path)).charsmap!;
}

Deno.test("a Charsmap finds the longest and the shortest rule", async () => {
  const charsmap = await rules();
  const text = utf8("aE\u0301x");
  assert.equal(charsmap.longest(text, 0), undefined);
  assert.deepEqual(charsmap.longest(text, 1), { length: 3, replacement: "\u00e9" });
  assert.deepEqual(charsmap.shortest(text, 1, text.length), { length: 1, replacement: "e" });
  // A rule that does not end before the end does not fit.
  assert.deepEqual(charsmap.longest(utf8("E\u0301").subarray(0, 2), 0), {
    length: 1,
    replacement: "e",
  });
  assert.deepEqual(charsmap.longest(utf8("\u200d"), 0), { length: 3, replacement: "" });
  assert.equal(charsmap.longest(utf8("\0"), 0), undefined);
});

Deno.test("a Charsmap that is none is refused", () => {
  const sizes = [[], [1, 0, 0], [0, 0, 0, 0], [8, 0, 0, 0, 1, 2, 3, 4], [3, 0, 0, 0, 1, 2, 3]];
  for (const bytes of sizes) assert.throws(() => new Charsmap(Uint8Array.from(bytes)), RangeError);
  for (const text of [7, "?", null, "AA"]) {
    assert.throws(() => Charsmap.fromBase64(text), RangeError);
  }
});

Deno.test("a hostile Charsmap leads nowhere: every place is checked, and texts are short", () => {
  const random = seededRandom(5);
  const text = utf8("a red circle \u00e9\u65e5\u{1f534} and more");
  for (let i = 0; i < 3000; i++) {
    const units = 1 + Math.floor(random() * 64);
    const bytes = new Uint8Array(4 + 4 * units + Math.floor(random() * 50));
    for (let at = 4; at < bytes.length; at++) {
      bytes[at] = random() < 0.3 ? text[Math.floor(random() * text.length)]! : random() * 256;
    }
    new DataView(bytes.buffer).setUint32(0, 4 * units, true);
    const charsmap = new Charsmap(bytes);
    for (let start = 0; start < text.length; start++) {
      for (const rule of [charsmap.longest(text, start), charsmap.shortest(text, start, 30)]) {
        assert.ok(rule === undefined || rule.length > 0 && rule.length <= text.length - start);
      }
    }
  }
  // One unit that leads to itself by "a" and has a value, which is a text without an end.
  const endless = new Uint8Array(4 + 4 * 256 + 5000).fill(0x61);
  const view = new DataView(endless.buffer);
  view.setUint32(0, 4 * 256, true);
  for (let at = 0; at < 256; at++) view.setUint32(4 + 4 * at, 0x100 | at, true);
  assert.equal(new Charsmap(endless).longest(utf8("aaaa"), 0), undefined);
});
