import assert from "../assert.ts";
import { Buffer } from "node:buffer";
import { deflateRawSync, gzipSync } from "node:zlib";
import { kindOf } from "../../src/checkpoint/file_kind.ts";
import { encodeSafetensors } from "../../src/checkpoint/safetensors.ts";
import { openTensorFile } from "../../src/checkpoint/open_tensor_file.ts";
import { encodeImage } from "../../src/media/image.ts";
import { assertRefused } from "./refused.ts";
import { zipOf } from "./torch/write_zip.ts";

const latin = (text: string) => new Uint8Array(Buffer.from(text, "latin1"));
const picture = { width: 2, height: 2, data: new Uint8Array(16).fill(200) };

/** The middle of a tar archive's header is where its mark is. */
const tar = latin("model.pth".padEnd(257, "\0") + "ustar\x0000".padEnd(300, "\0"));

const KINDS: [bytes: Uint8Array, message: RegExp][] = [
  [
    latin("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 123\n"),
    /it is a pointer of Git LFS, not a file of weights\. Run "git lfs pull" in its folder, or/,
  ],
  [latin("<!DOCTYPE html><html><body>404"), /it is an HTML page, .*Download the file itself\.$/],
  [latin("\r\n  <html lang=en>"), /it is an HTML page/],
  [latin("\xef\xbb\xbf<?xml version='1.0'?><Error>"), /it is an XML page/],
  [
    latin('{"error":"Not found"}'),
    /it is a JSON text \("\{\\"error\\":\\"Not found\\"\}"\), not a/,
  ],
  [
    latin("Entry not found"),
    /it is a text \("Entry not found"\), not a file of weights\. Give a file/,
  ],
  [latin("\xff\xd8\xff\xe0\0\x10JFIF"), /it is a JPEG picture/],
  [latin("GIF89a"), /it is a GIF picture/],
  [latin("RIFF\0\0\0\0WEBPVP8 "), /it is a WebP picture/],
  [latin("\0\0\0\x20ftypisom\0\0\0\0"), /it is an MP4 video/],
  [latin("\x1a\x45\xdf\xa3\0\0\0\0\0\0"), /it is a WebM/],
  [latin("%PDF-1.7\n"), /it is a PDF/],
  [gzipSync("weights"), /it is compressed with gzip, .*Unpack it first\.$/],
  [latin("BZh91AY&SY"), /it is compressed with bzip2/],
  [tar, /it is a tar archive.*Unpack/],
  [latin("GGUF\x03\0\0\0"), /it is a GGUF file.*Export the weights as safetensors\.$/],
  [latin("\x89HDF\r\n\x1a\n"), /it is an HDF5 file/],
  [latin("\x93NUMPY\x01\0"), /it is a NumPy array/],
  [latin("\x80\x04\x95\0\0\0\0\0\0\0\0}."), /it is a Python pickle that torch\.save did not write/],
  [new Uint8Array(4096), /it is full of zeros, as after a download that did not end/],
  [new Uint8Array(0), /it is empty, not a file of weights\. Get the file again\.$/],
  [latin("\x01\x02\x03\x04\x05\x06\x07\x08\x09"), /not safetensors/],
  [zipOf([{ name: "readme.txt", bytes: latin("hello") }]), /with 0 torch checkpoints/],
];

for (const [bytes, message] of KINDS) {
  Deno.test(`what is no file of weights is called what it is: ${message.source.slice(0, 50)}`, () =>
    assertRefused(bytes, openTensorFile, message));
}

Deno.test("pictures of ours are called what they are", async () => {
  for (const format of ["png", "jpeg", "webp"] as const) {
    const kind = kindOf(await encodeImage(picture, format));
    assert.match(kind!.name, new RegExp(`^a ${format} picture$`, "i"));
  }
});

Deno.test("a text is known though its start ends within a character", () => {
  assert.ok(kindOf(latin("gr\xc3"))?.isText);
  assert.equal(kindOf(latin("gr\xc3(")), undefined);
});

Deno.test("safetensors are read whatever the bytes of their header's length mean", async () => {
  // 0x4a46 is "FJ", 0x8b1f begins gzip; the header is filled up to be that long.
  for (const length of [0x3938, 0x8b1f, 0x5a42]) {
    const whole = encodeSafetensors(new Map([["a", { shape: [1], data: Float32Array.of(7) }]]));
    const json = new TextDecoder().decode(whole.subarray(8, -4)).trimEnd().padEnd(length);
    const bytes = new Uint8Array(8 + length + 4);
    new DataView(bytes.buffer).setBigUint64(0, BigInt(length), true);
    bytes.set(new TextEncoder().encode(json), 8);
    bytes.set(whole.subarray(-4), 8 + length);
    const path = await Deno.makeTempFile();
    try {
      await Deno.writeFile(path, bytes);
      using file = await openTensorFile(path);
      assert.deepEqual(await file.readFloat32("a"), Float32Array.of(7));
    } finally {
      await Deno.remove(path);
    }
  }
});

Deno.test("a raw stream of deflate is nothing that is known", () => {
  assert.equal(kindOf(deflateRawSync(Buffer.alloc(5000, "ab\xff"))), undefined);
});
