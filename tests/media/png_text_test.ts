import assert from "../assert.ts";
import { Buffer } from "node:buffer";
import { crc32, deflateSync } from "node:zlib";
import { UsageError } from "../../src/errors.ts";
import { readText, withText } from "../../src/media/png_text.ts";

const SIGNATURE = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a);

function chunk(type: string, data: string | Uint8Array, length?: number): Buffer {
  const bytes = typeof data === "string" ? Buffer.from(data, "latin1") : Buffer.from(data);
  const chunk = Buffer.concat([Buffer.alloc(4), Buffer.from(type), bytes, Buffer.alloc(4)]);
  chunk.writeUInt32BE(length ?? bytes.length, 0);
  chunk.writeUInt32BE(crc32(chunk.subarray(4, -4)), chunk.length - 4);
  return chunk;
}

function png(...chunks: Uint8Array[]): Uint8Array {
  const header = chunk("IHDR", Uint8Array.of(0, 0, 0, 1, 0, 0, 0, 1, 8, 0, 0, 0, 0));
  const pixels = chunk("IDAT", deflateSync(Uint8Array.of(0, 7)));
  const all = [SIGNATURE, header, ...chunks, pixels, chunk("IEND", "")];
  return new Uint8Array(Buffer.concat(all));
}

Deno.test("withText() and readText() keep any text", () => {
  const texts = {
    prompt: "ein roter Kreis \u2013 一个红色的圆 🔴 \n second line",
    settings: '{"seed":7}',
    empty: "",
    ["__proto__"]: "kept",
  };
  const written = withText(png(), texts);
  assert.deepEqual(readText(written), texts);
  assert.deepEqual(withText(png(), texts), written);
  assert.deepEqual(withText(png(), {}), png());
});

Deno.test("withText() writes iTXt as the PNG specification lays it out", () => {
  const expected = png(chunk("iTXt", Buffer.from("key\0\0\0\0\0é")));
  assert.deepEqual(withText(png(), { key: "é" }), expected);
});

Deno.test("withText() refuses keywords a PNG cannot hold, and what is not a PNG", () => {
  for (const keyword of ["", " a", "a ", "a\0b", "é", "x".repeat(80)]) {
    assert.throws(() => withText(png(), { [keyword]: "" }), UsageError, keyword);
  }
  assert.deepEqual(readText(withText(png(), { a: "1", ["x".repeat(79)]: "2" })).a, "1");
  assert.throws(() => withText(Uint8Array.of(0xff, 0xd8), {}), { name: "MdmError" });
});

Deno.test("readText() reads Latin-1 tEXt and iTXt with language and translated keyword", () => {
  const texts = readText(png(
    chunk("tEXt", "Author\0J\xf6rg \x80"),
    chunk("iTXt", Buffer.from("Title\0\0\0de\0Titel\0grün")),
  ));
  assert.deepEqual(texts, { Author: "Jörg \u0080", Title: "grün" });
});

/** Compressed text after what comes before it in its chunk. */
function packed(type: string, before: string, text: string | Uint8Array): Buffer {
  return chunk(type, Buffer.concat([Buffer.from(before, "latin1"), deflateSync(text)]));
}

Deno.test("readText() reads texts that another program compressed", () => {
  const texts = readText(png(
    packed("zTXt", "Comment\0\0", Buffer.from("Jörg", "latin1")),
    packed("iTXt", "mdm\0\x01\0\0\0", '{"prompt":"ein grüner Kreis 🔴"}'),
    packed("iTXt", "Title\0\x01\0de\0Titel\0", ""),
  ));
  assert.deepEqual(texts, { Comment: "Jörg", mdm: '{"prompt":"ein grüner Kreis 🔴"}', Title: "" });
});

Deno.test("readText() expands compressed text within the limit of all text", () => {
  const zeros = (bytes: number) => packed("zTXt", "k\0\0", Buffer.alloc(bytes, "x"));
  assert.equal(readText(png(zeros(2.1e6))).k!.length, 2.1e6);
  const bombs = [[zeros(2.1e6), zeros(2.1e6)], [zeros(5e6)], [
    packed("iTXt", "k\0\x01\0\0\0", Buffer.alloc(1e8)),
  ]];
  for (const bomb of bombs) {
    const start = performance.now();
    assert.throws(() => readText(png(...bomb)), { name: "MdmError", message: /too much/ });
    assert.ok(performance.now() - start < 1000);
  }
  // Each would become 4 MB before its end is found to be missing.
  const cut = chunk(
    "zTXt",
    Buffer.concat([Buffer.from("k\0\0"), deflateSync(Buffer.alloc(4e6)).subarray(0, -8)]),
  );
  assert.throws(() => readText(png(...new Array(1000).fill(cut))), { message: /too much/ });
});

Deno.test("readText() passes over broken text chunks", () => {
  const texts = readText(png(
    chunk("iTXt", "packed\0\x01\0\0\0xx"),
    chunk("zTXt", "packed\0\0xx"),
    packed("zTXt", "packed\0\x01", "another method"),
    packed("iTXt", "packed\0\x01\x01\0\0", "another method"),
    chunk("zTXt", "no end"),
    chunk("iTXt", "no end"),
    chunk("iTXt", "key\0\0\0en"),
    chunk("iTXt", ""),
    chunk("tEXt", "no end"),
    chunk("tEXt", "good\0yes"),
  ));
  assert.deepEqual(texts, { good: "yes" });
});

Deno.test("readText() refuses what is not a PNG", () => {
  for (const bytes of [new Uint8Array(0), SIGNATURE.subarray(0, 7), new Uint8Array(100)]) {
    assert.throws(() => readText(bytes), { name: "MdmError", message: /is not a PNG/ });
  }
});

Deno.test("readText() refuses a PNG cut anywhere", () => {
  const whole = withText(png(), { a: "b" });
  for (let length = 8; length < whole.length; length++) {
    const cut = whole.subarray(0, length);
    assert.throws(() => readText(cut), { name: "MdmError", message: /is cut short/ });
  }
});

Deno.test("readText() refuses a PNG with any bit flipped", () => {
  const whole = withText(png(), { a: "b" });
  for (let at = 0; at < whole.length; at++) {
    const flipped = whole.slice();
    flipped[at]! ^= 1;
    assert.throws(() => readText(flipped), { name: "MdmError" }, `byte ${at}`);
  }
});

Deno.test("readText() refuses lengths past the end and too much text", () => {
  const lying = png(chunk("tEXt", "a\0b", 0xffffffff));
  assert.throws(() => readText(lying), { name: "MdmError", message: /is cut short/ });
  const half = chunk("tEXt", "k\0" + "x".repeat(2.1e6));
  assert.equal(readText(png(half)).k!.length, 2.1e6);
  assert.throws(() => readText(png(half, half)), { name: "MdmError", message: /too much/ });
});
