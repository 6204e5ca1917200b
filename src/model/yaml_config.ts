/**
 * The reference's YAML configurations (configs/models/*.yaml in apple/ml-mdm): one file for the
 * model, its diffusion, the reading of text and the training.
 */

import { isJsonObject } from "../json/json_object.ts";
import { parseDocument } from "../deps/yaml.ts";
import { readTextFile } from "../checkpoint/text_file.ts";
import { MdmError } from "../errors.ts";
import { JsonFields } from "../json/json_fields.ts";
import { parseReaderConfig, type TextLimits } from "./reader_config.ts";

/** A configuration taken apart, each part for the function that checks it. */
export interface Configuration {
  /** What `parseModelConfig` takes. */
  readonly model: Readonly<Record<string, unknown>>;
  /** What `parseDiffusionConfig` takes; null where the file has none. */
  readonly diffusion: unknown;
  readonly text: TextLimits;
}

/** The published files have 4 KB. */
const CONFIGURATION = { largest: 256 << 10, what: "a configuration" } as const;

/** The width of the features that T5 encoders make, by the last part of their published names. */
const TEXT_WIDTHS: ReadonlyMap<string, number> = new Map([
  ["small", 512],
  ["base", 768],
  ["large", 1024],
  ["xl", 2048],
  ["xxl", 4096],
]);

/**
 * Reads a YAML file of the reference.
 *
 * @throws {MdmError} when the file cannot be read, is not plain YAML, or cannot be a model's
 */
export async function readYamlConfig(path: string): Promise<Configuration> {
  return parseYamlConfig(await readTextFile(path, CONFIGURATION), path);
}

/**
 * Reads the text of a YAML file of the reference. Only plain data are taken: no tags, no aliases
 * (which can name gigabytes in a few lines).
 *
 * @param source the file's name for messages
 * @throws {MdmError} when it is not plain YAML or lacks what a model needs
 */
export function parseYamlConfig(text: string, source: string): Configuration {
  const fields = new JsonFields(parsePlainYaml(text, source), "", source);
  const reader = fields.get("reader_config");
  const width = textWidth(fields);
  const size = imageSize(reader);
  return {
    model: {
      model: fields.get("vision_model") ?? fields.get("model"),
      unet_config: fields.get("unet_config"),
      ...(width === undefined ? {} : { conditioning_feature_dim: width }),
      ...(size === undefined ? {} : { image_size: size }),
    },
    diffusion: withoutVariances(fields.get("diffusion_config") ?? null),
    text: parseReaderConfig(reader, source),
  };
}

function parsePlainYaml(text: string, source: string): unknown {
  if (text.length > CONFIGURATION.largest) {
    throw fail(source, `it is ${text.length} characters long, too many for a configuration`);
  }
  const document = parseDocument(text, {
    // The published files give some keys twice; as in Python the last one counts.
    uniqueKeys: false,
    stringKeys: true,
    resolveKnownTags: false,
    schema: "core",
    logLevel: "error",
  });
  // A tag that is not resolved is a warning to the library.
  const problem = document.errors[0] ?? document.warnings[0];
  if (problem !== undefined) {
    throw fail(source, `it is not plain YAML (${problem.message.split("\n")[0]})`);
  }
  try {
    return document.toJS({ maxAliasCount: 0 });
  } catch {
    throw fail(source, `it uses aliases ("*name"), which are not read: write the values out`);
  }
}

/**
 * The width of the text features. The reference asks the language model that the file names, and
 * overwrites what `unet_config` says.
 */
function textWidth(fields: JsonFields): number | undefined {
  const name = fields.string("text_model") ?? "";
  const size = /(?:flan-t5|t5-v1_1)-(\w+)$/.exec(name)?.[1];
  const known = size === undefined ? undefined : TEXT_WIDTHS.get(size);
  if (known !== undefined || fields.boolean("categorical_conditioning", false)) return known;
  const unet = fields.child("unet_config");
  if (unet.integer("conditioning_feature_dim", { min: -1, max: 65_536 }, -1) >= 0) return undefined;
  return fields.fail("text_model", `a T5 encoder such as "google/flan-t5-xl"`);
}

/** The images that the model was trained on; the reference writes -1 for "as they are". */
function imageSize(reader: unknown): number | undefined {
  const size = isJsonObject(reader) ? reader.image_size : undefined;
  return typeof size === "number" && size > 0 ? size : undefined;
}

/** An older name of a thing that the reference no longer has; the published 64x64 file turns it off. */
function withoutVariances(diffusion: unknown): unknown {
  if (!isJsonObject(diffusion) || !isJsonObject(diffusion.sampler_config)) return diffusion;
  const { predict_variances: variances, ...sampler } = diffusion.sampler_config;
  return variances === false ? { ...diffusion, sampler_config: sampler } : diffusion;
}

function fail(source: string, reason: string): MdmError {
  return new MdmError(`Cannot load "${source}": ${reason}.`);
}
