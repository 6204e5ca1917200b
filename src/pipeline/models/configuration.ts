import { readJson } from "../../checkpoint/json.ts";
import { JsonFields } from "../../json/json_fields.ts";
import { PRESET_NAMES, presetConfig } from "../../model/presets.ts";
import type { Configuration } from "../../model/yaml_config.ts";

/** How a model reads text, besides what its encoder and tokenizer are. */
export interface TextReading {
  /** Tokens that are read of a prompt. */
  readonly maxTokens: number;
  /** Characters that are read of a prompt; null: all. */
  readonly maxCharacters: number | null;
  /** "mdm": as the reference splits text into tokens; "sentencepiece": as T5's own tokenizer does. */
  readonly tokenizerMode: "mdm" | "sentencepiece";
}

/** A model's configurations, not checked yet, and how it reads text. */
export interface ModelConfiguration {
  readonly model: unknown;
  /** Undefined: it can be run, not sampled. */
  readonly diffusion: unknown;
  readonly text: TextReading & {
    /** Folders beside the configuration, where it names them. */
    readonly folders: { readonly encoder: string; readonly tokenizer: string } | null;
  };
  /** Whether it says that there is no text: prompts are the numbers of classes. */
  readonly classes: boolean;
}

/**
 * Reads a configuration that a person named: a built-in one (`cc12m_64x64`), a YAML file of the reference, or a config.json.
 *
 * @throws {MdmError} When it is none of these.
 */
export async function readConfiguration(named: string): Promise<ModelConfiguration> {
  if ((PRESET_NAMES as readonly string[]).includes(named)) return ofReference(presetConfig(named));
  if (/\.ya?ml$/i.test(named)) {
    // Loaded where there is YAML only: a quarter of the modules' time is its.
    const { readYamlConfig } = await import("../../model/yaml_config.ts");
    return ofReference(await readYamlConfig(named));
  }
  return parseConfiguration(await readJson(named), named);
}

/** The configuration in a config.json of ours. */
export function parseConfiguration(json: unknown, source: string): ModelConfiguration {
  const { diffusion_config: diffusion, text } = Object(json) as Record<string, unknown>;
  return {
    model: json,
    diffusion,
    text: text === undefined ? { ...PUBLISHED, folders: null } : parseText(text, source),
    classes: text === undefined,
  };
}

/** The configuration of a model as the reference's authors published them. */
export function ofReference({ model, diffusion, text }: Configuration): ModelConfiguration {
  return {
    model,
    diffusion: diffusion ?? undefined,
    text: { ...PUBLISHED, ...text, folders: null },
    classes: false,
  };
}

/** How the published models read text. */
const PUBLISHED: TextReading = { maxTokens: 128, maxCharacters: 512, tokenizerMode: "mdm" };

const MAX_TOKENS = 4096;
const MAX_CHARACTERS = 100_000;

function parseText(json: unknown, source: string): ModelConfiguration["text"] {
  const fields = new JsonFields(json, "text", source);
  const maxTokens = fields.integer("max_token_length", { min: 1, max: MAX_TOKENS });
  const maxCharacters = fields.has("max_caption_length")
    ? fields.integer("max_caption_length", { min: 1, max: MAX_CHARACTERS })
    : null;
  const tokenizerMode = fields.string("tokenizer_mode") ?? "sentencepiece";
  if (tokenizerMode !== "mdm" && tokenizerMode !== "sentencepiece") {
    return fields.fail("tokenizer_mode", `"mdm" or "sentencepiece"`);
  }
  // A converted model may have been given no text encoder.
  const folders = fields.has("encoder") || fields.has("tokenizer")
    ? { encoder: folderName(fields, "encoder"), tokenizer: folderName(fields, "tokenizer") }
    : null;
  return { folders, maxTokens, maxCharacters, tokenizerMode };
}

/** A name with a separator could lead out of the model's folder. */
function folderName(fields: JsonFields, field: string): string {
  const name = fields.string(field);
  const isName = name !== undefined && /^[\w.-]+$/.test(name) && !/^\.+$/.test(name);
  return isName ? name : fields.fail(field, "the name of a folder beside the file");
}
