/** Predictions as server-sent events, in the two dialects: of Cog, and of Replicate. */
import type { Context } from "../../../deps/hono.ts";
import { isEnded, type JobFile } from "../../../jobs/job.ts";
import type { Jobs } from "../../../jobs/jobs.ts";
import type { JobEvent } from "../../../jobs/queue/queue.ts";
import { fileAddress } from "../file_address.ts";
import { streamJob } from "../job_events.ts";
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

/** As Replicate streams one from its `urls.stream`: its clients fail at events of other names. */
export const replicateEvents: EventDialect = (happening) =>
  happening.kind === "preview" ? [] : replicateEventsWithPreviews(happening);

/** The same, and previews. */
export const replicateEventsWithPreviews: EventDialect = (happening) => {
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
  /** The id of the last event that the client has: what comes after it is told. */
  readonly after?: string | undefined;
}

/** How much of a prediction a client was told. */
interface Told {
  start: boolean;
  files: number;
  warnings: number;
  /** The first step of which no line of the log has told. */
  step: number;
}

/** The id of the event that is the last. */
export const LAST_ID = "end";

/** Answers with all that happened to a prediction and happens until its end. A client that leaves does not stop it. */
export function streamPrediction(
  c: Context,
  id: string,
  options: PredictionStreamOptions,
): Response {
  const { jobs, dialect, after } = options;
  const told = toldBefore(after);
  return streamJob(c, {
    jobs,
    id,
    send: async (event, stream) => {
      for await (const happening of happenings(event, told, options)) {
        const id = happening.kind === "end" ? LAST_ID : `${told.files}:${told.step}`;
        for (const message of dialect(happening)) await stream.writeSSE({ ...message, id });
      }
    },
  });
}

/** What an event's id says. One that is none of ours says nothing. */
function toldBefore(id: string | undefined): Told {
  const [, files = 0, step = 0] = /^(\d{1,6}):(\d{1,9})$/.exec(id ?? "") ?? [];
  // Warnings come before the first step.
  const warnings = Number(step) > 0 ? Infinity : 0;
  return { start: false, files: Number(files), step: Number(step), warnings };
}

/**
 * What is new by a change. The first one has the job as it is, so files are counted, not awaited one by one. Of a job that is begun
 * again nothing is told twice.
 */
async function* happenings(
  { change, job, file }: JobEvent,
  told: Told,
  options: PredictionStreamOptions,
): AsyncGenerator<Happening> {
  if (job.startedAt !== null && !told.start) {
    told.start = true;
    yield { kind: "start", id: job.id };
  }
  while (told.warnings < job.warnings.length) {
    yield { kind: "log", line: warningLine(job.warnings[told.warnings++]!) };
  }
  while (told.files < job.files.length) {
    const index = told.files++;
    const address = await streamedAddress(job.id, job.files[index]!, options);
    if (address !== null) yield { kind: "output", address, index };
  }
  if (change === "preview" && file !== undefined) {
    // It is small, and at its address the next one soon takes its place.
    const address = await fileAddress(options.jobs, job.id, file);
    if (address !== null) yield { kind: "preview", address };
  }
  if (change === "progress" && job.progress.step >= told.step) {
    told.step = job.progress.step + 1;
    yield { kind: "log", line: progressLine(job) };
  }
  if (isEnded(job)) yield { kind: "end", prediction: await prediction(job, options) };
}

/**
 * Where a result is. Replicate gives addresses in its streams, without TLS as well: Python's client makes a file of what begins with
 * "https:" or "data:", and then fails where the event is taken as a text.
 */
async function streamedAddress(
  id: string,
  file: JobFile,
  options: PredictionStreamOptions,
): Promise<string | null> {
  const { jobs, api: { publicUrl, prefix }, sign } = options;
  if (prefix === "") return await resultAddress(id, file, options);
  return await fileAddress(jobs, id, file, (path) => publicUrl + sign(path));
}
