import type { ImageEvent, NewImageTask } from "./image_task.ts";

/** How an image ended; "saved": the engine was stopped. */
export type ImageResult = ImageEvent & { readonly kind: "made" | "failed" | "saved" };

/** What happens to an image on the way. */
export type ImageUpdate = ImageEvent & {
  readonly kind: "warned" | "began" | "progress" | "preview";
};

/** What may be given with a task. */
export interface MakeOptions {
  /** Aborted when nobody wants the image any more. */
  readonly signal?: AbortSignal;
  readonly onUpdate?: (update: ImageUpdate) => void;
}

/** What makes images for whoever runs jobs. */
export interface Engine {
  /** Images that it makes at a time; 0: it is not ready. */
  readonly slots: number;
  /** Milliseconds of a step, the median of the last ones; null: none was made. */
  readonly stepMs: number | null;
  /**
   * Makes an image.
   *
   * @throws The signal's reason when it is aborted.
   */
  make(task: NewImageTask, options?: MakeOptions): Promise<ImageResult>;
  /** Stops every image: all that are waited for end as "saved". */
  save(): void;
}
