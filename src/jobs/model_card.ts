import { basename } from "node:path";
import { frameGrids, makesVideos } from "../model/frame_grids.ts";
import { sizeMultiple } from "../model/config.ts";
import type { DescribedModel } from "../pipeline/models/built_in.ts";
import { resolveSize } from "../pipeline/request.ts";
import type { ModelCard } from "./jobs.ts";

/** What clients are told of a model, at the size that its pictures have unless a request says. */
export function modelCard({ path, config }: Pick<DescribedModel, "path" | "config">): ModelCard {
  const size = resolveSize(undefined, config);
  const outermost = config.nestRatio[0] ?? 1;
  const [grid = 1] = frameGrids(config);
  return {
    name: basename(path.replace(/[/\\]+$/, "")),
    makes: makesVideos(config) ? "videos" : "pictures",
    levels: [...config.nestRatio, 1].map((ratio, level) => {
      const side = size * ratio / outermost / (frameGrids(config)[level] ?? 1);
      return { width: side, height: side };
    }),
    frames: grid ** 2,
    sizeStep: sizeMultiple(config.unet),
  };
}
