/** The configuration that the reference's training saves beside the weights, as plain JSON. */

import { loadError } from "../header.ts";
import { isKind, type PickleMap, type PickleRecord, type PickleValue } from "./values.ts";

/** The parts of the command line that describe a model, under the reference's names. */
const FIELDS = ["model", "unet_config", "diffusion_config", "reader_config"];

/** Members of the reference's enumerations by their values (samplers.py). */
const ENUMERATIONS: ReadonlyMap<string, ReadonlyMap<PickleValue, string>> = new Map([
  ["ScheduleType", new Map([[0, "COSINE"], [2, "DDPM"], [3, "DEEPFLOYD"], [4, "SIGMOID"]])],
  ["PredictionType", new Map([[3, "DDPM"], [4, "DDIM"], [5, "V_PREDICTION"]])],
  ["ThresholdType", new Map([[0, "NONE"], [1, "CLIP"], [2, "DYNAMIC"], [3, "DYNAMIC_IF"]])],
]);

// The published configurations have about 200 values, nested 6 deep.
const MAX_VALUES = 10_000;
const MAX_DEPTH = 32;

/** The layer that takes in the text features, in whichever of nested UNets. */
const TEXT_PROJECTION = /(^|\.)lm_proj\.weight$/;

interface Described {
  readonly shape: readonly number[];
}

/**
 * Reads the model's part of the `args` of a checkpoint: objects become their fields, members of
 * enumerations their names. `conditioning_feature_dim` is added where a weight tells it, since
 * building a model overwrites the one inside `unet_config` by the width after the projection.
 *
 * @param args the parsed command line, an `argparse.Namespace` as a record
 * @returns undefined when there is no `unet_config` in it
 * @throws {MdmError} when it nests too deep or is too large
 */
export function readConfiguration(
  path: string,
  args: PickleValue,
  tensors: ReadonlyMap<string, Described>,
): Record<string, unknown> | undefined {
  const fields = isKind(args, "record") ? args.state : args;
  if (!(fields instanceof Map) || !fields.has("unet_config")) return undefined;
  const json = new Json(path);
  const width = textWidth(tensors);
  return {
    ...Object.fromEntries(
      FIELDS.filter((name) => fields.has(name))
        .map((name) => [name, json.of(fields.get(name)!, 1)]),
    ),
    ...width === undefined ? {} : { conditioning_feature_dim: width },
  };
}

function textWidth(tensors: ReadonlyMap<string, Described>): number | undefined {
  const name = tensors.keys().find((name) => TEXT_PROJECTION.test(name));
  return name === undefined ? undefined : tensors.get(name)!.shape[1];
}

/** Values may share parts and contain themselves, so both their number and depth are limited. */
class Json {
  #values = 0;

  constructor(readonly path: string) {}

  of(value: PickleValue, depth: number): unknown {
    if (++this.#values > MAX_VALUES || depth > MAX_DEPTH) {
      throw loadError(this.path, "the configuration in it is too large or nests too deep");
    }
    if (typeof value === "bigint") return Number(value);
    if (typeof value !== "object" || value === null) return value;
    if (Array.isArray(value)) return value.map((item) => this.of(item, depth + 1));
    if (value instanceof Map) return this.#object(value, depth);
    if (value instanceof Uint8Array) return null;
    switch (value.kind) {
      case "record":
        return this.#record(value, depth);
      case "class":
        return value.name;
      default:
        return null;
    }
  }

  #record(record: PickleRecord, depth: number): unknown {
    if (record.state instanceof Map) return this.#object(record.state, depth);
    return memberName(record) ?? record.class;
  }

  #object(map: PickleMap, depth: number): unknown {
    return Object.fromEntries(
      map.entries()
        .filter(([key]) => typeof key === "string")
        .map(([key, value]) => [key, this.of(value, depth + 1)]),
    );
  }
}

/** A member of an enumeration is pickled as class(value), or by Python 3.11 as getattr(class, name). */
function memberName({ class: name, args }: PickleRecord): string | undefined {
  const [first, second] = Array.isArray(args) ? args : [];
  if (/^(__builtin__|builtins)\.getattr$/.test(name)) {
    return isKind(first, "class") && typeof second === "string" ? second : undefined;
  }
  return ENUMERATIONS.get(name.slice(name.lastIndexOf(".") + 1))?.get(first ?? null);
}
