/** What the engine's thread is told, and tells. */
import type { PipelineOptions, Stage } from "../pipeline/pipeline.ts";
import type { PictureEvent, PictureTask, StepEvent } from "./picture_task.ts";

/** What an engine is made of; it goes to another thread as it is. */
export interface EngineOptions {
  /** A model, as `--model` names it. */
  readonly model: string;
  readonly pipeline: Omit<PipelineOptions, "onStage">;
  /** Pictures in one step at most. */
  readonly slots: number;
}

export type EngineCommand =
  /** First of all, and once. */
  | { readonly kind: "start"; readonly options: EngineOptions }
  | { readonly kind: "make"; readonly task: PictureTask }
  | { readonly kind: "cancel"; readonly id: string }
  /** Stop every picture and tell how far it is. */
  | { readonly kind: "save" }
  /** End the thread. */
  | { readonly kind: "close" };

export type EngineReport =
  | PictureEvent
  | StepEvent
  /** A part of the start is over. */
  | { readonly kind: "started"; readonly stage: Stage; readonly ms: number }
  /** Tasks are worked on from now on. */
  | { readonly kind: "ready"; readonly adapter: string; readonly slots: number }
  /** It cannot go on: what it had is lost. */
  | { readonly kind: "broken"; readonly message: string }
  /** The last word. */
  | { readonly kind: "ended" };
