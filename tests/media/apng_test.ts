import assert from "../assert.ts";
import { Buffer } from "node:buffer";
import { joinPngs } from "../../src/media/apng.ts";
import { encodeImage } from "../../src/media/image.ts";
import { chunk, chunks, SIGNATURE } from "../../src/media/png_chunks.ts";
import type { Picture } from "../../src/media/picture.ts";
import { readText } from "../../src/media/png_text.ts";
import { plain, wanderingDisc } from "./frames.ts";
import { readPng } from "./png_pixels.ts";

async function encodeAll(frames: readonly Picture[]): Promise<Uint8Array<ArrayBuffer>[]> {
  return await Promise.all(frames.map((frame) => encodeImage(frame, "png")));
}

/** Each frame as a still PNG, made of what is between one fcTL chunk and the next. */
function frameStills(png: Uint8Array): Uint8Array<ArrayBuffer>[] {
  const stills: Buffer[][] = [];
  let header: Uint8Array | undefined;
  for (const { type, data } of chunks(png)) {
    if (type === "IHDR") header = data;
    if (type === "fcTL") stills.push([]);
    if (type === "IDAT") stills.at(-1)!.push(chunk("IDAT", data));
    if (type === "fdAT") stills.at(-1)!.push(chunk("IDAT", data.subarray(4)));
  }
  return stills.map((pixels) =>
    new Uint8Array(
      Buffer.concat([SIGNATURE, chunk("IHDR", header!), ...pixels, chunk("IEND", Buffer.alloc(0))]),
    )
  );
}

Deno.test("joinPngs() writes every pixel of every frame, for ever", async () => {
  const frames = wanderingDisc(33, 20, 3);
  const png = joinPngs(await encodeAll(frames), 120);
  assert.deepEqual(
    [...chunks(png)].map(({ type }) => type),
    ["IHDR", "acTL", "fcTL", "IDAT", "fcTL", "fdAT", "fcTL", "fdAT", "IEND"],
  );
  const animation = [...chunks(png)].find(({ type }) => type === "acTL")!;
  assert.deepEqual([...animation.data], [0, 0, 0, 3, 0, 0, 0, 0]);
  assert.deepEqual(frameStills(png).map(readPng), frames);
});

Deno.test("joinPngs() shows each frame in order, whole, for its part of a second", async () => {
  const png = joinPngs(await encodeAll(wanderingDisc(33, 20, 3)), 120);
  const controls = [...chunks(png)].filter(({ type }) => type === "fcTL");
  const place = [...[0, 0, 0, 33], ...[0, 0, 0, 20], ...[0, 0, 0, 0], ...[0, 0, 0, 0]];
  const [delay, replace] = [[0, 1, 0, 120], [0, 0]];
  for (const [i, { data }] of controls.entries()) {
    assert.deepEqual([...data.subarray(4)], [...place, ...delay, ...replace], `frame ${i}`);
  }
  const sequence = [...chunks(png)]
    .filter(({ type }) => type === "fcTL" || type === "fdAT")
    .map(({ data }) => Buffer.from(data).readUInt32BE());
  assert.deepEqual(sequence, [0, 1, 2, 3, 4]);
});

Deno.test("joinPngs() numbers the parts of frames that PNGs hold in several", async () => {
  const split = (png: Uint8Array<ArrayBuffer>) => {
    const parts = [...chunks(png)].flatMap(({ type, data }) =>
      type === "IDAT"
        ? [chunk(type, data.subarray(0, 5)), chunk(type, data.subarray(5))]
        : [chunk(type, data)]
    );
    return new Uint8Array(Buffer.concat([SIGNATURE, ...parts]));
  };
  const frames = wanderingDisc(9, 9, 3);
  const png = joinPngs((await encodeAll(frames)).map(split), 8);
  assert.deepEqual(frameStills(png).map(readPng), frames);
  const sequence = [...chunks(png)]
    .filter(({ type }) => type === "fcTL" || type === "fdAT")
    .map(({ data }) => Buffer.from(data).readUInt32BE());
  assert.deepEqual(sequence, [0, 1, 2, 3, 4, 5, 6]);
});

Deno.test("joinPngs() stores text, and is a PNG for those who know no other", async () => {
  const frames = wanderingDisc(16, 16, 2);
  const text = { prompt: "un círculo rojo 🔴", settings: '{"seed":7}' };
  const png = joinPngs(await encodeAll(frames), 8, text);
  assert.deepEqual(readText(png), text);
  assert.deepEqual(readPng(png), frames[0]);
  const { width, height } = await createImageBitmap(new Blob([png]));
  assert.deepEqual([width, height], [16, 16]);
});

Deno.test("joinPngs() takes transparent frames with others, and no two sizes", async () => {
  const frames = [plain(4, 4, [1, 2, 3, 255]), plain(4, 4, [4, 5, 6, 7])];
  const png = joinPngs(await encodeAll(frames), 8);
  assert.deepEqual(frameStills(png).map(readPng), frames);
  const sizes = await encodeAll([plain(4, 4, [0, 0, 0]), plain(4, 5, [0, 0, 0])]);
  assert.throws(() => joinPngs(sizes, 8), new RangeError("The headers differ"));
});
