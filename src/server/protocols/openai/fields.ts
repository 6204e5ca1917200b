/** What requests for images and for videos have in common. */
import { z } from "../../../deps/zod_openapi.ts";
import type { Job } from "../../../jobs/job.ts";
import type { ModelCard } from "../../../jobs/jobs.ts";
import { HttpError } from "../../http/http_error.ts";

/** The names of OpenAI's own models, which programs that cannot be told another name send. */
const ALIASES = /^(gpt-image|chatgpt-image|dall-e|sora)-/;

/** What a request says of the model. */
export function modelField({ name }: ModelCard) {
  return z.string().max(200).optional().describe(
    `"${name}", or the name of a model of OpenAI, which stands for it.`,
  );
}

/** Whether a model of OpenAI is asked for. */
export function isAlias(asked: string | undefined): boolean {
  return ALIASES.test(asked ?? "");
}

/** @throws {HttpError} When the model is another one. */
export function checkModel({ name }: ModelCard, asked: string | undefined): void {
  if (asked === undefined || asked === name || isAlias(asked)) return;
  throw new HttpError(404, `There is no model of that name: the model here is "${name}".`, {
    code: "model_not_found",
    fields: [{ path: ["model"], message: `Give "${name}".` }],
  });
}

/** What OpenAI's API has no field for: clients let pass what they do not know. */
export const Warnings = z.array(z.string()).optional().describe(
  "What should be known, such as that a prompt was cut; absent: nothing.",
);

/** What an answer says of warnings: nothing where there are none. */
export function warningsOf({ warnings }: Pick<Job, "warnings">) {
  return warnings.length > 0 && { warnings: [...warnings] };
}

/** A time as OpenAI's API has it. */
export function seconds(ms: number): number {
  return Math.floor(ms / 1000);
}
