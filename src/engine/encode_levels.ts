import { DEFAULT_FPS, FASTEST } from "../media/animation.ts";
import { UsageError } from "../errors.ts";
import { IMAGE_FORMATS, type OutputFormat, VIDEO_FORMATS } from "../media/output_format.ts";
import type { ModelConfig } from "../model/config.ts";
import { makesVideos } from "../model/frame_grids.ts";
import { encodeLevel, levelOf } from "../pipeline/level_files.ts";
import type { GeneratedImage } from "../pipeline/pipeline.ts";
import type { ModelIdentity } from "../pipeline/png_parameters.ts";
import type { ResolvedRequest } from "../pipeline/request.ts";
import type { EncodedLevel, WholeEncoding } from "./image_task.ts";

const TYPES: Readonly<Record<string, string>> = {
  ".png": "image/png",
  ".jpeg": "image/jpeg",
  ".webp": "image/webp",
  ".gif": "image/gif",
  ".mp4": "video/mp4",
};

/** What a request says of the format of its results. */
export interface FormatRequest {
  /** The first that the model can have unless given. */
  readonly format?: OutputFormat;
  /** Of videos: frames a second. */
  readonly fps?: number;
}

/**
 * How a model's results are encoded.
 *
 * @throws {UsageError} When the model makes nothing that the format can hold.
 */
export function encodingOf({ format, fps }: FormatRequest, config: ModelConfig): WholeEncoding {
  if (!makesVideos(config)) {
    if (fps !== undefined) {
      throw new UsageError("The model makes images, not videos: leave out the frames a second.");
    }
    const chosen = oneOf(format ?? "png", IMAGE_FORMATS, "images");
    return { medium: "image", format: chosen, extension: `.${chosen}` };
  }
  const rate = fps ?? DEFAULT_FPS;
  if (!Number.isInteger(rate) || rate < 1 || rate > FASTEST) {
    throw new UsageError(
      `Cannot show ${rate} frames a second: give a whole number from 1 to ${FASTEST}.`,
    );
  }
  const chosen = oneOf(format ?? "mp4", VIDEO_FORMATS, "videos");
  return { medium: "video", format: chosen, fps: rate, extension: `.${chosen}` };
}

/** How previews are encoded where results are encoded in this way: they are small, and PNG keeps every pixel. */
export function previewEncoding(encoding: WholeEncoding): WholeEncoding {
  return { ...encoding, format: "png", extension: ".png" };
}

/** Encodes levels of what was made, with their settings where the format holds text. */
export async function encodeLevels(
  image: GeneratedImage,
  levels: readonly number[],
  encoding: WholeEncoding,
  { resolved, model }: { readonly resolved: ResolvedRequest; readonly model: ModelIdentity },
): Promise<EncodedLevel[]> {
  const encoded: EncodedLevel[] = [];
  for (const level of levels) {
    const { medium } = encoding;
    const file = levelOf(image, level, { resolved, model, medium });
    const { extension, content } = await encodeLevel(file, encoding);
    const { width, height } = file.frames[0]!;
    encoded.push({
      level,
      width,
      height,
      frames: file.frames.length,
      type: TYPES[extension]!,
      extension,
      bytes: content as Uint8Array<ArrayBuffer>,
    });
  }
  return encoded;
}

function oneOf<N extends OutputFormat>(
  format: OutputFormat,
  known: readonly N[],
  what: string,
): N {
  const found = known.find((name) => name === format);
  if (found !== undefined) return found;
  throw new UsageError(`The model makes ${what}: give one of the formats ${known.join(", ")}.`);
}
