import assert from "../assert.ts";
import type { Picture } from "../../src/media/picture.ts";
import { type GeneratedImage, Pipeline } from "../../src/pipeline/pipeline.ts";
import { makeVideoModel } from "../video_model.ts";

async function make(model: string): Promise<GeneratedImage[]> {
  await using pipeline = await Pipeline.load(model);
  const made: GeneratedImage[] = [];
  for await (const event of pipeline.generate({ prompt: "a", count: 2, seed: 1, steps: 2 })) {
    if (event.kind === "image") made.push(event.image);
  }
  return made;
}

/** The pixels of a mosaic in the order of its frames. */
function pixelsByFrame({ width, height, data }: Picture, grid: number): number[] {
  const [w, h] = [width / grid, height / grid];
  const pixels: number[] = [];
  for (let i = 0; i < width * height; i++) {
    const [frame, y, x] = [Math.floor(i / (w * h)), Math.floor(i / w) % h, i % w];
    const [row, column] = [Math.floor(frame / grid) * h + y, (frame % grid) * w + x];
    pixels.push(...data.subarray(4 * (row * width + column), 4 * (row * width + column + 1)));
  }
  return pixels;
}

Deno.test("a video has frames at each level, those of its mosaics", async () => {
  const model = await Deno.makeTempDir();
  try {
    await makeVideoModel(model);
    const videos = await make(model);
    assert.equal(videos.length, 2);
    for (const { levels, frames } of videos) {
      assert.deepEqual(levels.map(({ width }) => width), [32, 16, 8]);
      assert.deepEqual(frames.map(({ length }) => length), [4, 4, 1]);
      for (const [level, grid] of [2, 2, 1].entries()) {
        const pixels = frames[level]!.flatMap(({ data }) => [...data]);
        assert.deepEqual(pixels, pixelsByFrame(levels[level]!, grid));
      }
    }
    assert.notDeepEqual(videos[0]!.frames, videos[1]!.frames);
  } finally {
    await Deno.remove(model, { recursive: true });
  }
});

Deno.test("an image is one frame at each level", async () => {
  const [picture] = await make("weights/shapes32");
  assert.deepEqual(picture!.frames, picture!.levels.map((level) => [level]));
});
