import { MdmError, UsageError } from "../errors.ts";
import type { Picture } from "./picture.ts";
import { withText } from "./png_text.ts";

/** The formats pictures are written in. */
export type ImageFormat = "png" | "jpeg" | "webp";

const FORMATS: ReadonlyMap<string, ImageFormat> = new Map<string, ImageFormat>([
  ["png", "png"],
  ["jpg", "jpeg"],
  ["jpeg", "jpeg"],
  ["webp", "webp"],
]);

/** Of JPEG and WebP, in percent: differences cannot be seen, at a third of a PNG's size. */
const QUALITY = 95;

/**
 * The format that a path asks for by its extension.
 *
 * @throws {UsageError} when the extension is none of .png, .jpg, .jpeg and .webp
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
 * @throws {MdmError} when this machine has no encoder for the format
 */
export async function encodeImage(
  picture: Picture,
  format: ImageFormat,
  text: Record<string, string> = {},
): Promise<Uint8Array<ArrayBuffer>> {
  switch (format) {
    case "png":
      return withText(await encodeByDeno(picture, "image/png"), text);
    case "jpeg":
      return await encodeByDeno(picture, "image/jpeg");
    case "webp":
      return await encodeWebp(picture);
  }
}

/**
 * Deno encodes PNG and JPEG itself. imagescript would too, but it stamps PNGs with the time, makes
 * them half as large again, and loads machine code that needs a permission of its own.
 */
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

async function encodeWebp({ width, height, data }: Picture): Promise<Uint8Array<ArrayBuffer>> {
  const { Image } = await import("imagescript").catch(() => {
    throw new MdmError(
      "Cannot write WebP: its encoder does not load on this machine. Write a .png or .jpg.",
    );
  });
  const image = new Image(width, height);
  image.bitmap.set(data);
  return new Uint8Array(await image.encodeWEBP(QUALITY));
}
