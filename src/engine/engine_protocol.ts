/** Messages to the engine's thread, and from it. */
import type { PipelineOptions, Stage } from "../pipeline/pipeline.ts";
import type { ImageEvent, ImageTask, StepEvent } from "./image_task.ts";

/** What an engine is made of; it goes to another thread as it is. */
export interface EngineOptions {
  /** A model, as `--model` names it. */
  readonly model: string;
  readonly pipeline: Omit<PipelineOptions, "onStage">;
  /** Images in one step at most. */
  readonly slots: number;
}

export type EngineCommand =
  /** First of all, and once. */
  | { readonly kind: "start"; readonly options: EngineOptions }
  | { readonly kind: "make"; readonly task: ImageTask }
  | { readonly kind: "cancel"; readonly id: string }
  /** Stop every image and report its state. */
  | { readonly kind: "save" }
  /** End the thread. */
  | { readonly kind: "close" };

export type EngineReport =
  | ImageEvent
  | StepEvent
  /** A part of the start is over. */
  | { readonly kind: "started"; readonly stage: Stage; readonly ms: number }
  /** Tasks are worked on from now on. */
  | { readonly kind: "ready"; readonly adapter: string; readonly slots: number }
  /** It cannot go on: what it had is lost. */
  | { readonly kind: "broken"; readonly message: string }
  /** The last report. */
  | { readonly kind: "ended" };
