import assert from "../assert.ts";
import { createHash } from "node:crypto";
import process from "node:process";
import { MdmError } from "../../src/errors.ts";
import { encodeMp4 } from "../../src/media/mp4.ts";
import { boxAt, boxes } from "./boxes.ts";
import { wanderingDisc } from "./frames.ts";

const TRACK = "moov/trak";
const MEDIA = `${TRACK}/mdia`;
const SAMPLES = `${MEDIA}/minf/stbl`;
/** Of times. */
const TICKS_PER_SECOND = 90_000;

/** Width, height, count of frames. */
const SIZES = [[2, 2, 3], [8, 8, 16], [16, 16, 1], [32, 32, 16], [64, 48, 21]] as const;

Deno.test("encodeMp4() writes the frames in one track of the same size", async () => {
  for (const [width, height, count] of SIZES) {
    const mp4 = await encodeMp4(wanderingDisc(width, height, count), 8);
    // The index comes first: a player can begin before it has all of the file.
    assert.deepEqual(boxes(mp4).map(({ type }) => type), ["ftyp", "moov", "mdat"]);
    assert.equal(boxes(boxAt(mp4, "moov")).filter(({ type }) => type === "trak").length, 1);
    const header = boxAt(mp4, `${SAMPLES}/stsd/avc1`);
    assert.deepEqual([header.getUint16(24), header.getUint16(26)], [width, height]);
    const shown = boxAt(mp4, `${TRACK}/tkhd`);
    assert.deepEqual([shown.getUint16(76), shown.getUint16(80)], [width, height]);

    const sizes = boxAt(mp4, `${SAMPLES}/stsz`);
    assert.equal(sizes.getUint32(8), count);
    const sizeOfAll = sizes.getUint32(4);
    let total = 0;
    for (let i = 0; i < count; i++) total += sizeOfAll || sizes.getUint32(12 + 4 * i);
    assert.equal(total, boxAt(mp4, "mdat").byteLength);
  }
});

Deno.test("encodeMp4() shows every frame for as long as it should", async () => {
  for (const fps of [1, 7, 8, 24, 120]) {
    const mp4 = await encodeMp4(wanderingDisc(16, 16, 12), fps);
    const times = boxAt(mp4, `${SAMPLES}/stts`);
    assert.deepEqual([times.getUint32(4), times.getUint32(8)], [1, 12]);
    const ticks = Math.floor(TICKS_PER_SECOND / fps);
    assert.equal(times.getUint32(12), ticks);
    for (const path of ["moov/mvhd", `${MEDIA}/mdhd`]) {
      const header = boxAt(mp4, path);
      assert.deepEqual([header.getUint32(12), header.getUint32(16)], [
        TICKS_PER_SECOND,
        12 * ticks,
      ]);
    }
  }
});

Deno.test("encodeMp4() finds its own frames where its tables say", async () => {
  for (const count of [1, 2, 40]) {
    const mp4 = await encodeMp4(wanderingDisc(32, 32, count), 8);
    const file = new DataView(mp4.buffer);
    const samples = samplesOf(mp4);
    assert.equal(samples.length, count);
    for (const [i, { at, size }] of samples.entries()) {
      // A sample is its length and a NAL unit: of type 5 a picture that needs no other, as is every twentieth; of type 1 one that does.
      assert.equal(file.getUint32(at), size - 4, `sample ${i}`);
      assert.equal(file.getUint8(at + 4) & 31, i % 20 === 0 ? 5 : 1, `sample ${i}`);
    }
  }
});

/** Where the samples of an MP4 are, by its tables of chunks, of samples a chunk, and of sizes. */
function samplesOf(mp4: Uint8Array): { readonly at: number; readonly size: number }[] {
  const chunks = boxAt(mp4, `${SAMPLES}/stco`);
  const runs = boxAt(mp4, `${SAMPLES}/stsc`);
  const sizes = boxAt(mp4, `${SAMPLES}/stsz`);
  const samples: { at: number; size: number }[] = [];
  for (let chunk = 1; chunk <= chunks.getUint32(4); chunk++) {
    let at = chunks.getUint32(4 + 4 * chunk);
    for (let left = inChunk(runs, chunk); left > 0; left--) {
      const size = sizes.getUint32(4) || sizes.getUint32(12 + 4 * samples.length);
      samples.push({ at, size });
      at += size;
    }
  }
  return samples;
}

/** Samples of a chunk: as many as of the last run that begins at it or before it. */
function inChunk(runs: DataView, chunk: number): number {
  let samples = 0;
  for (let run = 0; run < runs.getUint32(4); run++) {
    if (runs.getUint32(8 + 12 * run) <= chunk) samples = runs.getUint32(12 + 12 * run);
  }
  return samples;
}

Deno.test("encodeMp4() says how colours are stored", async () => {
  const colour = boxAt(await encodeMp4(wanderingDisc(8, 8, 2), 8), `${SAMPLES}/stsd/avc1/colr`);
  const bytes = new Uint8Array(colour.buffer, colour.byteOffset, colour.byteLength);
  assert.equal(new TextDecoder().decode(bytes.subarray(0, 4)), "nclx");
  const [bt709, srgb, bt601, limited] = [1, 13, 6, 0];
  assert.deepEqual([...bytes.subarray(4)], [0, bt709, 0, srgb, 0, bt601, limited]);
});

Deno.test("encodeMp4() writes the bytes that ffmpeg 5.1 decoded, at any time of day", async () => {
  const { now } = Date;
  try {
    for (const day of [0, 20_000]) {
      Date.now = () => day * 86_400_000;
      const mp4 = await encodeMp4(wanderingDisc(33, 31, 16), 8);
      // The PSNR of the decoded frames against toYuv420()'s is 50.7 dB.
      const hash = "426c869d8af5d9113e0e4a0531572758f4ee4f9c31d2f412aab8144b3b6e746e";
      assert.equal(createHash("sha256").update(mp4).digest("hex"), hash);
    }
  } finally {
    Date.now = now;
  }
});

Deno.test("encodeMp4() encodes several videos at once", async () => {
  const videos = [wanderingDisc(8, 8, 3), wanderingDisc(32, 16, 9)];
  const atOnce = await Promise.all(videos.map((frames) => encodeMp4(frames, 8)));
  for (const [i, frames] of videos.entries()) {
    assert.deepEqual(await encodeMp4(frames, 8), atOnce[i]);
  }
});

Deno.test("encodeMp4() leaves no handler of the process's errors behind", async () => {
  await encodeMp4(wanderingDisc(8, 8, 1), 8);
  assert.deepEqual(process.rawListeners("uncaughtException"), []);
  assert.deepEqual(process.rawListeners("unhandledRejection"), []);
});

Deno.test("encodeMp4() refuses frames that players cannot show", async () => {
  const wide = { width: 4097, height: 1, data: new Uint8Array(4097 * 4) };
  await assert.rejects(
    encodeMp4([wide], 8),
    new MdmError(
      "Cannot write an MP4 of 4098x2 pixels: its sides end at 4096. Write a .webp or .png.",
    ),
  );
  const widest = { width: 4096, height: 1, data: new Uint8Array(4096 * 4) };
  assert.ok((await encodeMp4([widest], 8)).length > 0);
});
