import { type ModelConfig, nestedUnets } from "./config.ts";

/** Frames in a row and in a column of the images of each resolution, outermost first; 1: an image is one frame. */
export function frameGrids({ unet }: ModelConfig): number[] {
  return nestedUnets(unet).map(({ frames }) => frames?.grid ?? 1);
}

/** Whether a model makes videos: its largest images are mosaics of frames. */
export function makesVideos(config: ModelConfig): boolean {
  return frameGrids(config)[0]! > 1;
}
