/** Sizes and shapes that clients of OpenAI's API ask for, of a model that makes one. */
import { z } from "../../../deps/zod_openapi.ts";
import type { ModelCard } from "../../../jobs/jobs.ts";

/** How programs write a size: 1024x1024, and as some do 1024*1024. */
const SIZE = /^(auto|[1-9]\d{0,4} ?[xX×*] ?[1-9]\d{0,4})$/;

/** How they write a shape. */
const RATIO = /^(auto|[1-9]\d{0,4}(\.\d{1,3})? ?[:\/x] ?[1-9]\d{0,4}(\.\d{1,3})?)$/;

export function sizeOf({ width, height }: { readonly width: number; readonly height: number }) {
  return `${width}x${height}`;
}

/** What a request says of the size, which changes nothing of what is made: where it is strict, it may ask for nothing else. */
export function sizeFields({ levels: [outermost] }: ModelCard, strict: boolean) {
  const size = sizeOf(outermost!);
  const otherwise = strict
    ? "All else is refused."
    : "All else is answered with what the model makes, which is the nearest: the answer says so.";
  const shape = strict
    ? z.enum(["1:1", "auto"], { error: `All that the model makes is square: give "1:1".` })
    : z.string().regex(RATIO, { error: `Give a shape such as "1:1", or "auto".` });
  const ratio = shape.optional().describe(`"1:1" or "auto". ${otherwise}`);
  const extent = strict
    ? z.enum([size, "auto"], { error: `The model makes one size: give "${size}" or "auto".` })
    : z.string().regex(SIZE, { error: `Give a size such as "${size}", or "auto".` });
  return {
    size: extent.optional().describe(`"${size}" or "auto". ${otherwise}`),
    aspect_ratio: ratio,
    aspectRatio: ratio,
  };
}
