/** What is asked of the engine, picture by picture, and what it tells: plain data that goes from thread to thread. */
import type { SavedPicture } from "../pipeline/batch.ts";
import type { OutputParameters, SamplingParameters } from "../pipeline/parameters.ts";
import type { JobError } from "../jobs/job.ts";

/** The request for one picture. */
export interface PictureRequest extends SamplingParameters {
  readonly prompt: string;
  readonly seed: bigint;
}

/** How a picture is wanted. */
export interface PictureOutput extends OutputParameters {
  readonly levels: boolean;
  readonly preview: boolean;
}

/** A picture on its way, and of which model. */
export interface Checkpoint extends SavedPicture {
  /** The hash of the model's files: with others it would become another picture. */
  readonly weights: string;
}

/** A picture to be made. */
export interface PictureTask {
  readonly id: string;
  readonly request: PictureRequest;
  readonly output: PictureOutput;
  /** Higher ones come first, then older ones. */
  readonly priority: number;
  readonly createdAt: number;
  /** Where it goes on; absent: it begins. */
  readonly saved?: Checkpoint;
}

/** A resolution of a picture or video as a file. */
export interface EncodedLevel {
  readonly level: number;
  readonly width: number;
  readonly height: number;
  readonly frames: number;
  /** A MIME type. */
  readonly type: string;
  /** ".png" and so on. */
  readonly extension: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** Where a picture's time went, in milliseconds. */
export interface PictureTimings {
  /** Reading its prompts. */
  readonly textMs: number;
  /** From its slot to its last step. */
  readonly stepsMs: number;
  readonly encodeMs: number;
  /** Of each step its share: as many parts as pictures were in it. */
  readonly gpuMs: number;
}

/** What happens to pictures. */
export type PictureEvent =
  /** Sentences that the person who asked should know; before it begins. */
  | { readonly kind: "warned"; readonly id: string; readonly warnings: readonly string[] }
  /** It has a slot; so many of its steps are done already. */
  | { readonly kind: "began"; readonly id: string; readonly step: number; readonly steps: number }
  | {
    readonly kind: "progress";
    readonly id: string;
    readonly step: number;
    readonly steps: number;
  }
  /** What it was estimated to become after a step, of one level. */
  | {
    readonly kind: "preview";
    readonly id: string;
    readonly step: number;
    readonly file: EncodedLevel;
  }
  | {
    readonly kind: "made";
    readonly id: string;
    /** The outermost resolution first. */
    readonly files: readonly EncodedLevel[];
    readonly timings: PictureTimings;
  }
  | { readonly kind: "failed"; readonly id: string; readonly error: JobError }
  /** It was stopped on the way; null: it has to begin again. */
  | { readonly kind: "saved"; readonly id: string; readonly saved: Checkpoint | null };

/** A step was made of so many pictures at once. */
export interface StepEvent {
  readonly kind: "step";
  readonly ms: number;
  readonly pictures: number;
}
