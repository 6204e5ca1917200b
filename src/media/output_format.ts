/** The formats in which images and videos are written. */

/** Formats of images, the default first. */
export const IMAGE_FORMATS = ["png", "jpeg", "webp"] as const;

/** Formats of videos, the default first; WebP and PNG are their animated kinds. */
export const VIDEO_FORMATS = ["mp4", "gif", "webp", "png"] as const;

/**
 * A format of images.
 *
 * @example
 * ```ts
 * const format: ImageFormat = "webp";
 * ```
 */
export type ImageFormat = typeof IMAGE_FORMATS[number];

/**
 * A format of videos.
 *
 * @example
 * ```ts
 * const format: AnimationFormat = "mp4";
 * ```
 */
export type AnimationFormat = typeof VIDEO_FORMATS[number];

/** How results are written: of a model of images as an image, of one of videos as an animation. */
export type OutputFormat = ImageFormat | AnimationFormat;
