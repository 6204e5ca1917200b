/**
 * Configurations of the published models, without weights (configs/models in apple/ml-mdm; what
 * its constructors work out is written out).
 */

import { UsageError } from "../errors.ts";
import cc12m1024 from "./presets/cc12m_1024x1024.json" with { type: "json" };
import cc12m256 from "./presets/cc12m_256x256.json" with { type: "json" };
import cc12m64 from "./presets/cc12m_64x64.json" with { type: "json" };
import { parseReaderConfig } from "./reader_config.ts";
import type { Configuration } from "./yaml_config.ts";

const PRESETS = {
  cc12m_64x64: cc12m64,
  cc12m_256x256: cc12m256,
  cc12m_1024x1024: cc12m1024,
} as const;

/** The name of a published model. */
export type PresetName = keyof typeof PRESETS;

/** The names of the published models, by size. */
export const PRESET_NAMES = Object.keys(PRESETS) as readonly PresetName[];

/**
 * The configuration of a published model.
 *
 * @throws {UsageError} when there is no such model
 */
export function presetConfig(name: string): Configuration {
  if (!isPreset(name)) {
    const names = PRESET_NAMES.map((known) => `"${known}"`).join(", ");
    throw new UsageError(`There is no model "${name}" built in: use one of ${names}.`);
  }
  const { diffusion_config: diffusion, reader_config: reader, ...model } = PRESETS[name];
  return { model, diffusion, text: parseReaderConfig(reader, name) };
}

function isPreset(name: string): name is PresetName {
  return Object.hasOwn(PRESETS, name);
}
