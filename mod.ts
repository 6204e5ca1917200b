/**
 * mdm: text to images and videos with Matryoshka Diffusion Models (arXiv 2310.15111), on WebGPU.
 *
 * ```ts
 * import { encodeImage, Pipeline } from "./mod.ts";
 *
 * await using pipeline = await Pipeline.load("weights/shapes32");
 * for await (const event of pipeline.generate({ prompt: "a red circle", seed: 7, steps: 4 })) {
 *   if (event.kind === "progress") console.error(`step ${event.step} of ${event.steps}`);
 *   if (event.kind === "image") {
 *     // Every resolution is there: levels[0] is the largest.
 *     const png = await encodeImage(event.image.levels[0]!, "png");
 *     console.log(`${png.length} bytes, seed ${event.image.seed}`);
 *   }
 * }
 * ```
 *
 * @module
 */
export { MdmError, UsageError } from "./src/errors.ts";
export { Gpu, type GpuInfo, type GpuOptions } from "./src/gpu/device.ts";
export type { KernelOptions, TunedKernels } from "./src/gpu/kernel_policy.ts";
export {
  type AnimationFormat,
  animationFormatOf,
  type AnimationOptions,
  encodeAnimation,
} from "./src/media/animation.ts";
export { encodeImage, formatOf, type ImageFormat } from "./src/media/image.ts";
export type { Picture } from "./src/media/picture.ts";
export { convert, type ConvertOptions } from "./src/pipeline/models/convert.ts";
export { type Inspection, inspectModel } from "./src/pipeline/models/inspect.ts";
export { type ModelOptions, ModelSource } from "./src/pipeline/models/model_source.ts";
export {
  type GeneratedImage,
  type GenerateEvent,
  Pipeline,
  type PipelineOptions,
  type RunOptions,
  type Stage,
} from "./src/pipeline/pipeline.ts";
export { readTuned } from "./src/pipeline/planning/tuned_file.ts";
export type { ResolvedSampling, SamplingParameters } from "./src/pipeline/parameters.ts";
export type { GenerateRequest, PictureJob, ResolvedRequest } from "./src/pipeline/request.ts";
export { isSamplerName, type SamplerName, SAMPLERS } from "./src/diffusion/samplers/mod.ts";
