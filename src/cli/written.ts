/** What `--json` says of images and videos that were made. */

import type { Level } from "../pipeline/level_files.ts";
import type { PictureJob, ResolvedRequest } from "../pipeline/request.ts";
import type { Output } from "./output_files.ts";

/** An image or video and its files. */
export interface WrittenPicture {
  readonly prompt: string;
  readonly seed: string;
  readonly files: readonly {
    readonly path: string;
    readonly width: number;
    readonly height: number;
    readonly frames?: number;
    readonly fps?: number;
  }[];
}

/** Describes what was written of it: levels and the path of each. */
export function writtenPicture(
  { prompt, seed }: Pick<PictureJob, "prompt" | "seed">,
  levels: readonly Level[],
  paths: readonly string[],
  output: Output,
): WrittenPicture {
  const files = levels.map(({ frames }, i) => {
    const { width, height } = frames[0]!;
    const rate = output.medium === "video" && frames.length > 1 && { fps: output.fps };
    return {
      path: paths[i]!,
      width,
      height,
      ...output.medium !== "image" && { frames: frames.length },
      ...rate,
    };
  });
  return { prompt, seed: String(seed), files };
}

/** How they were made. */
export function settings({ jobs: _, plan: __, ...rest }: ResolvedRequest) {
  return rest;
}
