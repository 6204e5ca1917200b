import assert from "../assert.ts";
import { MdmError } from "../../src/errors.ts";
import { encodeGif } from "../../src/media/gif.ts";
import { plain, psnr, wanderingDisc } from "./frames.ts";
import { readGif } from "./gif_frames.ts";

Deno.test("encodeGif() writes every frame with its delay, for ever", async () => {
  const frames = wanderingDisc(32, 24, 5);
  const gif = readGif(await encodeGif(frames, [12, 13, 12, 13, 300]));
  assert.equal(gif.repeats, 0);
  assert.deepEqual(gif.frames.map(({ delay }) => delay), [12, 13, 12, 13, 300]);
  frames.forEach((frame, i) => assert.ok(psnr(frame, gif.frames[i]!) > 40, `frame ${i}`));
});

Deno.test("encodeGif() keeps few colours exactly, also in one frame of one pixel", async () => {
  const frames = [[1, 2, 3], [255, 255, 255], [0, 0, 0]].map((colour) => plain(5, 3, colour));
  const gif = readGif(await encodeGif(frames, [1, 1, 1]));
  assert.deepEqual(gif.frames, frames.map((frame) => ({ ...frame, delay: 1 })));
  const pixel = plain(1, 1, [9, 200, 77]);
  assert.deepEqual(readGif(await encodeGif([pixel], [4])).frames, [{ ...pixel, delay: 4 }]);
});

Deno.test("encodeGif() survives noise, whose codes fill the compressor's table", async () => {
  let state = 1;
  const data = Uint8Array.from({ length: 128 * 128 * 4 }, (_, i) => {
    state = Math.imul(state, 1664525) + 1013904223;
    return i % 4 === 3 ? 255 : state >>> 24;
  });
  const noise = { width: 128, height: 128, data };
  assert.ok(psnr(noise, readGif(await encodeGif([noise], [1])).frames[0]!) > 20);
});

Deno.test("encodeGif() draws a slope without bands", async () => {
  const data = new Uint8Array(64 * 64 * 4).fill(255);
  for (let i = 0; i < 64 * 64; i++) data.set([30, 60 + (i >> 6), 200 - (i & 63)], 4 * i);
  const slope = { width: 64, height: 64, data };
  assert.ok(psnr(slope, readGif(await encodeGif([slope], [1])).frames[0]!) > 40);
});

Deno.test("encodeGif() takes a frame that lies within a larger buffer", async () => {
  const [frame] = wanderingDisc(8, 8, 1);
  const larger = new Uint8Array(1000);
  larger.set(frame!.data, 100);
  const within = { ...frame!, data: larger.subarray(100, 100 + 256) };
  assert.deepEqual(await encodeGif([within], [1]), await encodeGif([frame!], [1]));
});

Deno.test("encodeGif() refuses a picture that is too large", async () => {
  const wide = { width: 65536, height: 1, data: new Uint8Array(65536 * 4) };
  await assert.rejects(
    encodeGif([wide], [1]),
    new MdmError("Cannot write a GIF of 65536x1 pixels: its sides end at 65535. Write a .png."),
  );
});
