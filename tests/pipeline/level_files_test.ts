import assert from "../assert.ts";
import { readText } from "../../src/media/png_text.ts";
import { encodeLevel, type Encoding, levelOf } from "../../src/pipeline/level_files.ts";
import type { GeneratedImage } from "../../src/pipeline/pipeline.ts";
import { resolveRequest } from "../../src/pipeline/request.ts";
import { MODEL } from "../jobs/job_place.ts";
import { plain } from "../media/frames.ts";

const RESOLVED = resolveRequest(
  { prompt: "a star", seed: 7, steps: 2 },
  MODEL.config,
  MODEL.diffusion,
);

/** A video of two frames, over an image of one. */
const VIDEO: GeneratedImage = {
  ...RESOLVED.jobs[0]!,
  levels: [plain(16, 8, [255, 0, 0]), plain(8, 8, [0, 0, 255])],
  frames: [
    [plain(8, 8, [255, 0, 0]), plain(8, 8, [0, 255, 0])],
    [plain(8, 8, [0, 0, 255])],
  ],
};

async function encoded(level: number, output: Encoding) {
  const model = { model: "played", weights: "0" };
  const { medium } = output;
  return await encodeLevel(levelOf(VIDEO, level, { resolved: RESOLVED, model, medium }), output);
}

/** What a PNG says of the part that it holds. */
function partOf(png: Uint8Array) {
  const { level, fps, frame } = JSON.parse(readText(png).mdm!);
  return { level, fps, frame };
}

Deno.test("frames are PNGs of a folder, each with its number from 1; a level of one frame is a file", async () => {
  const { extension, content } = await encoded(0, { medium: "frames" });
  assert.equal(extension, "");
  const files = [...content as ReadonlyMap<string, Uint8Array>];
  assert.deepEqual(files.map(([name, png]) => [name, partOf(png)]), [
    ["frame-1.png", { level: 0, fps: undefined, frame: 1 }],
    ["frame-2.png", { level: 0, fps: undefined, frame: 2 }],
  ]);
  const single = await encoded(1, { medium: "frames" });
  assert.equal(single.extension, ".png");
  assert.deepEqual(partOf(single.content as Uint8Array), {
    level: 1,
    fps: undefined,
    frame: undefined,
  });
});

Deno.test("a video keeps its frames a second, an image shows its level whole", async () => {
  const video = { medium: "video", format: "png", fps: 12, extension: ".png" } as const;
  const { content, extension } = await encoded(0, video);
  assert.equal(extension, ".png");
  assert.deepEqual(partOf(content as Uint8Array), { level: 0, fps: 12, frame: undefined });
  const image = await encoded(0, { medium: "image", format: "png", extension: ".png" });
  const png = image.content as Uint8Array;
  assert.deepEqual(partOf(png), { level: 0, fps: undefined, frame: undefined });
  // Width and height stand in the header.
  const header = new DataView(png.buffer, png.byteOffset);
  assert.deepEqual([header.getUint32(16), header.getUint32(20)], [16, 8]);
});
