import project from "../../../deno.json" with { type: "json" };
import { readJson } from "../../checkpoint/json.ts";
import { MdmError } from "../../errors.ts";
import {
  CONV_ALGORITHMS,
  type ConvChoice,
  convKey,
  type ConvShape,
  MAX_SPLIT_K,
  TILES,
} from "../../gpu/conv_choice.ts";
import { tileConfigurations } from "../../gpu/conv_workgroup.ts";
import type { TunedKernels } from "../../gpu/kernel_policy.ts";
import { JsonFields } from "../../json/json_fields.ts";

/** A choice with its shape, to be written. */
export interface ShapeChoice {
  readonly shape: ConvShape;
  readonly choice: ConvChoice;
}

/** Letters of an adapter's name: no driver's is longer, and messages repeat it. */
const LONGEST_NAME = 256;

/** More shapes than any model has. */
const MOST = 4096;

/** The text of a file that {@linkcode readTuned} reads. */
export function tunedText(adapter: string, choices: readonly ShapeChoice[]): string {
  const convolutions = choices.map(({ shape, choice: { algorithm, tiling } }) => ({
    ...shape,
    variant: algorithm,
    ...tiling && { tile: tiling.tile, parts: tiling.splitK },
  }));
  return JSON.stringify({ mdm: project.version, adapter, convolutions }, null, 2) + "\n";
}

/**
 * Reads what `mdm tune` wrote.
 *
 * @throws {MdmError} When it is not such a file, or another version's.
 *
 * @example
 * ```ts
 * import { MdmError } from "../../errors.ts";
 *
 * // What `mdm tune weights/shapes32 -o tuned.json` wrote, if it was called.
 * const tuned = await readTuned("tuned.json").catch((error) => {
 *   if (error instanceof MdmError) return undefined;
 *   throw error;
 * });
 * ```
 */
export async function readTuned(path: string): Promise<TunedKernels> {
  return parseTuned(await readJson(path), path);
}

/** {@linkcode readTuned} for what is read already. */
export function parseTuned(json: unknown, source: string): TunedKernels {
  const fields = new JsonFields(json, "", source);
  const version = fields.string("mdm") ?? fields.fail("mdm", "a version");
  if (version !== project.version) {
    throw new MdmError(
      `Cannot use "${source}": another version of mdm measured it. Run "mdm tune" again.`,
    );
  }
  const adapter = fields.string("adapter") ?? "";
  if (adapter === "" || adapter.length > LONGEST_NAME) {
    fields.fail("adapter", `a name of at most ${LONGEST_NAME} letters`);
  }
  const list = fields.get("convolutions");
  if (!Array.isArray(list) || list.length > MOST) {
    return fields.fail("convolutions", `a list of at most ${MOST}`);
  }
  fields.rejectUnknown();
  const convolutions = new Map<string, ConvChoice>();
  for (const [i, item] of list.entries()) {
    const path = `convolutions[${i}]`;
    const { shape, choice } = parseChoice(new JsonFields(item, path, source));
    if (convolutions.has(convKey(shape))) {
      throw new MdmError(`Cannot load "${source}": "${path}" has the shape of another. Remove it.`);
    }
    convolutions.set(convKey(shape), choice);
  }
  return { adapter, convolutions };
}

function parseChoice(fields: JsonFields): ShapeChoice {
  const size = { min: 1, max: 1 << 24 };
  const half = fields.get("half");
  const shape = {
    pixels: fields.integer("pixels", size),
    outputs: fields.integer("outputs", size),
    depth: fields.integer("depth", size),
    sources: fields.integer("sources", { min: 1, max: 2 }),
    half: typeof half === "boolean" ? half : fields.fail("half", "true or false"),
  };
  const name = fields.string("variant");
  const algorithm = CONV_ALGORITHMS.find((known) => known === name) ??
    fields.fail("variant", `one of ${CONV_ALGORITHMS.join(", ")}`);
  const tiling = algorithm !== "workgroup" ? undefined : {
    tile: fields.integer("tile", { min: TILES[0], max: TILES.at(-1)! }),
    splitK: fields.integer("parts", { min: 1, max: MAX_SPLIT_K }),
  };
  fields.rejectUnknown();
  if (tiling === undefined) return { shape, choice: { algorithm } };
  const suits = tileConfigurations(shape)
    .some(({ tile, splitK }) => tile === tiling.tile && splitK === tiling.splitK);
  if (!suits) fields.fail("tile", `a tile that suits the shape, with ${tiling.splitK} parts`);
  return { shape, choice: { algorithm, tiling } };
}
