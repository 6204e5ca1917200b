/** Predictions as server-sent events, in the two dialects: of Cog, and of Replicate. */
import type { Context } from "hono";
import { isEnded } from "../jobs/job.ts";
import type { Jobs } from "../jobs/jobs.ts";
import type { JobEvent } from "../jobs/queue/queue.ts";
import { fileAddress } from "./file_address.ts";
import { streamJob } from "./job_events.ts";
import {
  type Prediction,
  prediction,
  type PredictionOptions,
  progressLine,
  resultAddress,
  warningLine,
} from "./prediction.ts";

/** What happens to a prediction, once each. */
type Happening =
  | { readonly kind: "start"; readonly id: string }
  | { readonly kind: "output"; readonly address: string; readonly index: number }
  | { readonly kind: "preview"; readonly address: string }
  | { readonly kind: "log"; readonly line: string }
  | { readonly kind: "end"; readonly prediction: Prediction };

interface Message {
  readonly event: string;
  readonly data: string;
}

/** How each happening is said. */
export type EventDialect = (happening: Happening) => readonly Message[];

/** As Cog streams a prediction to whom made it. */
export const cogEvents: EventDialect = (happening) => {
  const say = (event: string, data: unknown) => [{ event, data: JSON.stringify(data) }];
  switch (happening.kind) {
    case "start":
      return say("start", { id: happening.id, status: "processing" });
    case "output":
      return say("output", { chunk: happening.address, index: happening.index });
    case "preview":
      return say("preview", { chunk: happening.address });
    case "log":
      return say("log", { source: "stdout", data: happening.line });
    case "end":
      return say("completed", happening.prediction);
  }
};

/** As Replicate streams one from its `urls.stream`. */
export const replicateEvents: EventDialect = (happening) => {
  switch (happening.kind) {
    case "start":
      return [];
    case "output":
    case "preview":
      return [{ event: happening.kind, data: happening.address }];
    case "log":
      return [{ event: "logs", data: happening.line }];
    case "end": {
      const { status, error } = happening.prediction;
      if (status === "failed") return [{ event: "error", data: error ?? "The prediction failed." }];
      const reason = status === "canceled" ? { reason: status } : {};
      return [{ event: "done", data: JSON.stringify(reason) }];
    }
  }
};

export interface PredictionStreamOptions extends PredictionOptions {
  readonly jobs: Jobs;
  readonly dialect: EventDialect;
}

/** Answers with all that happened to a prediction and happens until its end. A client that leaves does not stop it. */
export function streamPrediction(
  c: Context,
  id: string,
  options: PredictionStreamOptions,
): Response {
  const { jobs, dialect } = options;
  const given = { start: false, files: 0, warnings: 0 };
  return streamJob(c, {
    jobs,
    id,
    send: async (event, stream) => {
      for await (const happening of happenings(event, given, options)) {
        for (const message of dialect(happening)) await stream.writeSSE(message);
      }
    },
  });
}

/** What is new by a change. The first one has the job as it is, so files are counted, not awaited one by one. */
async function* happenings(
  { change, job, file }: JobEvent,
  given: { start: boolean; files: number; warnings: number },
  options: PredictionStreamOptions,
): AsyncGenerator<Happening> {
  if (job.startedAt !== null && !given.start) {
    given.start = true;
    yield { kind: "start", id: job.id };
  }
  for (; given.warnings < job.warnings.length; given.warnings++) {
    yield { kind: "log", line: warningLine(job.warnings[given.warnings]!) };
  }
  for (; given.files < job.files.length; given.files++) {
    const address = await resultAddress(job.id, job.files[given.files]!, options);
    if (address !== null) yield { kind: "output", address, index: given.files };
  }
  if (change === "preview" && file !== undefined) {
    // It is small, and at its address the next one soon takes its place.
    const address = await fileAddress(options.jobs, job.id, file);
    if (address !== null) yield { kind: "preview", address };
  }
  if (change === "progress") yield { kind: "log", line: progressLine(job) };
  if (isEnded(job)) yield { kind: "end", prediction: await prediction(job, options) };
}
