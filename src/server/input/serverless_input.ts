/** The generation parameters as models on Replicate and RunPod call them. */
import type { z } from "../../deps/zod_openapi.ts";
import type { JobRequest } from "../../jobs/job.ts";
import { fields } from "./fields.ts";
import { jobRequest, type Offer, optionShape, optionsIn, promptField } from "./options.ts";
import { hasToBe } from "./sentences.ts";

/** What a request's `input` may hold. */
export function serverlessInput(offer: Offer) {
  const shape = optionShape("serverless", offer);
  const side = shape.width.describe(
    "In pixels; width and height are equal. Without both: the model's own.",
  );
  return fields(
    { prompt: promptField(offer), ...shape, width: side, height: side },
    hasToBe(`an object such as {"prompt": "a red circle"}`),
  ).refine(
    ({ width, height }) => (width ?? height) === (height ?? width),
    {
      path: ["height"],
      error: "Give the same height as width: pictures are square.",
    },
  );
}

export type ServerlessInput = z.infer<ReturnType<typeof serverlessInput>>;

/** @param key As of `jobRequest`. */
export function serverlessRequest(input: ServerlessInput, key?: string): JobRequest {
  const width = input.width ?? input.height;
  return jobRequest([input.prompt], optionsIn("serverless", { ...input, width }), key);
}
