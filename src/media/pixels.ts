import { MdmError } from "../errors.ts";
import type { Picture } from "./picture.ts";

/**
 * Turns a sample of the model into a picture: -1 is black, 1 is white.
 *
 * @param values one picture, NHWC, nominally in [-1, 1]
 * @param channelStride values a pixel: the first three are red, green and blue; 1 means grey
 * @throws {MdmError} when a value is not a number
 */
export function toPicture(
  values: Float32Array,
  width: number,
  height: number,
  channelStride = 4,
): Picture {
  if (channelStride === 2 || values.length !== width * height * channelStride) {
    throw new RangeError(
      `${values.length} values are not a picture of ${width}x${height}x${channelStride}`,
    );
  }
  const green = channelStride === 1 ? 0 : 1;
  const blue = channelStride === 1 ? 0 : 2;
  const data = new Uint8Array(width * height * 4);
  for (let from = 0, to = 0; to < data.length; from += channelStride, to += 4) {
    data[to] = toByte(values[from]!);
    data[to + 1] = toByte(values[from + green]!);
    data[to + 2] = toByte(values[from + blue]!);
    data[to + 3] = 255;
  }
  return { width, height, data };
}

/**
 * Rounds as torchvision's `save_image` does, bit for bit: in float32 times 255, plus a half,
 * clamped, then cut.
 */
function toByte(value: number): number {
  if (Number.isNaN(value)) {
    throw new MdmError(
      "The model produced values that are not numbers: check that its weights fit its configuration.",
    );
  }
  const unit = Math.fround(value * 0.5 + 0.5);
  const byte = Math.fround(Math.fround(unit * 255) + 0.5);
  return Math.min(Math.max(byte, 0), 255);
}
