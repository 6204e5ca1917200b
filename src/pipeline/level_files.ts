/** What is written of an image or video: a level as a file, or as a folder of frames. */

import { type AnimationFormat, encodeAnimation, frameNames } from "../media/animation.ts";
import { encodeImage, type ImageFormat } from "../media/image.ts";
import type { Picture } from "../media/picture.ts";
import type { GeneratedImage } from "./pipeline.ts";
import {
  type ImagePart,
  type ModelIdentity,
  PARAMETERS_KEYWORD,
  pngParameters,
} from "./png_parameters.ts";
import type { ResolvedRequest } from "./request.ts";

/** How levels are written: each as an image, as a video, or as a folder of frames. */
export type Encoding =
  | { readonly medium: "image"; readonly format: ImageFormat; readonly extension: string }
  | {
    readonly medium: "video";
    readonly format: AnimationFormat;
    readonly fps: number;
    readonly extension: string;
  }
  | { readonly medium: "frames" };

/** One resolution of an image or video, to be written. */
export interface Level {
  /** One for an image. */
  readonly frames: readonly Picture[];
  /** The texts in the PNG of such a part of the level: {@linkcode encodeImage}. */
  textOf(part: Omit<ImagePart, "level">): Record<string, string>;
}

/** Files of a folder, by name. */
export type Files = ReadonlyMap<string, Uint8Array>;

/**
 * A level of what was made, with its settings as text.
 *
 * @param medium Of an image whose inner levels are videos they are written as they are.
 */
export function levelOf(
  image: GeneratedImage,
  level: number,
  { resolved, model, medium }: {
    readonly resolved: ResolvedRequest;
    readonly model: ModelIdentity;
    readonly medium: Encoding["medium"];
  },
): Level {
  return {
    frames: medium === "image" ? [image.levels[level]!] : image.frames[level]!,
    textOf: (part) => ({
      [PARAMETERS_KEYWORD]: JSON.stringify(
        pngParameters(resolved, image, model, { level, ...part }),
      ),
    }),
  };
}

/** Encodes a level. A video's level of one frame is a PNG. */
export async function encodeLevel(
  { frames, textOf }: Level,
  output: Encoding,
): Promise<{ extension: string; content: Uint8Array | Files }> {
  const [image] = frames;
  if (output.medium === "image") {
    const { extension, format } = output;
    return { extension, content: await encodeImage(image!, format, textOf({})) };
  }
  if (frames.length === 1) {
    return { extension: ".png", content: await encodeImage(image!, "png", textOf({})) };
  }
  if (output.medium === "video") {
    const { extension, format, fps } = output;
    const content = await encodeAnimation(frames, format, { fps, text: textOf({ fps }) });
    return { extension, content };
  }
  const files = new Map<string, Uint8Array>();
  for (const [i, name] of frameNames(frames.length).entries()) {
    const png = await encodeImage(frames[i]!, "png", textOf({ frame: i + 1 }));
    files.set(`${name}.png`, png);
  }
  return { extension: "", content: files };
}
