/** The formats in which images and videos are written. */
import type { AnimationFormat } from "./animation.ts";
import type { ImageFormat } from "./image.ts";

/** How results are written: of a model of images as an image, of one of videos as an animation. */
export type OutputFormat = ImageFormat | AnimationFormat;

/** Formats of images, the default first. */
export const IMAGE_FORMATS = ["png", "jpeg", "webp"] as const satisfies readonly ImageFormat[];

/** Formats of videos, the default first. */
export const VIDEO_FORMATS = [
  "mp4",
  "gif",
  "webp",
  "png",
] as const satisfies readonly AnimationFormat[];
