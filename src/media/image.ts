import { checkArgument, wrongArgument } from "../check_arguments.ts";
import { MdmError, UsageError } from "../errors.ts";
import { IMAGE_FORMATS, type ImageFormat } from "./output_format.ts";
import type { Picture } from "./picture.ts";
import { withText } from "./png_text.ts";

export type { ImageFormat };

const FORMATS: ReadonlyMap<string, ImageFormat> = new Map<string, ImageFormat>([
  ["png", "png"],
  ["jpg", "jpeg"],
  ["jpeg", "jpeg"],
  ["webp", "webp"],
]);

/** Of JPEG and WebP, in percent: differences cannot be seen, at a third of a PNG's size. */
const QUALITY = 95;

/** The format stores a side in 14 bits. */
const WEBP_LARGEST_SIDE = 16383;

/**
 * The format that a path asks for by its extension.
 *
 * @throws {UsageError} when the extension is none of .png, .jpg, .jpeg and .webp
 *
 * @example
 * ```ts
 * if (formatOf("pictures/a-star.JPG") !== "jpeg") throw new Error();
 * ```
 */
export function formatOf(path: string): ImageFormat {
  const format = FORMATS.get(/\.([^./\\]+)$/.exec(path)?.[1]?.toLowerCase() ?? "");
  if (!format) {
    throw new UsageError(
      `Cannot tell the format of "${path}": end its name in .png, .jpg, .jpeg or .webp.`,
    );
  }
  return format;
}

/**
 * Encodes a picture; the same input gives the same bytes.
 *
 * @param text stored in a PNG, each by its keyword; JPEG and WebP hold none
 * @throws {UsageError} when there is no such format, or the picture has not as many bytes as its size takes
 * @throws {MdmError} when the picture is larger than the format can be
 *
 * @example
 * ```ts
 * const red = { width: 1, height: 1, data: Uint8Array.of(255, 0, 0, 255) };
 * const png = await encodeImage(red, "png", { Title: "red" });
 * ```
 */
export async function encodeImage(
  picture: Picture,
  format: ImageFormat,
  text: Record<string, string> = {},
): Promise<Uint8Array<ArrayBuffer>> {
  checkArgument("format", IMAGE_FORMATS, format);
  checkPicture(picture);
  switch (format) {
    case "png":
      return withText(await encodeByDeno(picture, "image/png"), text);
    case "jpeg":
      return await encodeByDeno(picture, "image/jpeg");
    case "webp":
      return await encodeWebp(picture);
  }
}

/** @throws {UsageError} when it is no picture. */
export function checkPicture(picture: unknown): void {
  const { width, height, data } = (picture ?? {}) as Partial<Record<keyof Picture, unknown>>;
  const isWhole = isSide(width) && isSide(height) &&
    (data instanceof Uint8Array || data instanceof Uint8ClampedArray) &&
    data.length === width * height * 4;
  if (isWhole) return;
  throw wrongArgument(
    "the picture",
    picture,
    "one with a width, a height, and width * height * 4 bytes of data",
  );
}

function isSide(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) > 0;
}

async function encodeByDeno(
  { width, height, data }: Picture,
  type: "image/png" | "image/jpeg",
): Promise<Uint8Array<ArrayBuffer>> {
  const canvas = new OffscreenCanvas(width, height);
  const bitmap = await createImageBitmap(new ImageData(new Uint8ClampedArray(data), width, height));
  canvas.getContext("bitmaprenderer")!.transferFromImageBitmap(bitmap);
  const blob = await canvas.convertToBlob({ type, quality: QUALITY / 100 });
  return new Uint8Array(await blob.arrayBuffer());
}

/** Deno has no WebP encoder; this is libwebp as WebAssembly, loaded when it is first asked for. */
async function encodeWebp({ width, height, data }: Picture): Promise<Uint8Array<ArrayBuffer>> {
  if (Math.max(width, height) > WEBP_LARGEST_SIDE) {
    throw new MdmError(
      `Cannot write a WebP of ${width}x${height} pixels: ` +
        `its sides end at ${WEBP_LARGEST_SIDE}. Write a .png.`,
    );
  }
  const { default: encode } = await import("../deps/webp.ts");
  const image = new ImageData(new Uint8ClampedArray(data), width, height);
  return new Uint8Array(await encode(image, { quality: QUALITY }));
}
