/** A job: what a client asks for, and what has become of it. All of it is JSON, for queues keep it. */
import type { OutputFormat } from "../media/output_format.ts";
import type { GenerateRequest } from "../pipeline/request.ts";

/** Pictures or videos to be made; what is left out is the model's own, as in `GenerateRequest`. */
export interface JobRequest extends
  Pick<
    GenerateRequest,
    | "negative"
    | "sampler"
    | "steps"
    | "eta"
    | "guidance"
    | "guidanceInterval"
    | "threshold"
    | "size"
    | "cache"
  > {
  /** At least one. */
  readonly prompts: readonly string[];
  /** Pictures of each prompt. */
  readonly count: number;
  /** Of the first picture, in decimal digits (64 bits); the others take the numbers that follow. */
  readonly seed: string;
  /** Whether the inner resolutions are results as well. */
  readonly levels: boolean;
  /** Whether x0 of the inner resolutions is shown on the way. */
  readonly preview: boolean;
  /** Absent: PNG, of videos MP4. */
  readonly format?: OutputFormat;
  /** Of videos: frames a second. */
  readonly fps?: number;
}

/** What a server takes where a request does not say; what is left out is the model's own. */
export type RequestDefaults = Pick<
  JobRequest,
  "negative" | "sampler" | "steps" | "guidance" | "guidanceInterval" | "cache"
>;

/** Where a job is; the last three are ends. */
export type JobState = "queued" | "running" | "succeeded" | "failed" | "canceled";

export const JOB_STATES: readonly JobState[] = [
  "queued",
  "running",
  "succeeded",
  "failed",
  "canceled",
];

/** Whether nothing will happen to a job any more. */
export function isEnded({ state }: Pick<Job, "state">): boolean {
  return state !== "queued" && state !== "running";
}

/** A file of a job, kept in its `ResultStore` by name. */
export interface JobFile {
  /** "0.png" for the first picture, "0-16x16.png" for its inner level, "preview-0-8-16x16.png" for a preview of it after 8 steps. */
  readonly name: string;
  /** Which picture of the job, from 0. */
  readonly picture: number;
  /** Which resolution, 0 is the outermost. */
  readonly level: number;
  readonly seed: string;
  /** A MIME type. */
  readonly type: string;
  readonly width: number;
  readonly height: number;
  /** 1 for a picture. */
  readonly frames: number;
  readonly bytes: number;
}

/** How far a running job is. */
export interface JobProgress {
  /** Steps done and steps in all, of all pictures together. */
  readonly step: number;
  readonly steps: number;
  /** Milliseconds that it takes from here on, by the steps measured so far; null: not known yet. */
  readonly etaMs: number | null;
  /** The newest preview of each picture and level. */
  readonly previews: readonly JobFile[];
}

/** Where the time went, in milliseconds. */
export interface JobTimings {
  /** From its coming until its first picture got a slot. */
  readonly queueMs: number;
  /** Reading prompts. */
  readonly textMs: number;
  /** From its first step to its last. */
  readonly stepsMs: number;
  readonly encodeMs: number;
  /** Seconds of the GPU that it has to answer for: of each step its share of the slots in use. */
  readonly gpuSeconds: number;
}

/** Why a job failed. */
export interface JobError {
  /**
   * "request": what was asked for cannot be; "expired": it waited too long or its deadline passed; "timeout": it ran too long;
   * "refused": a moderation hook refused it; "lost": its process died as often as may be; "failed": all else.
   */
  readonly code: "request" | "expired" | "timeout" | "refused" | "lost" | "failed";
  /** One sentence for the person who asked. */
  readonly message: string;
}

/** Events that a webhook can be told of; "output": another picture is there. */
export const WEBHOOK_EVENTS = ["start", "output", "logs", "completed"] as const;

export type WebhookEvent = typeof WEBHOOK_EVENTS[number];

/** Whom to tell of a job. */
export interface Webhook {
  readonly url: string;
  readonly events: readonly WebhookEvent[];
}

/** What is said of a job beside the request, when it is submitted. */
export interface JobOptions {
  /** Chosen by the client: letters, digits, "-" and "_". */
  readonly id?: string;
  /** Higher ones come first; 0 unless given. */
  readonly priority?: number;
  /** When it has to have ended, in milliseconds since 1970. */
  readonly deadline?: number;
  readonly webhook?: Webhook;
  /** The same key gives the job that was submitted with it before. */
  readonly idempotencyKey?: string;
  /** The protocol that it came by: "plain", "cog", "runpod", "openai". */
  readonly origin?: string;
  /** What that protocol wants to know again: JSON. */
  readonly note?: unknown;
}

/** A job as queues keep it. Times are milliseconds since 1970. */
export interface Job {
  readonly id: string;
  readonly origin: string;
  readonly note: unknown;
  readonly request: JobRequest;
  readonly priority: number;
  /** When it has to have begun, and ended; null: whenever. */
  readonly beginBy: number | null;
  readonly deadline: number | null;
  readonly webhook: Webhook | null;
  readonly state: JobState;
  /** How often it was begun. */
  readonly attempts: number;
  readonly createdAt: number;
  readonly startedAt: number | null;
  readonly finishedAt: number | null;
  readonly progress: JobProgress;
  /** Results, as they come. */
  readonly files: readonly JobFile[];
  readonly error: JobError | null;
  /** What the person who asked should know although it is no error, such as that a prompt was cut: sentences. */
  readonly warnings: readonly string[];
  /** When it has ended. */
  readonly timings: JobTimings | null;
}

/** What a job comes to. */
export interface JobOutcome {
  readonly state: "succeeded" | "failed" | "canceled";
  readonly files: readonly JobFile[];
  readonly error: JobError | null;
  /** Absent: those that were noted. */
  readonly warnings?: readonly string[];
  readonly timings: JobTimings | null;
}
