import assert from "../assert.ts";
import { UsageError } from "../../src/errors.ts";
import { encodeLevels, encodingOf, previewEncoding } from "../../src/engine/encode_levels.ts";
import type { OutputFormat } from "../../src/media/output_format.ts";
import { readText } from "../../src/media/png_text.ts";
import { framesOf } from "../../src/media/mosaic.ts";
import { frameGrids } from "../../src/model/frame_grids.ts";
import type { GeneratedImage } from "../../src/pipeline/pipeline.ts";
import { ModelSource } from "../../src/pipeline/models/model_source.ts";
import { resolveRequest } from "../../src/pipeline/request.ts";
import { plain } from "../media/frames.ts";
import { makeVideoModel } from "../video_model.ts";
import { MODEL } from "../jobs/job_place.ts";

const IDENTITY = { model: "played", weights: "0" };

/** What a model of videos says of itself. */
const VIDEOS = await (async () => {
  const folder = await Deno.makeTempDir();
  try {
    await makeVideoModel(folder);
    using source = await ModelSource.open(folder);
    const { path, config, diffusion } = source;
    return { path, config, diffusion };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
})();

/** Encodes red levels of a model as it would make them. */
async function encoded(
  { config, diffusion }: typeof MODEL,
  sides: readonly number[],
  output: { format?: OutputFormat; fps?: number } = {},
) {
  const resolved = resolveRequest({ prompt: "a star", seed: 7, steps: 2 }, config, diffusion);
  const levels = sides.map((side) => plain(side, side, [255, 0, 0]));
  const frames = levels.map((level, i) => framesOf(level, frameGrids(config)[i]!));
  const image: GeneratedImage = { ...resolved.jobs[0]!, levels, frames };
  const encoding = encodingOf(output, config);
  return await encodeLevels(image, [...levels.keys()], encoding, { resolved, model: IDENTITY });
}

const MAGIC: Readonly<Record<string, RegExp>> = {
  "image/png": /^\x89PNG/,
  "image/jpeg": /^\xff\xd8\xff/,
  "image/webp": /^RIFF....WEBP/s,
  "image/gif": /^GIF89a/,
  "video/mp4": /^....ftyp/s,
};

Deno.test("images are encoded in each of their formats, and PNGs say how they were made", async (t) => {
  for (const format of [undefined, "png", "jpeg", "webp"] as const) {
    await t.step(format ?? "none given", async () => {
      const files = await encoded(MODEL, [32, 16], format === undefined ? {} : { format });
      const type = `image/${format ?? "png"}`;
      assert.deepEqual(
        files.map(({ bytes: _, ...file }) => file),
        [32, 16].map((side, level) => {
          const extension = `.${format ?? "png"}`;
          return { level, width: side, height: side, frames: 1, type, extension };
        }),
      );
      for (const { level, bytes } of files) {
        assert.match(String.fromCharCode(...bytes.subarray(0, 16)), MAGIC[type]!);
        if (type !== "image/png") continue;
        const recipe = JSON.parse(readText(bytes).mdm!);
        assert.deepEqual([recipe.prompt, recipe.seed, recipe.level], ["a star", "7", level]);
      }
    });
  }
});

Deno.test("videos are encoded in each of their formats, and a level of one frame as an image", async (t) => {
  const types = { mp4: "video/mp4", gif: "image/gif", webp: "image/webp", png: "image/png" };
  for (const format of [undefined, "mp4", "gif", "webp", "png"] as const) {
    await t.step(format ?? "none given", async () => {
      const files = await encoded(VIDEOS, [32, 16, 8], format === undefined ? {} : { format });
      const type = types[format ?? "mp4"];
      assert.deepEqual(
        files.map((file) => [file.width, file.frames, file.type, file.extension]),
        [
          [16, 4, type, `.${format ?? "mp4"}`],
          [8, 4, type, `.${format ?? "mp4"}`],
          [8, 1, "image/png", ".png"],
        ],
      );
      for (const { type, bytes } of files) {
        assert.match(String.fromCharCode(...bytes.subarray(0, 16)), MAGIC[type]!);
      }
    });
  }
});

Deno.test("previews are PNGs, whatever the results are", () => {
  assert.deepEqual(
    previewEncoding(encodingOf({ format: "jpeg" }, MODEL.config)),
    { medium: "image", format: "png", extension: ".png" },
  );
  assert.deepEqual(
    previewEncoding(encodingOf({ format: "mp4", fps: 12 }, VIDEOS.config)),
    { medium: "video", format: "png", fps: 12, extension: ".png" },
  );
});

Deno.test("a format that a model's results do not have is refused with those that they have", () => {
  const refused = (output: { format?: OutputFormat; fps?: number }, config = MODEL.config) => {
    let message = "";
    assert.throws(() => encodingOf(output, config), (error) => {
      assert.ok(error instanceof UsageError);
      message = error.message;
      return true;
    });
    return message;
  };
  const formats = "The model makes images: give one of the formats png, jpeg, webp.";
  for (const format of ["mp4", "gif", "bmp" as "png"] as const) {
    assert.equal(refused({ format }), formats);
  }
  assert.equal(
    refused({ fps: 8 }),
    "The model makes images, not videos: leave out the frames a second.",
  );
  assert.equal(
    refused({ format: "jpeg" }, VIDEOS.config),
    "The model makes videos: give one of the formats mp4, gif, webp, png.",
  );
  for (const fps of [0, 0.5, 121, NaN]) {
    assert.equal(
      refused({ fps }, VIDEOS.config),
      `Cannot show ${fps} frames a second: give a whole number from 1 to 120.`,
    );
  }
});
