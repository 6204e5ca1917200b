import assert from "../assert.ts";
import { Buffer } from "node:buffer";
import { fileURLToPath } from "node:url";
import { UsageError } from "../../src/errors.ts";
import {
  type AnimationFormat,
  animationFormatOf,
  encodeAnimation,
  frameNames,
} from "../../src/media/animation.ts";
import { chunks } from "../../src/media/png_chunks.ts";
import { readText } from "../../src/media/png_text.ts";
import { boxAt } from "./boxes.ts";
import { wanderingDisc } from "./frames.ts";
import { readGif } from "./gif_frames.ts";

const FORMATS: readonly AnimationFormat[] = ["mp4", "gif", "webp", "png"];

Deno.test("animationFormatOf() goes by the extension", () => {
  for (const format of FORMATS) assert.equal(animationFormatOf(`out.d/a.b.${format}`), format);
  assert.equal(animationFormatOf("A.MP4"), "mp4");
  for (const path of ["a", "a.jpg", "mp4", "a.png/b", "a.", "a.constructor", "a.mov"]) {
    assert.throws(
      () => animationFormatOf(path),
      new UsageError(
        `Cannot tell the format of "${path}": end its name in .mp4, .gif, .webp or .png.`,
      ),
    );
  }
});

Deno.test("encodeAnimation() writes what the format asks for, the same every time", async () => {
  const starts: Record<AnimationFormat, string> = {
    mp4: "\0\0\0\x18ftypmp42",
    gif: "GIF89a",
    webp: "RIFF",
    png: "\x89PNG\r\n\x1a\n",
  };
  const frames = wanderingDisc(32, 32, 16);
  for (const format of FORMATS) {
    const bytes = await encodeAnimation(frames, format, { fps: 8 });
    const start = Buffer.from(bytes.subarray(0, starts[format].length)).toString("latin1");
    assert.equal(start, starts[format]);
    assert.deepEqual(await encodeAnimation(frames, format, { fps: 8 }), bytes, format);
    assert.equal(frameCount(bytes, format), 16, format);
  }
});

Deno.test("encodeAnimation() takes as long in all as it should, at any rate", async () => {
  for (const fps of [1, 7, 8, 24, 30, 60, 120]) {
    const frames = wanderingDisc(4, 4, 2 * fps);
    const seconds = 2;
    const gif = readGif(await encodeAnimation(frames, "gif", { fps }));
    const hundredths = gif.frames.map(({ delay }) => delay);
    assert.equal(sum(hundredths), 100 * seconds, `gif at ${fps}`);
    assert.ok(Math.max(...hundredths) - Math.min(...hundredths) <= 1);

    const thousandths = webpDelays(await encodeAnimation(frames, "webp", { fps }));
    assert.equal(sum(thousandths), 1000 * seconds, `webp at ${fps}`);
    assert.ok(Math.max(...thousandths) - Math.min(...thousandths) <= 1);

    const png = await encodeAnimation(frames, "png", { fps });
    for (const { type, data } of chunks(png)) {
      if (type === "fcTL") assert.deepEqual([...data.subarray(20, 24)], [0, 1, 0, fps]);
    }
  }
});

Deno.test("encodeAnimation() stores text in a PNG and in no other", async () => {
  const frames = wanderingDisc(8, 8, 2);
  const text = { prompt: "a red circle" };
  assert.deepEqual(readText(await encodeAnimation(frames, "png", { fps: 8, text })), text);
  for (const format of ["mp4", "gif", "webp"] as const) {
    const without = await encodeAnimation(frames, format, { fps: 8 });
    assert.deepEqual(await encodeAnimation(frames, format, { fps: 8, text }), without);
  }
});

Deno.test("encodeAnimation() refuses rates that no player shows", async () => {
  for (const fps of [0, 0.5, 121, -8, 12.5, NaN, Infinity]) {
    for (const format of FORMATS) {
      await assert.rejects(
        encodeAnimation(wanderingDisc(4, 4, 1), format, { fps }),
        new UsageError(`Cannot show ${fps} frames a second: give a whole number from 1 to 120.`),
      );
    }
  }
});

Deno.test("encodeAnimation() refuses no frames, and frames of several sizes", async () => {
  const mixed = [...wanderingDisc(8, 8, 2), ...wanderingDisc(8, 6, 1)];
  for (const format of FORMATS) {
    await assert.rejects(
      encodeAnimation([], format, { fps: 8 }),
      new UsageError("A video needs a frame: give at least one."),
    );
    await assert.rejects(
      encodeAnimation(mixed, format, { fps: 8 }),
      new UsageError("The frames of a video have one size: give frames that do."),
    );
  }
});

Deno.test("encodeAnimation() may only read", async () => {
  const script = fileURLToPath(new URL("encode_everything.ts", import.meta.url));
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--no-prompt", "--cached-only", "--allow-read", script],
    stdin: "null",
  }).output();
  const text = new TextDecoder();
  assert.deepEqual(
    { code, stdout: text.decode(stdout), stderr: text.decode(stderr) },
    { code: 0, stdout: "mp4\ngif\nwebp\npng\n", stderr: "" },
  );
});

Deno.test("frameNames() sort as the frames do", () => {
  assert.deepEqual(frameNames(0), []);
  assert.deepEqual(frameNames(2), ["frame-1", "frame-2"]);
  const names = frameNames(120);
  assert.deepEqual([names[0], names[98], names[119]], ["frame-001", "frame-099", "frame-120"]);
  assert.deepEqual(names.toSorted(), names);
});

function frameCount(bytes: Uint8Array, format: AnimationFormat): number {
  switch (format) {
    case "mp4":
      return boxAt(bytes, "moov/trak/mdia/minf/stbl/stsz").getUint32(8);
    case "gif":
      return readGif(bytes).frames.length;
    case "webp":
      return webpDelays(bytes).length;
    case "png":
      return [...chunks(bytes)].filter(({ type }) => type === "fcTL").length;
  }
}

/** Of every frame, in milliseconds. */
function webpDelays(webp: Uint8Array): number[] {
  const file = Buffer.from(webp);
  const delays: number[] = [];
  for (let at = 12; at < file.length; at += 8 + Math.ceil(file.readUInt32LE(at + 4) / 2) * 2) {
    const isFrame = file.toString("latin1", at, at + 4) === "ANMF";
    if (isFrame) delays.push(file.readUIntLE(at + 8 + 12, 3));
  }
  return delays;
}

function sum(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0);
}
