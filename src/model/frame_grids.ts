import { type ModelConfig, nestedUnets } from "./config.ts";

/** Frames in a row and in a column of the pictures of each resolution, outermost first; 1: a picture is one frame. */
export function frameGrids({ unet }: ModelConfig): number[] {
  return nestedUnets(unet).map(({ frames }) => frames?.grid ?? 1);
}

/** Whether a model makes videos: its largest pictures are mosaics of frames. */
export function makesVideos(config: ModelConfig): boolean {
  return frameGrids(config)[0]! > 1;
}
