import assert from "../assert.ts";
import { Buffer } from "node:buffer";
import decode from "npm:@jsquash/webp@1.5.0/decode.js";
import { encodeImage } from "../../src/media/image.ts";
import type { Picture } from "../../src/media/picture.ts";
import { joinWebps } from "../../src/media/webp_animation.ts";
import { plain, psnr, wanderingDisc } from "./frames.ts";

interface Chunk {
  readonly type: string;
  readonly data: Buffer;
}

/** The chunks in so many bytes (RFC 9649, 2.3). */
function chunks(bytes: Buffer): Chunk[] {
  const found: Chunk[] = [];
  for (let at = 0; at < bytes.length;) {
    const length = bytes.readUInt32LE(at + 4);
    assert.ok(at + 8 + length + length % 2 <= bytes.length, "a chunk is cut short");
    if (length % 2) assert.equal(bytes[at + 8 + length], 0, "padding");
    found.push({
      type: bytes.toString("latin1", at, at + 4),
      data: bytes.subarray(at + 8, at + 8 + length),
    });
    at += 8 + length + length % 2;
  }
  return found;
}

function fileChunks(webp: Uint8Array): Chunk[] {
  const [file, ...behind] = chunks(Buffer.from(webp));
  assert.deepEqual([file!.type, behind.length], ["RIFF", 0]);
  assert.equal(file!.data.toString("latin1", 0, 4), "WEBP");
  return chunks(file!.data.subarray(4));
}

async function decodeStill(chunks: Uint8Array): Promise<Picture> {
  const header = Buffer.from("RIFF....WEBP");
  header.writeUInt32LE(chunks.length + 4, 4);
  const { width, height, data } = await decode(
    new Uint8Array(Buffer.concat([header, chunks])).buffer,
  );
  return { width, height, data: new Uint8Array(data) };
}

async function encodeAll(frames: readonly Picture[]): Promise<Uint8Array[]> {
  return await Promise.all(frames.map((frame) => encodeImage(frame, "webp")));
}

Deno.test("joinWebps() writes every frame with its delay, for ever", async () => {
  const frames = wanderingDisc(33, 24, 4);
  const delays = [125, 41, 1, 0x123456];
  const webp = joinWebps(await encodeAll(frames), frames[0]!, delays);
  const [header, animation, ...frameChunks] = fileChunks(webp);

  assert.equal(header!.type, "VP8X");
  const [isAnimated, width, height] = [0x02, [32, 0, 0], [23, 0, 0]];
  assert.deepEqual([...header!.data], [isAnimated, 0, 0, 0, ...width, ...height]);
  assert.equal(animation!.type, "ANIM");
  assert.equal(animation!.data.length, 6);
  assert.equal(animation!.data.readUInt16LE(4), 0, "for ever");

  assert.equal(frameChunks.length, frames.length);
  for (const [i, { type, data }] of frameChunks.entries()) {
    assert.equal(type, "ANMF");
    assert.deepEqual([...data.subarray(0, 12)], [0, 0, 0, 0, 0, 0, ...width, ...height]);
    assert.equal(data.readUIntLE(12, 3), delays[i]);
    assert.deepEqual(chunks(data.subarray(16)).map(({ type }) => type), ["VP8 "]);
    const picture = await decodeStill(data.subarray(16));
    assert.ok(psnr(frames[i]!, picture) > 20);
    assert.deepEqual(picture, await decodeStill((await encodeAll(frames))[i]!.subarray(12)));
  }
});

Deno.test("joinWebps() keeps transparency, of which stills say more", async () => {
  const frames = [plain(6, 4, [10, 200, 30, 128]), plain(6, 4, [200, 10, 30, 255])];
  const [header, _, first, second] = fileChunks(
    joinWebps(await encodeAll(frames), frames[0]!, [10, 20]),
  );
  assert.equal(header!.data[0], 0x12, "animated, with transparency");
  assert.deepEqual(chunks(first!.data.subarray(16)).map(({ type }) => type), ["ALPH", "VP8 "]);
  assert.deepEqual(chunks(second!.data.subarray(16)).map(({ type }) => type), ["VP8 "]);
  const replacesTheOneBefore = 2;
  assert.equal(second!.data[15], replacesTheOneBefore);
});

Deno.test("Deno shows the first frame of an animated WebP", async () => {
  const frames = wanderingDisc(16, 16, 2);
  const webp = joinWebps(await encodeAll(frames), frames[0]!, [10, 20]);
  const { width, height } = await createImageBitmap(new Blob([webp]));
  assert.deepEqual([width, height], [16, 16]);
});
