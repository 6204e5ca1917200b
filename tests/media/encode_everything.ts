/** Encodes a video in every format, for a test of what this is permitted to need. */

import { type AnimationFormat, encodeAnimation } from "../../src/media/animation.ts";
import { wanderingDisc } from "./frames.ts";

const FORMATS: readonly AnimationFormat[] = ["mp4", "gif", "webp", "png"];

for (const format of FORMATS) {
  const { length } = await encodeAnimation(wanderingDisc(16, 16, 3), format, { fps: 8 });
  if (length > 0) console.log(format);
}
