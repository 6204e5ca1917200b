import { type Allowed, checkArgument, checkOptions } from "../check_arguments.ts";
import { UsageError } from "../errors.ts";
import { joinPngs } from "./apng.ts";
import { encodeGif } from "./gif.ts";
import { checkPicture, encodeImage } from "./image.ts";
import { encodeMp4 } from "./mp4.ts";
import { type AnimationFormat, type ImageFormat, VIDEO_FORMATS } from "./output_format.ts";
import type { Picture } from "./picture.ts";
import { joinWebps } from "./webp_animation.ts";

export type { AnimationFormat };

/**
 * How a video is written.
 *
 * @example
 * ```ts
 * const options: AnimationOptions = { fps: 12, text: { Title: "a balloon" } };
 * ```
 */
export interface AnimationOptions {
  /** Frames a second, a whole number from 1 to 120. */
  readonly fps: number;
  /** Stored in a PNG, each by its keyword; the other formats hold none. */
  readonly text?: Record<string, string>;
}

const OPTIONS: Readonly<Record<keyof AnimationOptions, Allowed>> = {
  fps: "number",
  text: "object",
};

/** Frames a second at most. */
export const FASTEST = 120;

/** Frames a second unless a person says: models do not. */
export const DEFAULT_FPS = 8;

/**
 * The format that a path asks for by its extension.
 *
 * @throws {UsageError} when the extension is none of .mp4, .gif, .webp, .png and .apng
 *
 * @example
 * ```ts
 * if (animationFormatOf("balloon.gif") !== "gif") throw new Error();
 * ```
 */
export function animationFormatOf(path: string): AnimationFormat {
  const extension = /\.([^./\\]+)$/.exec(path)?.[1]?.toLowerCase();
  const format = extension === "apng" ? "png" : VIDEO_FORMATS.find((name) => name === extension);
  if (format !== undefined) return format;
  throw new UsageError(
    `Cannot tell the format of "${path}": end its name in .mp4, .gif, .webp or .png.`,
  );
}

/**
 * Encodes a video, which repeats for ever except in an MP4; the same input gives the same bytes.
 *
 * PNG keeps every pixel. WebP is nearly so; GIF has 256 colours a frame, and browsers slow it down
 * above 50 frames a second; MP4 halves the resolution of colour. GIF and MP4 have no transparency.
 *
 * @param frames at least one, all of one size
 * @throws {UsageError} when `fps` is not a whole number from 1 to 120, there is no such format or no frame, or sizes differ
 * @throws {MdmError} when the frames are larger than the format can be
 *
 * @example
 * ```ts
 * const frame = (red: number) => ({
 *   width: 1,
 *   height: 1,
 *   data: Uint8Array.of(red, 0, 0, 255),
 * });
 * const gif = await encodeAnimation([frame(0), frame(255)], "gif", { fps: 2 });
 * ```
 */
export async function encodeAnimation(
  frames: readonly Picture[],
  format: AnimationFormat,
  options: AnimationOptions,
): Promise<Uint8Array<ArrayBuffer>> {
  const { fps, text = {} } = options ?? {};
  checkArgument("format", VIDEO_FORMATS, format);
  if (!Number.isInteger(fps) || fps < 1 || fps > FASTEST) {
    throw new UsageError(
      `Cannot show ${fps} frames a second: give a whole number from 1 to ${FASTEST}.`,
    );
  }
  checkOptions(options, OPTIONS);
  checkArgument("frames", "object", frames);
  const [first] = frames;
  if (!first) throw new UsageError("A video needs a frame: give at least one.");
  frames.forEach(checkPicture);
  if (frames.some(({ width, height }) => width !== first.width || height !== first.height)) {
    throw new UsageError("The frames of a video have one size: give frames that do.");
  }
  switch (format) {
    case "mp4":
      return await encodeMp4(frames, fps);
    case "gif":
      return await encodeGif(frames, delays(frames.length, 100 / fps));
    case "webp": {
      const images = await encodeAll(frames, "webp");
      return joinWebps(images, first, delays(frames.length, 1000 / fps));
    }
    case "png":
      return joinPngs(await encodeAll(frames, "png"), fps, text);
  }
}

/** The names of a video's frames as single files, without extension, in order: "frame-01". */
export function frameNames(count: number): string[] {
  const digits = String(count).length;
  return Array.from({ length: count }, (_, i) => `frame-${String(i + 1).padStart(digits, "0")}`);
}

async function encodeAll(frames: readonly Picture[], format: ImageFormat) {
  const encoded: Uint8Array<ArrayBuffer>[] = [];
  for (const frame of frames) encoded.push(await encodeImage(frame, format));
  return encoded;
}

/**
 * How long each frame is shown, in whole ticks. Rounded are the times at which frames change, not
 * the delays, so that the whole takes as long as it should.
 */
function delays(count: number, ticksPerFrame: number): number[] {
  return Array.from(
    { length: count },
    (_, i) => Math.round((i + 1) * ticksPerFrame) - Math.round(i * ticksPerFrame),
  );
}
