import assert from "../assert.ts";
import { parseJson, readJson } from "../../src/checkpoint/json.ts";
import { assertRefused, withFile } from "./refused.ts";

const utf8 = (text: string) => new TextEncoder().encode(text);

/** UTF-16 with its byte order mark. */
function utf16(text: string, littleEndian: boolean): Uint8Array {
  const view = new DataView(new ArrayBuffer(2 * text.length + 2));
  [0xfeff, ...Array.from(text, (c) => c.charCodeAt(0))]
    .forEach((unit, i) => view.setUint16(2 * i, unit, littleEndian));
  return new Uint8Array(view.buffer);
}

Deno.test("readJson() reads what other programs write: a byte order mark, CRLF, Python's numbers", async () => {
  const files: [text: string, value: unknown][] = [
    ['\ufeff{"a": 1}', { a: 1 }],
    ['{\r\n "a": [1,\r\n 2]\r\n}\r\n', { a: [1, 2] }],
    ['\ufeff{\r\n"a": NaN, "b": -Infinity, "c": [Infinity]}', {
      a: NaN,
      b: -Infinity,
      c: [Infinity],
    }],
    ['{"NaN": "Infinity", "b\\"NaN": "-\\\\", "c": NaN}', {
      NaN: "Infinity",
      'b"NaN': "-\\",
      c: NaN,
    }],
    ['{"a": 1, "a": 2}', { a: 2 }],
  ];
  for (const [text, value] of files) {
    await withFile(utf8(text), async (path) => assert.deepEqual(await readJson(path), value));
  }
  assert.throws(() => parseJson("[NaN,]"), SyntaxError);
  assert.throws(() => parseJson("Infinit"), SyntaxError);
  assert.throws(() => parseJson('"NaN'), SyntaxError);
});

Deno.test("readJson() says what a file is that is not JSON", async () => {
  const refused: [bytes: Uint8Array, reason: RegExp][] = [
    [utf8('{\n "a": 1,\n}'), /it is not JSON \(line 3, column 1\)\. Get the file again\.$/],
    [utf8("[NaN"), /it is not JSON/],
    [utf8("model: unet"), /it is not JSON/],
    [utf8(""), /it is empty, not a configuration\. Get the file again\.$/],
    [
      utf8("version https://git-lfs.github.com/spec/v1\noid sha256:0\n"),
      /pointer of Git LFS.*git lfs pull/,
    ],
    [utf8("<!DOCTYPE html><html></html>"), /it is an HTML page, not a configuration/],
    [utf16('{"a": 1}', true), /its text is in UTF-16\. Save it as UTF-8\.$/],
    [utf16('{"a": 1}', false), /its text is in UTF-16\. Save it as UTF-8\.$/],
    [Uint8Array.of(0x22, 0xe4, 0x22), /its text is not in UTF-8\. Save it as UTF-8\.$/],
    [Uint8Array.of(0xff, 0xd8, 0xff, 0xe0), /it is a JPEG picture, not a configuration/],
  ];
  for (const [bytes, reason] of refused) await assertRefused(bytes, readJson, reason);
});

Deno.test("readJson() refuses a file over its limit before reading it", async () => {
  await withFile(new Uint8Array(0), async (path) => {
    await Deno.truncate(path, 2 ** 40);
    await assert.rejects(
      readJson(path),
      /it has 1099511627776 bytes, too many for a configuration/,
    );
  });
});
