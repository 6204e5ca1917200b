/** What is asked of an engine, image by image, and what it reports: plain data that goes from thread to thread. */
import type { Encoding } from "../pipeline/level_files.ts";
import type { ResolvedRequest } from "../pipeline/request.ts";
import type { SamplerState } from "../pipeline/sampler_state.ts";

/** How an image is wanted. */
export interface ImageOutput {
  /** Whether its inner resolutions are wanted as well. */
  readonly levels: boolean;
  readonly preview: boolean;
  readonly encoding: WholeEncoding;
}

/** How a level becomes one file. */
export type WholeEncoding = Exclude<Encoding, { readonly medium: "frames" }>;

/** An image to be made. */
export interface ImageTask {
  readonly id: string;
  /** The request of this image alone: an engine trusts that it was resolved for its model. */
  readonly resolved: ResolvedRequest;
  readonly output: ImageOutput;
  /** Higher ones come first, then older ones. */
  readonly priority: number;
  readonly createdAt: number;
  /** Where it goes on; absent: it begins. */
  readonly saved?: SamplerState;
}

/** A task that has no id yet. */
export type NewImageTask = Omit<ImageTask, "id">;

/** A resolution of an image or video as a file. */
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

/** Where an image's time went, in milliseconds. */
export interface ImageTimings {
  /** Encoding its prompts. */
  readonly textMs: number;
  /** From its slot to its last step. */
  readonly stepsMs: number;
  readonly encodeMs: number;
  /** Of each step its share: as many parts as images were in it. */
  readonly gpuMs: number;
}

/** Why an image was not made. */
export interface ImageError {
  /** "request": what was asked for cannot be; "failed": all else. */
  readonly code: "request" | "failed";
  /** One sentence for the person who asked. */
  readonly message: string;
}

/** What happens to images. */
export type ImageEvent =
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
    readonly timings: ImageTimings;
  }
  | { readonly kind: "failed"; readonly id: string; readonly error: ImageError }
  /** It was stopped on the way; null: it has to begin again. */
  | { readonly kind: "saved"; readonly id: string; readonly saved: SamplerState | null };

/** A step was made of so many images at once. */
export interface StepEvent {
  readonly kind: "step";
  readonly ms: number;
  readonly images: number;
}
