/** Sizes and shapes that clients of OpenAI's API ask for, of a model that makes one. */
import { z } from "@hono/zod-openapi";
import type { ModelCard } from "../jobs/jobs.ts";

/** How programs write a size: 1024x1024, and as some do 1024*1024. */
const SIZE = /^\d{1,5} ?[x×*] ?\d{1,5}$/i;

/** How they write a shape. */
const RATIO = /^\d{1,5}(\.\d{1,3})? ?[:/x] ?\d{1,5}(\.\d{1,3})?$/i;

export function sizeOf({ width, height }: { readonly width: number; readonly height: number }) {
  return `${width}x${height}`;
}

/** What a request says of the size. Nothing of it changes what is made, so what is read here is only whether it can be asked for. */
export function sizeFields({ levels: [outermost] }: ModelCard, strict: boolean) {
  const size = sizeOf(outermost!);
  const answered = strict
    ? "All else is refused."
    : "All else is answered with this one, which is the nearest that the model makes: the answer says so.";
  const ratio = z.string().max(20).refine(
    (given) => given === "auto" || RATIO.test(given) && (!strict || isSquare(given)),
    { error: strict ? `All that the model makes is square: give "1:1".` : `Give "1:1".` },
  ).nullish().describe(`"1:1". ${answered}`);
  return {
    size: z.string().max(20).refine(
      (given) => given === "auto" || given === size || !strict && SIZE.test(given),
      {
        error: strict
          ? `The model makes one size: give "${size}" or "auto".`
          : `Give a size such as "${size}", or "auto".`,
      },
    ).nullish().describe(`"${size}" or "auto". ${answered}`),
    aspect_ratio: ratio,
    aspectRatio: ratio,
  };
}

function isSquare(ratio: string): boolean {
  const [width, height] = ratio.split(/[:/x]/i).map(Number);
  return width === height;
}
